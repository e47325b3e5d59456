"""Classroom word vectors, in GloVe's text format, from plain text: count, weigh, compress.

Words that occur in the same contexts get similar vectors, in three steps:

1. count    how often word c is within a few positions of word w; a near neighbour counts more;
2. weigh    replace each count by its positive PMI: how much more often than by chance they meet;
3. compress keep the leading singular directions of the large sparse table, a short row per word.

Words are cut as BERT's basic tokenizer cuts them (lower case, no accents, "don't" gives don and t),
so that they are the words of stage 1. Text files hold one sentence per line; a window never leaves
its sentence. With `--language zh` the segmenter finds the words, and 。！？ end sentences too; of a
task's .tsv the last column is read. In Chinese a window of 2 gave neighbours that can replace each
other, a window of 5 gave words of the same topic.

The vectors shipped as `1_pre_data/glove.classroom.txt` come from the Large Movie Review Dataset's
training half (Maas et al., 2011) and the Brown corpus, and suit film reviews. Nothing is
random: the same text gives the same file (another BLAS may move a last digit), in about 20 seconds
on one core. Of shifts 1, 2 and 5 the first, which is no shift, came closest to GloVe 6B's
similarities (rank correlation over pairs of 2,231 words: 0.40, 0.36, 0.32).

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

WORD = re.compile(r"[^\W_]+")  # letters and digits; punctuation and spaces part them
END = re.compile("[。！？!?]")  # of a Chinese sentence
ACCENT = re.compile("[\u0300-\u036f]")  # what is left of é beside its e, once decomposed
SMOOTHING = 0.75  # flattens the context counts, so that rare contexts do not win every comparison

# Chosen before the first run, and left as they are whatever the result.
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
    """The words of each sentence of a .txt, .txt.xz or .tsv file; or Chinese characters, for the
    embeddings of a teacher's pieces.
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
    """The `size` most frequent alphabetic words, and the whole text as their numbers (0 the most
    frequent).

    Every other word is -1, and so are `window` places after each sentence, which no window can
    bridge.
    """
    seen: dict[str, int] = defaultdict(lambda: len(seen))  # a new word gets the next number
    text, gap = array("i"), [-1] * window
    for path in paths:
        for words in sentences(path, language, characters):
            text.extend([seen[word] for word in words] + gap)

    numbers, spelling = np.frombuffer(text, dtype=np.int32), list(seen)
    by_frequency = np.argsort(
        -np.bincount(numbers[numbers >= 0]), kind="stable"
    )  # a tie: first seen, first
    kept = [number for number in by_frequency if spelling[number].isalpha()][:size]
    rank = np.full(
        len(seen) + 1, -1, dtype=np.int32
    )  # the last entry, which index -1 reaches, stays -1
    rank[kept] = np.arange(len(kept))
    return [spelling[number] for number in kept], rank[numbers]


def count(text: np.ndarray, size: int, window: int) -> csr_matrix:
    """(size, size) co-occurrences: a pair at distance d adds 1/d, in both directions."""
    pairs = csr_matrix((size, size))
    for distance in range(1, window + 1):
        left, right = text[:-distance], text[distance:]
        both = (left >= 0) & (right >= 0)
        weights = np.full(both.sum(), 1 / distance)
        pairs += coo_matrix(
            (weights, (left[both], right[both])), shape=(size, size)
        ).tocsr()  # sums what repeats
    return (pairs + pairs.T).tocsr()


def weigh(pairs: csr_matrix, shift: float) -> csr_matrix:
    """Shifted positive PMI: max(0, log(p(w, c) / (p(w) p(c))) - log(shift)), with p(c) smoothed."""
    totals = np.asarray(
        pairs.sum(axis=1)
    ).ravel()  # the table is symmetric: of words and of contexts
    context = totals**SMOOTHING / (totals**SMOOTHING).sum()
    table = pairs.tocoo()
    pmi = np.log(table.data / (totals[table.row] * context[table.col] * shift))
    keep = pmi > 0
    return csr_matrix((pmi[keep], (table.row[keep], table.col[keep])), shape=pairs.shape)


def compress(table: csr_matrix, width: int) -> np.ndarray:
    """(words, width) rows U S^0.5, each scaled so that its numbers are about 1 in size."""
    u, s, _ = svds(table, k=width, v0=np.ones(table.shape[0]), return_singular_vectors="u")
    u, s = u[:, ::-1], s[::-1]  # the strongest direction first
    u = u * np.sign(
        u[np.abs(u).argmax(axis=0), np.arange(width)]
    )  # either sign would do: settle on one
    return np.sqrt(width) * unit(u * np.sqrt(s))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1 (a row of zeros stays as it is)."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def write_vectors(path: Path, words: list[str], vectors: np.ndarray, decimals: int = 3) -> None:
    """One line a word: the word and its numbers, parted by single spaces."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for word, vector in zip(words, vectors, strict=True):
            print(word, *(f"{number:.{decimals}f}" for number in vector), file=file)


def read_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """The words of a GloVe text file and their vectors."""
    with open(path, encoding="utf-8") as file:
        rows = [line.split() for line in file]
    return [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=np.float32)


def check(words: list[str], vectors: np.ndarray, language: str = "en") -> None:
    """Print the nearest words of PROBES and the answers to ANALOGIES, a:b::c:? answered by b - a +
    c.
    """
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
        }  # a question about a word without a vector counts as missed
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
        help=".txt or .txt.xz, one sentence a line; or a task's .tsv, its text last",
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
    parser.add_argument("--decimals", type=int, default=3, help="of each number (%(default)s)")
    parser.add_argument(
        "--words", type=int, default=16_000, help="how many words get a vector (%(default)s)"
    )
    parser.add_argument("--width", type=int, default=50, help="numbers in a vector (%(default)s)")
    parser.add_argument(
        "--window", type=int, default=5, help="places looked at on either side (%(default)s)"
    )
    parser.add_argument(
        "--shift",
        type=float,
        default=1.0,
        help="log(shift) is taken off the PMI (%(default)s: none)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="print neighbours and analogies of the file at --output",
    )
    args = parser.parse_args(argv)
    if not (args.text or args.check):
        parser.error(
            "nothing to do: give --text to build vectors, --check to look at them, or both"
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
