"""Masked-LM examples from plain text: sentences packed to a length, a new mask in each epoch."""

import random
from collections.abc import Iterator

import torch

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.corpus import TokenisedCorpus, pieces_by_id
from tinybert_lite.method.masking import mask_tokens, random_pieces, with_inner

IGNORED = -100  # the target of a position that is not predicted


def packed(
    corpus: TokenisedCorpus, tokenizer, max_length: int, short_seq_prob: float, seed: int
) -> Examples:
    """Pack each document's sentences into rows `[CLS] sentences [SEP]` of at most `max_length`.

    A sentence is cut only if it is longer than a row. A share of `short_seq_prob` of the rows gets
    a random shorter length, since later tasks have short rows.
    """
    rng, room = random.Random(seed), max_length - 2
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id

    def target() -> int:
        return rng.randint(min(8, room), room) if rng.random() < short_seq_prob else room

    def documents() -> Iterator[tuple[list[list[int]], list[int]]]:
        for number in range(len(corpus)):
            rows, waiting, wanted = [], [], target()
            for place in corpus.document(number):
                sentence = corpus.sentence(place)
                for part in (sentence[i : i + room] for i in range(0, len(sentence), room)):
                    if waiting and len(waiting) + len(part) > wanted:
                        rows.append([cls, *waiting, sep])
                        waiting, wanted = [], target()
                    waiting = waiting + part
            rows.append([cls, *waiting, sep])
            yield rows, [len(row) for row in rows]

    return Examples.joined(documents())


class Masked:
    """`Examples` whose batches are masked: whole words, 80/10/10, random by (seed, epoch, row)."""

    def __init__(
        self, examples: Examples, tokenizer, probability: float, seed: int, epoch: int = 0
    ):
        self.examples, self.probability, self.seed, self.epoch = examples, probability, seed, epoch
        pieces = pieces_by_id(tokenizer.get_vocab())
        self.lengths, self.size = examples.lengths, len(pieces)
        self.pieces = with_inner(pieces)
        self.plain = {piece: i % self.size for i, piece in enumerate(self.pieces)}
        special = tokenizer.all_special_tokens
        self.others, self.unknown = random_pieces(self.pieces, special), tokenizer.unk_token_id
        self.names = {
            "fixed": (tokenizer.cls_token, tokenizer.sep_token),
            "mask": tokenizer.mask_token,
        }

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, rows) -> dict[str, torch.Tensor]:
        """Return `Examples.batch` with masked input_ids and targets, (B, L) each.

        A target is the original id at a masked position, else IGNORED.
        """
        batch = self.examples.batch(rows)
        ids = batch["input_ids"]
        plain = ids % self.size
        targets = torch.full_like(ids, IGNORED)
        for i, (row, length) in enumerate(zip(rows, batch["attention_mask"].sum(1).tolist())):
            tokens = [self.pieces[t] for t in ids[i, :length].tolist()]
            rng = random.Random(f"{self.seed} {self.epoch} {row}")
            masked, places, _ = mask_tokens(
                tokens, rng, self.probability, length, True, self.others, **self.names
            )
            targets[i, places] = plain[i, places]
            ids[i, :length] = torch.tensor([self.plain[token] for token in masked])
        targets[targets == self.unknown] = IGNORED  # [UNK] is never a target
        return {**batch, "targets": targets}
