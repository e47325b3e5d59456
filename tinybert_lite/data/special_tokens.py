"""The special tokens around one or two texts, such as [CLS] A [SEP] B [SEP]."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from tinybert_lite.system.files import read_json, write_json

FILE = "special_tokens.json"  # beside a tokenised corpus, for worker processes


@dataclass(frozen=True)
class SpecialTokens:
    """Special tokens by name, as the tokenizer puts them: `before` A `between` B `after`."""

    before: list[str]
    between: list[str]
    after: list[str]
    mask: str
    all: list[str]  # including those that sequences do not have

    @classmethod
    def of(cls, tokenizer) -> SpecialTokens:
        """Find a tokenizer's special tokens, by tokenizing two texts."""
        found = tokenizer("a", "a", return_special_tokens_mask=True)
        runs: list[list[str]] = [[]]
        for token, is_special in zip(
            tokenizer.convert_ids_to_tokens(found["input_ids"]), found["special_tokens_mask"]
        ):
            if is_special:
                runs[-1].append(token)
            elif runs[-1] or len(runs) == 1:
                runs.append([])
        before, between, after = runs[0], runs[1], runs[-1]
        return cls(before, between, after, tokenizer.mask_token, tokenizer.all_special_tokens)

    @classmethod
    def read(cls, folder: Path) -> SpecialTokens:
        """Read the file that `write` wrote into a folder."""
        return cls(**read_json(folder / FILE))

    def write(self, folder: Path) -> None:
        """Write special_tokens.json into a folder."""
        write_json(folder / FILE, asdict(self))

    @property
    def tokens(self) -> set[str]:
        """The tokens around the texts, which are never masked."""
        return {*self.before, *self.between, *self.after}

    def count(self, pair: bool) -> int:
        """Return the number of special tokens in a sequence of one text, or of two (`pair`)."""
        return len(self.before) + len(self.after) + len(self.between) * pair

    def around(self, first: list[str], second: list[str]) -> tuple[list[str], list[int]]:
        """Return the tokens and the segments (0 and 1) of a sequence of one text or of two."""
        tokens = [*self.before, *first, *(self.between if second else self.after)]
        segments = [0] * len(tokens)
        if second:
            tokens += [*second, *self.after]
            segments += [1] * (len(tokens) - len(segments))
        return tokens, segments
