"""Checks of the exercises on Chinese: words, characters, and masks."""

import random

from tinybert_lite.classroom.checking import attempt, check, chips, expect

CUT = (
    ["服务员", "不", "热情", "，", "床", "很", "舒服", "。"],
    ["我", "一口气", "读", "完", "了", "这本", "书", "。"],
)
INSIDE = ([1, 2, 5, 10], [2, 3, 8])  # by hand: places of the characters that continue a word
JOINED = (
    (["酒店", "有", "wifi", "，", "信号", "好", "。"], "酒店有wifi，信号好。"),
    (["我", "用", "windows", "word", "10", "年", "了"], "我用windows word 10年了"),
    (["ok", ",", "屏幕", "是", "ips", "4", "k", "的"], "ok,屏幕是ips 4 k的"),
)


@check
def continues(yours, seed: int = 0) -> None:
    """yours(words) -> for each character, whether it continues a word."""
    words, inside = CUT[seed % 2], INSIDE[seed % 2]
    text = "".join(words)
    wanted = [place in inside for place in range(len(text))]

    def draw(found):
        places = [i for i, flag in enumerate(found or ()) if flag is True]
        return chips("words", words, expected=(text, inside), yours=found and (text, places))

    found = attempt(yours, words, like=wanted, draw=draw)
    expect(
        len(found) != len(words),
        f"one flag per character, not per word: {text!r} has {len(text)} characters, "
        f"yours are {len(found)} flags",
    )
    expect(
        len(found) == len(text),
        f"each character has one flag: expected {len(text)}, yours are {len(found)}",
    )
    expect(
        all(flag in (True, False) for flag in found), f"a flag is True or False: yours are {found}"
    )
    expect(
        found != [not flag for flag in wanted],
        "True marks a character that continues a word, not one that begins it: "
        f"{text[0]!r} begins a word, yours says {found[0]}",
    )
    for place, (flag, right) in enumerate(zip(found, wanted)):
        expect(
            right or not flag,
            f"the first character of a word is False: {text[place]!r} at {place} begins a word, "
            "yours says True",
        )
        expect(
            flag == right,
            f"every character after the first is True: {text[place]!r} at {place} continues a "
            f"word, yours says {flag}",
        )


@check
def joined(yours, seed: int = 0) -> None:
    """yours(words) -> the text, with a space only between two non-Chinese words or numbers."""
    cases = JOINED[:: 1 - 2 * (seed % 2)]
    first, text = cases[seed % 2]

    def draw(found):
        return chips("words", first, expected=([text], [0]), yours=found and ([found], [0]))

    attempt(yours, first, like="", draw=draw)
    for words, wanted in cases:
        found = yours(list(words))
        shown = f"{words} is {wanted!r}, yours is {found!r}"
        expect(
            "".join(found.split()) == "".join(words), f"no word is lost, added or moved: {shown}"
        )
        expect(found == found.strip(), f"no space at either end: {shown}")
        for i, (before, after) in enumerate(zip(words, words[1:]), 1):
            place = len("".join(words[:i]))
            has, needs = _space_after(found, place), _space_after(wanted, place)
            where = f"between {before!r} and {after!r} yours has"
            if has and not needs:
                chinese = sum(word.isalpha() and word > "\u2e80" for word in (before, after))
                rule = (
                    "no space beside punctuation",
                    "no space between a Chinese and a Latin word",
                    "no space between Chinese words",
                )[chinese]
                raise AssertionError(f"{rule}: {where} one in {found!r}")
            kind = "two Latin words" if (before + after).isalpha() else "a number and its neighbour"
            expect(has == needs, f"{kind} need a space between them: {where} none in {found!r}")
        expect(found == wanted, f"one space is enough: {shown}")


def _space_after(text: str, characters: int) -> bool:
    """Whether a space is after the first `characters` characters that are not spaces."""
    places = [place for place, character in enumerate(text) if character != " "]
    return text[places[characters - 1] + 1] == " "


@check
def mask_words(yours, seed: int = 0) -> None:
    """yours(words, most, rng) -> the characters, at most `most` [MASK], whole words only."""
    words, most = CUT[seed % 2], 5
    text = "".join(words)
    starts = [len("".join(words[:i])) for i in range(len(words))]

    def draw(found):
        return chips("words", words, yours=found and (found, masked(found)))

    found = attempt(yours, words, most, random.Random(seed), like=[], draw=draw)
    expect(
        len(found) == len(text),
        f"each character keeps its place: the input has {len(text)}, yours has {len(found)}",
    )
    others = [yours(list(words), most, random.Random(f"{seed} {turn}")) for turn in range(200)]
    never = {word for word in words if word.isalpha()}
    for one in (found, *others):
        hidden, shown = masked(one), "".join(one)
        changed = [i for i, now in enumerate(one) if i not in hidden and now != text[i]]
        expect(
            not changed,
            f"characters that are not masked are unchanged: places {changed} differ in {shown}",
        )
        fitting = []
        for word, start in zip(words, starts):
            places = range(start, start + len(word))
            inside = hidden.intersection(places)
            expect(
                len(inside) in (0, len(word)),
                f"a word is masked whole or not at all: of {word!r} yours masks {len(inside)} of "
                f"{len(word)} characters",
            )
            expect(
                not inside or word.isalpha(),
                f"punctuation is never masked: {word!r} was in {shown}",
            )
            if inside:
                never.discard(word)
            elif word.isalpha() and len(word) <= most - len(hidden):
                fitting.append(word)
        expect(
            len(hidden) <= most,
            f"too many characters are masked: {most} are allowed, yours are {len(hidden)}: {shown}",
        )
        expect(
            not fitting,
            f"a word that is too long is skipped, and a shorter one still tried: yours masks "
            f"{len(hidden)} of {most} characters in {shown}, and {fitting[:1]} would fit",
        )
    expect(
        not never, f"every word can be masked: in 200 draws {sorted(never)[:1]} was never masked"
    )
    expect(
        any(one != found for one in others),
        "another rng gives another draw: 200 of them gave the same masks",
    )


def masked(characters: list[str]) -> set[int]:
    """Return the places of [MASK]."""
    return {i for i, character in enumerate(characters) if character == "[MASK]"}
