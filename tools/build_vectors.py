"""Make word vectors in GloVe's text format from plain text: count, weigh, compress.

Words that occur in the same contexts get similar vectors, in three steps:

1. count    how often word c is within a few positions of word w, weighted by 1 / distance;
2. weigh    replace each count by its positive PMI (pointwise mutual information);
3. compress by a truncated SVD of the sparse matrix, one short row per word.

Words are those of BERT's basic tokenizer (lower case, no accents, "don't" gives don and t), as in
stage 1. Text files hold one sentence per line, and a window does not cross the end of a sentence.
With `--language zh` the segmenter finds the words, and 。！？ also end sentences; of a task's
.tsv the last column is read. In Chinese a window of 2 gave neighbours that can replace each other,
a window of 5 gave words of the same topic.

The vectors shipped as `1_pre_data/glove.classroom.txt` come from the Large Movie Review Dataset's
training half (Maas et al., 2011) and the Brown corpus, and suit film reviews. Nothing is random:
the same text gives the same file (with another BLAS the last digits may differ), in about 20
seconds on one core. Of the shifts 1 (no shift), 2 and 5, 1 gave similarities closest to those of
GloVe 6B (rank correlation over pairs of 2,231 words: 0.40, 0.36, 0.32).

    python tools/build_vectors.py --text reviews.txt.xz brown.txt.xz \\
        --output 1_pre_data/glove.classroom.txt --check
    python tools/build_vectors.py --output 1_pre_data/glove.classroom.txt --check   # an older file
    python tools/build_vectors.py --language zh --characters --text ChnSentiCorp/train.tsv \\
        --words 4000 --width 100 --window 3 --output characters.txt
    python tools/build_vectors.py --language zh \\
        --text ChnSentiCorp/train.tsv 1_pre_data/zh/documents.txt \\
        --words 8000 --decimals 2 --window 2 --output 1_pre_data/zh/glove.classroom.txt --check
"""

from __future__ import annotations

import argparse
import lzma
import re
import time
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import svds

from tinybert_lite.data.chinese import segment

WORD = re.compile(r"[^\W_]+")  # letters and digits
END = re.compile("[。！？!?]")  # marks that end a Chinese sentence
ACCENT = re.compile("[\u0300-\u036f]")  # combining marks of decomposed letters, such as that of é
SMOOTHING = 0.75  # exponent of the context counts; reduces the PMI of rare contexts

# Chosen before the first run, and not changed afterwards.
PROBES = {
    "en": "good terrible funny boring actor music happy king river car doctor three monday france "
    "scary beautiful",
    "zh": "房间 干净 失望 内容 速度 服务员 便宜 喜欢 屏幕 孩子 故事 早餐 好 贵",
}
ANALOGIES = {
    "en": """
man:king::woman:queen   man:woman::boy:girl   father:mother::son:daughter
husband:wife::uncle:aunt   he:she::his:her   actor:actress::brother:sister
good:better::bad:worse   good:best::bad:worst   big:bigger::small:smaller
long:longer::short:shorter   walk:walked::talk:talked   play:played::watch:watched
film:films::actor:actors   car:cars::child:children   france:french::germany:german
japan:japanese::italy:italian   paris:france::london:england   happy:sad::love:hate
quick:quickly::slow:slowly   comedy:funny::horror:scary
""",
    "zh": """
爸爸:妈妈::爷爷:奶奶   儿子:女儿::爸爸:妈妈   大:小::多:少   贵:便宜::大:小   快:慢::好:差
高:低::大:小   书:作者::电影:导演   酒店:房间::书:内容   吃:餐厅::住:酒店   一:二::三:四
好:更好::多:更多   看:眼睛::听:耳朵
""",
}


def sentences(path: Path, language: str = "en", characters: bool = False) -> Iterator[list[str]]:
    """Yield the words of each sentence of a .txt, .txt.xz or .tsv file, or its Chinese characters.

    Vectors of characters initialise the word embeddings of a Chinese teacher.
    """
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            line = ACCENT.sub("", unicodedata.normalize("NFD", line.split("\t")[-1].lower()))
            if characters:
                yield from (
                    re.findall("[\u4e00-\u9fff]|[a-z]+", sentence) for sentence in END.split(line)
                )
            elif language == "zh":
                yield from (
                    list(filter(WORD.fullmatch, segment(sentence))) for sentence in END.split(line)
                )
            else:
                yield WORD.findall(line)


def encode(
    paths: list[Path], size: int, window: int, language: str = "en", characters: bool = False
) -> tuple[list[str], np.ndarray]:
    """Return the `size` most frequent alphabetic words, and the text as their ranks, (n,) int32.

    Rank 0 is the most frequent word. Other words are -1, and so are `window` positions after each
    sentence, so that no window contains two sentences.
    """
    seen: dict[str, int] = defaultdict(lambda: len(seen))  # a new word gets the next number
    text, gap = array("i"), [-1] * window
    for path in paths:
        for words in sentences(path, language, characters):
            text.extend([seen[word] for word in words] + gap)

    numbers, spelling = np.frombuffer(text, dtype=np.int32), list(seen)
    by_frequency = np.argsort(
        -np.bincount(numbers[numbers >= 0]), kind="stable"
    )  # ties: in the order of the text
    kept = [number for number in by_frequency if spelling[number].isalpha()][:size]
    rank = np.full(len(seen) + 1, -1, dtype=np.int32)  # the last entry, of index -1, is left at -1
    rank[kept] = np.arange(len(kept))
    return [spelling[number] for number in kept], rank[numbers]


