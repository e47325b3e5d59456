"""Texts with marked words: masking and augmentation."""

import random
from collections import Counter

from matplotlib.figure import Figure

from tinybert_lite.method.masking import mask_tokens, without_inner
from tinybert_lite.plots.fonts import columns, lettering
from tinybert_lite.plots.panels import NEUTRAL, new_figure

# The possible changes of a piece chosen for the masked LM -> colour.
FATES = {"[MASK]": "#55606e", "random piece": "#8e4585", "kept": "#2e8b57"}
SOURCES = {"masked LM": "#8e4585", "word vectors": "#2e8b57"}  # of a word's candidates
REPLACED = {"replaced": "#8e4585"}  # words of an augmented text


def word_rows(
    rows: list[list[tuple]],
    names: list[str],
    colours: dict[str, str],
    width: int = 96,
    note: str = "",
) -> Figure:
    """Draw rows of words, with a coloured background for marked words.

    A word is (text, kind) or (text, kind, original text, drawn below it). names: the rows' names ·
    colours: kind -> colour, also for the legend; a kind without a colour is plain text · note: a
    text after the legend · width: columns per line.
    """
    places, texts, originals = [], [], []

    def put(x: float, text: str, kind: str | None = None, original: str = "") -> None:
        places.append((x, line, kind))
        texts.append(text)
        originals.append(original)

    margin, line = max(map(columns, names)) + 2, 0.0
    legend = [*((kind, kind) for kind in colours), (note, None)]
    for name, row in zip(["", *names], [legend, *rows]):
        x = margin
        put(0, name)
        for text, kind, *below in row:
            length = max(map(columns, (text, *below)))
            if x + length > width and x > margin:
                x, line = margin, line + 1
            put(x, text, kind, *below)
            x += length + 1.6
        line += 1.3
    texts, family, missing = lettering(texts, "monospace")
    originals, *_ = lettering(originals, "monospace")
    if missing:
        put(0, missing)
        line += 1
    size, step = 10, 1.0 if any(originals) else 0.62
    inches = (width + 1) * 0.602 * size / 72, line * 0.42 * step
    figure, ((ax,),) = new_figure(1, 1, inches, layout="none")
    ax.set_position((0, 0, 1, 1))
    style = {"family": family, "va": "center"}
    for (x, y, kind), text, original in zip(places, texts, originals):
        colour = colours.get(kind)
        ink = "white" if colour else NEUTRAL if kind is None else "black"
        box = {"boxstyle": "round,pad=0.18", "fc": colour, "lw": 0} if colour else None
        ax.text(x, y, text, fontsize=size, color=ink, bbox=box, **style)
        if original:
            ax.text(x, y + 0.46, original, fontsize=size - 2.5, color=NEUTRAL, **style)
    ax.set(xlim=(-0.5, width + 0.5), ylim=(line - 0.5, -0.6))
    ax.set_axis_off()
    return figure


def fate(now: str, was: str) -> str:
    """Return how a piece chosen for the masked LM was changed: a key of FATES."""
    return "[MASK]" if now == "[MASK]" else "kept" if now == was else "random piece"


def masking(
    tokens: list[str],
    seed: int = 0,
    probability: float = 0.15,
    whole_words: bool = False,
    pieces=("moon", "salt"),
    draws: int = 3,
    many: int = 500,
) -> Figure:
    """Draw some random maskings of one sequence, with the original pieces below.

    The last row has the share of each change over `many` maskings. pieces: the pieces that may
    replace a token, see `method.masking.random_pieces`.
    """
    rng, rows, counts = random.Random(seed), [], Counter()
    for draw in range(many):
        masked, places, originals = mask_tokens(
            tokens, rng, probability, len(tokens), whole_words, list(pieces)
        )
        masked, was = without_inner(masked), dict(zip(places, without_inner(originals)))
        fates = {place: (fate(masked[place], was[place]), was[place]) for place in places}
        counts.update(name for name, _ in fates.values())
        if draw < draws:
            rows.append([(now, *fates.get(i, ("",))) for i, now in enumerate(masked)])
    chosen = counts.total()
    shares = [(f"{100 * counts[name] / max(1, chosen):.1f} %", name) for name in FATES]
    length = sum(token not in ("[CLS]", "[SEP]") for token in tokens)
    share = 100 * chosen / many / max(1, length)
    text = f"of the chosen, and {share:.1f} % of the pieces that may be chosen"
    unit = "whole words" if whole_words else "any pieces"
    return word_rows(
        [*rows, [*shares, (text, "")]],
        [*(f"draw {i}" for i in range(1, draws + 1)), f"{many} draws"],
        FATES,
        note=f"{unit}, {100 * probability:.0f} %, seed {seed}",
    )


def sources(augmenter, text: list[str]) -> dict[int, str]:
    """Return the source of each eligible word's candidates: place in the text -> key of SOURCES."""
    return {
        place: "masked LM" if text[place] in augmenter.single_pieces else "word vectors"
        for place in augmenter.eligible(text)
    }


def augmentation(
    text: list[str],
    candidates: dict[int, list[str]],
    sources: dict[int, str],
    variants: list[str],
    shown: int = 6,
    note: str = "",
) -> Figure:
    """Draw a text, the first candidates of its words, and variants; words are coloured by source.

    text: its words · candidates: from `Augmenter.candidates`, by place · sources: by place ·
    variants: from `Augmenter.variants`.
    """
    names, lines = (
        ["original"],
        [[(word, sources[i] if i in candidates else "") for i, word in enumerate(text)]],
    )
    for place, found in candidates.items():
        names.append(f"{text[place]} →")
        lines.append([(", ".join(found[:shown]) + " …" * (len(found) > shown), "")])
    for i, variant in enumerate(variants, 1):
        names.append(f"variant {i}")
        lines.append(
            [
                (new, "" if new == old else sources[place])
                for place, (old, new) in enumerate(zip(text, variant.split()))
            ]
        )
    return word_rows(lines, names, SOURCES, note=note)
