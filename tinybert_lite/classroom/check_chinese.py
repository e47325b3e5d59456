"""Checks of the exercises on Chinese: words, characters, and masks."""

from __future__ import annotations

import random

from tinybert_lite.classroom.checking import attempt, check, chips, expect

CUT = (
    ["服务员", "不", "热情", "，", "床", "很", "舒服", "。"],
    ["我", "一口气", "读", "完", "了", "这本", "书", "。"],
)
INSIDE = (
    [1, 2, 5, 10],
    [2, 3, 8],
)  # by hand: the places, from 0, of the characters that continue a word
JOINED = (
    (["酒店", "有", "wifi", "，", "信号", "好", "。"], "酒店有wifi，信号好。"),
    (["我", "用", "windows", "word", "10", "年", "了"], "我用windows word 10年了"),
    (["ok", ",", "屏幕", "是", "ips", "4", "k", "的"], "ok,屏幕是ips 4 k的"),
)


@check
def continues(yours, seed: int = 0) -> None:
    """yours(words) -> for each character, whether it continues a word."""
    words = CUT[seed % 2]
    text = "".join(words)
    wanted = [place in INSIDE[seed % 2] for place in range(len(text))]

    def draw(found):
        flags = list(found or ())
        return chips(
            {"words": words, "expected": list(text), "yours": list(text)},
            {
                "expected": set(INSIDE[seed % 2]),
                "yours": None
                if found is None
                else {i for i, flag in enumerate(flags) if flag is True},
            },
        )

    found = attempt(yours, words, like=wanted, draw=draw)
    expect(
        len(found) != len(words),
        f"a flag for each character, not for each word: {text!r} has {len(text)} characters, yours are {len(found)} flags",
    )
    expect(
        len(found) == len(text),
        f"each character has one flag: expected {len(text)}, yours are {len(found)}",
    )
    expect(
        all(flag in (True, False) for flag in found), f"a flag is True or False: yours are {found}"
    )
    expect(
        list(found) != [not flag for flag in wanted],
        f"True is for a character that continues a word, not for one that begins it: {text[0]!r} begins, yours says {found[0]}",
    )
    for place, (flag, right) in enumerate(zip(found, wanted)):
        begins = [i for i in range(place + 1) if not wanted[i]][-1]
        if flag and not right:
            expect(
                False,
                f"the first character of a word continues nothing: {text[place]!r} at {place} begins a word, yours says True",
            )
        expect(
            flag == right,
            f"every character after the first continues its word: {text[place]!r} at {place} continues {text[begins]!r} at {begins}, yours says {flag}",
        )


@check
def joined(yours, seed: int = 0) -> None:
    """yours(words) -> the text: a blank only between two words of letters or digits that are not Chinese."""
    cases = JOINED if seed % 2 == 0 else JOINED[::-1]

    def draw(found):
        words, wanted = cases[seed % 2]
        return chips(
            {"words": words, "expected": [wanted], "yours": [] if found is None else [found]},
            {"expected": {0}, "yours": None if found is None else {0}},
        )

    attempt(yours, cases[seed % 2][0], like="", draw=draw)
    for words, wanted in cases:
        found, shown = yours(list(words)), f"{words} is {wanted!r}, yours is"
        expect(
            "".join(found.split()) == "".join(words),
            f"no word is lost, added or moved: {shown} {found!r}",
        )
        expect(found == found.strip(), f"no blank stands at an end: {shown} {found!r}")
        places = [
            len("".join(words[:i])) for i in range(1, len(words))
        ]  # the characters before each seam
        for i, place in enumerate(places, 1):
            before, after = words[i - 1], words[i]
            has, needs = _blank_after(found, place), _blank_after(wanted, place)
            chinese = [word for word in (before, after) if word.isalpha() and word > "\u2e80"]
            if has and not needs and len(chinese) == 2:
                expect(
                    False,
                    f"Chinese words stand side by side: between {before!r} and {after!r} yours has a blank: {found!r}",
                )
            if has and not needs and chinese:
                expect(
                    False,
                    f"a Chinese word asks for no blank before a Latin one, or after it: between {before!r} and {after!r} yours has one: {found!r}",
                )
            if has and not needs:
                expect(
                    False,
                    f"a punctuation mark asks for no blank: between {before!r} and {after!r} yours has one: {found!r}",
                )
            if needs and not has and (before + after).isalpha():
                expect(
                    False,
                    f"two Latin words would run into one: between {before!r} and {after!r} a blank is missing in {found!r}",
                )
            expect(
                has == needs,
                f"digits part from letters too: between {before!r} and {after!r} a blank is missing in {found!r}",
            )
        expect(found == wanted, f"one blank is enough: {shown} {found!r}")


def _blank_after(text: str, characters: int) -> bool:
    """Whether a blank follows so many characters that are none."""
    seen = 0
    for place, character in enumerate(text):
        seen += character != " "
        if seen == characters and character != " ":
            return text[place + 1 : place + 2] == " "
    return False


@check
def mask_words(yours, seed: int = 0) -> None:
    """yours(words, most, rng) -> the characters, at most `most` of them [MASK], of a word all or none."""
    words, most = CUT[seed % 2], 5
    text = "".join(words)
    spans = [(sum(map(len, words[:i])), sum(map(len, words[: i + 1]))) for i in range(len(words))]
    plain = {i for i, (start, end) in enumerate(spans) if not text[start:end].isalpha()}

    def draw(found):
        return chips(
            {"words": words, "yours": list(found or ())},
            {
                "yours": None
                if found is None
                else {i for i, character in enumerate(found) if character == "[MASK]"}
            },
        )

    found = attempt(yours, words, most, random.Random(seed), like=[], draw=draw)
    expect(
        len(found) == len(text),
        f"each character keeps its place: {len(text)} characters came in, yours are {len(found)}",
    )
    draws = [found] + [
        yours(list(words), most, random.Random(f"{seed} {turn}")) for turn in range(200)
    ]
    counts = [0] * len(words)
    for one in draws:
        hidden = {i for i, character in enumerate(one) if character == "[MASK]"}
        changed = [i for i, character in enumerate(one) if i not in hidden and character != text[i]]
        expect(
            not changed,
            f"what is not hidden stays: {[text[i] for i in changed[:1]]} became {[one[i] for i in changed[:1]]}",
        )
        for number, (start, end) in enumerate(spans):
            inside = hidden & set(range(start, end))
            expect(
                len(inside) in (0, end - start),
                f"a word is hidden whole or not at all: of {words[number]!r} yours leaves {''.join(text[i] for i in range(start, end) if i not in inside)!r}",
            )
            counts[number] += bool(inside) and number not in plain
            expect(
                not inside or number not in plain,
                f"punctuation is never hidden: {words[number]!r} was, in {''.join(one)}",
            )
        expect(
            len(hidden) <= most,
            f"{most} characters at most: yours hid {len(hidden)} in {''.join(one)}",
        )
        left = [
            words[i]
            for i, (start, end) in enumerate(spans)
            if i not in plain and start not in hidden and end - start <= most - len(hidden)
        ]
        expect(
            not left,
            f"a word that is too long is skipped, and a shorter one still tried: yours hid {len(hidden)} of {most} characters in {''.join(one)}, and {''.join(left[:1])!r} would fit",
        )
    rare = [words[i] for i, count in enumerate(counts) if i not in plain and count == 0]
    expect(not rare, f"every word has its turn: in 200 draws {rare[:1]} was never hidden")
    expect(
        any(one != found for one in draws),
        "another stream, another draw: 200 of them gave the same masks",
    )