def count(text: np.ndarray, size: int, window: int) -> csr_matrix:
    """Return co-occurrences, (size, size): a pair at distance d adds 1/d, in both directions."""
    pairs = csr_matrix((size, size))
    for distance in range(1, window + 1):
        left, right = text[:-distance], text[distance:]
        both = (left >= 0) & (right >= 0)
        weights = np.full(both.sum(), 1 / distance)
        pairs += coo_matrix(
            (weights, (left[both], right[both])), shape=(size, size)
        ).tocsr()  # duplicate entries are summed
    return (pairs + pairs.T).tocsr()


def weigh(pairs: csr_matrix, shift: float) -> csr_matrix:
    """Return the shifted PMI, max(0, log(p(w, c) / (p(w) p(c))) - log(shift)), p(c) smoothed."""
    totals = np.asarray(
        pairs.sum(axis=1)
    ).ravel()  # the matrix is symmetric, so sums of words and of contexts are equal
    context = totals**SMOOTHING / (totals**SMOOTHING).sum()
    table = pairs.tocoo()
    pmi = np.log(table.data / (totals[table.row] * context[table.col] * shift))
    keep = pmi > 0
    return csr_matrix((pmi[keep], (table.row[keep], table.col[keep])), shape=pairs.shape)


def compress(table: csr_matrix, width: int) -> np.ndarray:
    """Return rows of U S^0.5, (words, width), scaled to a root mean square of 1."""
    u, s, _ = svds(table, k=width, v0=np.ones(table.shape[0]), return_singular_vectors="u")
    u, s = u[:, ::-1], s[::-1]  # largest singular value first
    u = u * np.sign(
        u[np.abs(u).argmax(axis=0), np.arange(width)]
    )  # the sign is arbitrary: make the largest entry positive
    return np.sqrt(width) * unit(u * np.sqrt(s))


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows of Euclidean length 1; a row of zeros is left unchanged."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def write_vectors(path: Path, words: list[str], vectors: np.ndarray, decimals: int = 3) -> None:
    """Write one line per word: the word and its numbers, separated by spaces."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for word, vector in zip(words, vectors, strict=True):
            print(word, *(f"{number:.{decimals}f}" for number in vector), file=file)


def read_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the W words of a GloVe text file and their vectors, (W, D) float32."""
    with open(path, encoding="utf-8") as file:
        rows = [line.split() for line in file]
    return [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=np.float32)


def check(words: list[str], vectors: np.ndarray, language: str = "en") -> None:
    """Print the nearest words of PROBES and the results of ANALOGIES, a:b::c:? by b - a + c."""
    index, rows = {word: place for place, word in enumerate(words)}, unit(vectors)

    def nearest(direction: np.ndarray, but: list[str]) -> list[str]:
        best = np.argsort(-(rows @ direction), kind="stable")[: 5 + len(but)]
        return [words[place] for place in best if words[place] not in but][:5]

    print("\nword        nearest five")
    for word in PROBES[language].split():
        print(
            f"{word:<12}"
            + (" ".join(nearest(rows[index[word]], [word])) if word in index else "(no vector)")
        )

    print("\nquestion                          rank  answers")
    ranks = []
    for question in ANALOGIES[language].split():
        a, b, c, wanted = re.split(":+", question)
        known = index.keys() >= {
            a,
            b,
            c,
        }  # an analogy with a word that has no vector counts as wrong
        answers = (
            nearest(rows[index[b]] - rows[index[a]] + rows[index[c]], [a, b, c]) if known else []
        )
        ranks.append(answers.index(wanted) + 1 if wanted in answers else None)
        print(f"{question:<34}{ranks[-1] or '-':>4}  {' '.join(answers)}")
    first, five = ranks.count(1), len(ranks) - ranks.count(None)
    print(f"right first {first}/{len(ranks)}, among the first five {five}/{len(ranks)}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--text",
        type=Path,
        nargs="+",
        metavar="FILE",
        help=".txt or .txt.xz, one sentence per line; or a task's .tsv with the text last",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="the vector file to write, or to check"
    )
    parser.add_argument(
        "--language", choices=PROBES, default="en", help="zh: Chinese (%(default)s)"
    )
    parser.add_argument(
        "--characters", action="store_true", help="vectors of Chinese characters, not of words"
    )
    parser.add_argument(
        "--decimals", type=int, default=3, help="decimals of each number (%(default)s)"
    )
    parser.add_argument(
        "--words", type=int, default=16_000, help="number of words with a vector (%(default)s)"
    )
    parser.add_argument("--width", type=int, default=50, help="numbers in a vector (%(default)s)")
    parser.add_argument(
        "--window", type=int, default=5, help="positions on each side of a word (%(default)s)"
    )
    parser.add_argument(
        "--shift",
        type=float,
        default=1.0,
        help="log(shift) is subtracted from the PMI (%(default)s: no shift)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="print neighbours and analogies of the file at --output",
    )
    args = parser.parse_args(argv)
    if not (args.text or args.check):
        parser.error(
            "nothing to do: add --text to build vectors, --check to print neighbours, or both"
        )

    if args.text:
        start = time.perf_counter()
        words, text = encode(args.text, args.words, args.window, args.language, args.characters)
        if args.width >= len(words):
            parser.error(f"--width {args.width} needs more words than the {len(words)} found")
        vectors = compress(weigh(count(text, len(words), args.window), args.shift), args.width)
        write_vectors(args.output, words, vectors, args.decimals)
        megabytes, seconds = args.output.stat().st_size / 1e6, time.perf_counter() - start
        print(f"{args.output}: {len(words):,} words, {megabytes:.2f} MB, {seconds:.0f} s")
    if args.check:
        check(*read_vectors(args.output), args.language)


if __name__ == "__main__":
    main()
