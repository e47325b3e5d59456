"""Measure a pre-trained teacher on masked words of held-out text and on twenty gap sentences.

    python tools/measure_teacher.py --models teacher_model/classroom teacher_model/grown \\
        --text reviews.txt.xz brown.txt.xz --held_out 50

It reads the documents that `pretrain --held_out` kept out of training, and all rows of a task's
.tsv. 15 % of the words are masked as a whole, the same words for each model, so that models with
different vocabularies can be compared: a word is right if all its pieces are, and perplexity is per
word. A text of few passages is read up to seven times, each time with other words masked. The
unigram guess uses only the word frequencies of the training text.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch

from tinybert_lite import plots
from tinybert_lite.data.batches import in_order
from tinybert_lite.data.corpus import documents_of, is_held_out, plain
from tinybert_lite.data.tasks import find_task
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.models.loading import LoadedModel, load_with_tokenizer
from tinybert_lite.training.history import read_history

SST = find_task("SST-2")
PASSAGE, LONGEST = (
    40,
    128,
)  # least words of a passage, unless its document ends; word pieces at which a passage is cut

# Sentences = expected words, chosen before the first measurement and not changed afterwards.
GAPS = """
The capital of France is [MASK]. = paris
She opened the [MASK] and stepped out into the garden. = door
The movie was so [MASK] that I fell asleep before the end. = boring
It is not a bad film, but it is not a [MASK] one either. = good
He poured himself a cup of [MASK] and sat down by the window. = coffee
The two brothers have not [MASK] to each other for years. = spoken
My sister is taller [MASK] I am. = than
The plot is thin, but the [MASK] are wonderful. = actors
There are seven days in a [MASK]. = week
The ship sank and all the passengers [MASK]. = drowned
In winter the lake is covered with [MASK]. = ice
If you like horror films, you will [MASK] this one. = love
The director wastes a talented [MASK]. = cast
The king and the [MASK] sat on their thrones. = queen
We laughed from the beginning to the [MASK]. = end
The doctor told him to stay in [MASK]. = bed
I would not recommend it to [MASK]. = anyone
For all its money, the film has no [MASK]. = heart
The train [MASK] at the station ten minutes late. = arrived
Two plus two is [MASK]. = four
"""


def passages(source: Path, held_out: int, kept: bool) -> Iterator[str]:
    """Yield neighbouring sentences of a document joined to passages.

    kept: of the held-out documents, else of all others.
    """
    for number, document in enumerate(
        documents_of(source, SST, source.suffix == ".tsv", together=1)
    ):
        if source.suffix != ".tsv" and is_held_out(number, held_out) != kept:
            continue
        waiting: list[str] = []
        for sentence in map(plain, document):
            waiting.append(sentence)
            if sum(len(s.split()) for s in waiting) >= PASSAGE:
                yield " ".join(waiting)
                waiting = []
        if waiting:
            yield " ".join(waiting)


def hide(bert: LoadedModel, text: str, seed: str) -> tuple[str, list[str]]:
    """Return the text with 15 % of its words masked, one [MASK] per piece, and these words."""
    rng, unknown = random.Random(seed), bert.tokenizer.unk_token
    found = [
        word
        for i, part in enumerate(text.split(unknown))
        for word in [unknown] * (i > 0) + words(bert.tokenizer, part)
    ]
    hidden = sorted(rng.sample(range(len(found)), max(1, round(0.15 * len(found)))))
    hidden = [place for place in hidden if found[place].isalpha()]  # no punctuation, no number
    masked = list(found)
    for place in hidden:
        masked[place] = " ".join(
            [bert.tokenizer.mask_token] * len(bert.tokenizer.tokenize(found[place]))
        )
    return " ".join(masked), [found[place] for place in hidden]


@torch.inference_mode()
def measure(bert: LoadedModel, texts: list[str]) -> tuple[int, float, float]:
    """Return the number of masked words, the share predicted right, and the perplexity per word."""
    bert.model.eval()
    masked, answers = zip(*(hide(bert, text, f"{number}") for number, text in enumerate(texts)))
    examples, tokenizer = encode(list(masked), None, bert.tokenizer, LONGEST), bert.tokenizer
    right = count = loss = 0.0
    for rows, batch in in_order(examples, 64):
        at = batch["input_ids"] == tokenizer.mask_token_id
        chances = torch.log_softmax(bert.model(batch, masked_lm=at).masked_lm, -1)
        start = 0
        for row, places in zip(rows.tolist(), at.sum(1).tolist()):
            end = start + places
            for word in answers[row]:
                pieces = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))
                if start + len(pieces) > end:  # cut at the end of a long passage
                    break
                here = chances[start : start + len(pieces)]
                right += here.argmax(-1).tolist() == pieces
                loss -= sum(here[i, piece].item() for i, piece in enumerate(pieces))
                count, start = count + 1, start + len(pieces)
            start = end
    return int(count), right / count, math.exp(loss / count)


def unigram(bert: LoadedModel, texts: list[str], frequencies: Counter) -> tuple[float, float]:
    """Return share and perplexity of a guess by frequency, for each masked word piece."""
    total, most = sum(frequencies.values()), frequencies.most_common(1)[0][0]
    answers = [
        bert.tokenizer.tokenize(word)
        for number, text in enumerate(texts)
        for word in hide(bert, text, f"{number}")[1]
    ]
    # Add-one smoothing, so that no piece has probability 0.
    loss = -sum(
        math.log((frequencies[piece] + 1) / (total + len(bert.tokenizer)))
        for pieces in answers
        for piece in pieces
    )
    return answers.count([most]) / len(answers), math.exp(loss / len(answers))


def count_pieces(bert: LoadedModel, sources: list[Path], held_out: int) -> Counter:
    """Count each word piece in the words of the training documents."""
    seen: Counter = Counter()
    for source in sources:
        if source.suffix != ".tsv":
            for text in passages(source, held_out, kept=False):
                seen.update(word for word in words(bert.tokenizer, text) if word.isalpha())
    frequencies: Counter = Counter()
    for word, times in seen.items():
        for piece in bert.tokenizer.tokenize(word):
            frequencies[piece] += times
    return frequencies


@torch.inference_mode()
def gaps(bert: LoadedModel) -> list[str]:
    """Return a table line per sentence: the sentence, the expected word, the five best words."""
    bert.model.eval()
    lines, first, five = [], 0, 0
    for line in GAPS.strip().splitlines():
        text, answer = line.split(" = ")
        ((_, batch),) = in_order(encode([text], None, bert.tokenizer, LONGEST), 1)
        logits = bert.model(
            batch, masked_lm=batch["input_ids"] == bert.tokenizer.mask_token_id
        ).masked_lm[0]
        best = logits.softmax(-1).topk(5)
        guesses = bert.tokenizer.convert_ids_to_tokens(best.indices.tolist())
        first, five = first + (guesses[0] == answer), five + (answer in guesses)
        shown = " · ".join(
            f"{guess} {100 * chance:.0f}" for guess, chance in zip(guesses, best.values.tolist())
        )
        lines.append(f"| {text.replace('[MASK]', '…')} | {answer} | {shown} |")
    return [
        *lines,
        "",
        f"The expected word is first in {first} of {len(lines)}, among the first five in {five}.",
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--models",
        type=Path,
        nargs="+",
        required=True,
        help="model folders; the first predicts the gap sentences",
    )
    parser.add_argument(
        "--text",
        type=Path,
        nargs="*",
        default=[],
        help="texts that `pretrain` can read, or a task's .tsv",
    )
    parser.add_argument("--held_out", type=int, default=50, help="as in `pretrain`")
    parser.add_argument("--passages", type=int, default=1500, help="largest number per text")
    parser.add_argument(
        "--curve",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a .png to draw, then the history.jsonl of each pre-training run",
    )
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.curve:
        plots.pretraining([read_history(path) for path in args.curve[1:]]).savefig(
            args.curve[0], dpi=110
        )
    berts = [load_with_tokenizer(folder, masked_lm=True) for folder in args.models]

    if args.text:
        frequencies = count_pieces(berts[0], args.text, args.held_out)
        print(
            "| masked words of held-out text | words | unigram guess | "
            + " | ".join(folder.name for folder in args.models)
            + " |"
        )
        print("|---" * (3 + len(berts)) + "|")
    for source in args.text:
        texts = (7 * list(islice(passages(source, args.held_out, kept=True), args.passages)))[
            : args.passages
        ]
        found = [measure(bert, texts) for bert in berts]
        values = [unigram(berts[0], texts, frequencies), *(scores[1:] for scores in found)]
        print(
            f"| {source.parent.name}/{source.name} | {found[0][0]} | "
            + " | ".join(f"{100 * right:.1f} %, {perplexity:,.0f}" for right, perplexity in values)
            + " |"
        )
    print("\n| sentence | expected | guesses, % |\n|---|---|---|")
    print("\n".join(gaps(berts[0])))


if __name__ == "__main__":
    main()
