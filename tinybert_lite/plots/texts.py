"""Texts with their words marked."""

from __future__ import annotations

import random
from collections import Counter

from matplotlib.figure import Figure

from tinybert_lite.method.masking import mask_tokens, without_inner
from tinybert_lite.plots.fonts import columns, lettering
from tinybert_lite.plots.panels import NEUTRAL, new_figure

FATES = {
    "[MASK]": "#55606e",
    "random piece": "#8e4585",
    "kept": "#2e8b57",
}  # of a piece chosen for the masked LM
SOURCES = {"masked LM": "#8e4585", "word vectors": "#2e8b57"}  # of a word's candidates
REPLACED = {"replaced": "#8e4585"}  # words of an augmented text


def word_rows(
    rows: list[list[tuple]],
    names: list[str],
    colours: dict[str, str],
    width: int = 96,
    note: str = "",
) -> Figure:
    """Lines of words, the marked ones on a coloured chip. A word is (text, kind) or (text, kind, what stood there).

    names: one a row, written before it · colours: kind -> colour, also the legend; a kind without a colour is plain text
    · note: stands behind the legend.
    """
    margin = max(map(columns, names)) + 2
    placed, line, legend = [], 0.0, [*((kind, kind) for kind in colours), (note, None)]
    for name, row in zip(["", *names], [legend, *rows]):
        x: float = margin
        placed.append((0, line, name, None, ""))
        for text, kind, *below in row:
            length = max(columns(text), columns("".join(below)))
            if x + length > width and x > margin:
                x, line = margin, line + 1
            placed.append((x, line, text, kind, "".join(below)))
            x += length + 1.6
        line += 1.3
    texts, family, missing = lettering([text for *_, text, _, _ in placed], "monospace")
    belows, *_ = lettering([below for *_, below in placed], "monospace")
    if missing:
        placed, texts, belows, line = (
            [*placed, (0, line, "", None, "")],
            [*texts, missing],
            [*belows, ""],
            line + 1,
        )
    size, step = 10, 1.0 if any(below for *_, below in placed) else 0.62
    figure, ((ax,),) = new_figure(
        1, 1, ((width + 1) * 0.602 * size / 72, line * 0.42 * step), layout="none"
    )
    ax.set_position((0, 0, 1, 1))
    for (x, y, _, kind, _), text, below in zip(placed, texts, belows):
        colour = colours.get(kind)
        ax.text(
            x,
            y,
            text,
            family=family,
            fontsize=size,
            va="center",
            color="white" if colour else NEUTRAL if kind is None else "black",
            bbox={"boxstyle": "round,pad=0.18", "fc": colour, "lw": 0} if colour else None,
        )
        if below:
            ax.text(
                x, y + 0.46, below, family=family, fontsize=size - 2.5, va="center", color=NEUTRAL
            )
    ax.set(xlim=(-0.5, width + 0.5), ylim=(line - 0.5, -0.6))
    ax.set_axis_off()
    return figure


def fate(now: str, was: str) -> str:
    """What became of a piece that was chosen for the masked LM: a key of FATES."""
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
    """A few draws of the masking of one sequence, what stood there below; then what became of the chosen pieces in many draws.

    pieces: what a random piece is drawn from, see `data.masking.random_pieces`.
    """
    rng, rows, counts = random.Random(seed), [], Counter()
    for draw in range(many):
        masked, places, were = mask_tokens(
            tokens, rng, probability, len(tokens), whole_words, list(pieces)
        )
        masked, was = without_inner(masked), dict(zip(places, without_inner(were)))
        counts.update(fate(masked[place], was[place]) for place in places)
        if draw < draws:
            rows.append(
                [
                    (now, fate(now, was[i]), was[i]) if i in was else (now, "")
                    for i, now in enumerate(masked)
                ]
            )
    chosen = counts.total()
    shares = [(f"{100 * counts[name] / max(1, chosen):.1f} %", name) for name in FATES]
    length = sum(token not in ("[CLS]", "[SEP]") for token in tokens)
    share = f"of the chosen, and {100 * chosen / many / max(1, length):.1f} % of the pieces that may be chosen"
    return word_rows(
        [*rows, [*shares, (share, "")]],
        [*(f"draw {i}" for i in range(1, draws + 1)), f"{many} draws"],
        FATES,
        note=f"{'whole words' if whole_words else 'any pieces'}, {100 * probability:.0f} %, seed {seed}",
    )


def sources(augmenter, text: list[str]) -> dict[int, str]:
    """Where the candidates of each eligible word of a text come from: place -> a key of SOURCES."""
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
    """A text, the first candidates of its words, and variants of it; words on the colour of the source of their candidates.

    text: its words · candidates: `Augmenter.candidates` of it · sources: of the same places · variants: `Augmenter.variants`.
    """
    original = [
        (word, sources.get(place) if place in candidates else "") for place, word in enumerate(text)
    ]
    options = [
        [(", ".join(found[:shown]) + (" …" if len(found) > shown else ""), "")]
        for found in candidates.values()
    ]
    changed = [
        [
            (new, "" if new == old else sources[place])
            for place, (old, new) in enumerate(zip(text, variant.split()))
        ]
        for variant in variants
    ]
    names = [
        "original",
        *(f"{text[place]} →" for place in candidates),
        *(f"variant {i}" for i in range(1, len(variants) + 1)),
    ]
    return word_rows([original, *options, *changed], names, SOURCES, note=note)
