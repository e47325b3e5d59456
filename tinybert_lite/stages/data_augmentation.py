"""Stage 1, data augmentation (paper, Algorithm 1): new training rows by replacing words.

    python -m tinybert_lite.data_augmentation --pretrained_bert_model teacher_model --glove_embs 1_pre_data/glove.6B.100d.txt \
        --glue_dir . --task_name SST-2

A word that is one word piece: mask it, take the masked LM's top M. A word of several pieces: its M nearest neighbours in
the word vectors. Each variant replaces every eligible word with probability p.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import torch

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.chinese import joined
from tinybert_lite.data.stop_words import STOP_WORDS
from tinybert_lite.data.tables import Table, read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method.augmentation import (
    Candidates,
    Place,
    draw_variants,
    find_candidates,
    is_word,
)
from tinybert_lite.models.loading import load_bert
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Augmenting, Settings
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system import processes
from tinybert_lite.system.console import progress, say
from tinybert_lite.system.growing import GrowingFile

BLOCK = 200  # rows between two saved states


class Augmenter:
    """Finds candidates for the words of many texts in few forward passes, and draws variants."""

    def __init__(
        self,
        model,
        tokenizer,
        vectors: WordVectors,
        settings: Augmenting,
        device: str = "cpu",
        precision: str = "no",
        language: str = "en",
    ):
        self.model, self.tokenizer, self.vectors, self.settings = (
            model.eval().to(device),
            tokenizer,
            vectors,
            settings,
        )
        self.device, self.bf16 = device, precision == "bf16"
        self.language, self.join = language, joined if language == "zh" else " ".join
        special = set(tokenizer.all_special_tokens)
        # Word pieces that may be a candidate: whole words, no special or unused token, no punctuation.
        self.usable = [
            piece
            for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
            if piece not in special and self.may_stand_in(piece)
        ]
        self.usable_ids = torch.tensor(tokenizer.convert_tokens_to_ids(self.usable), device=device)
        self.single_pieces = set(self.usable)

    def words(self, text: str) -> list[str]:
        return words(self.tokenizer, text, self.language)

    def may_stand_in(self, word: str) -> bool:
        """Any word; of Chinese ones no function word, for those fit nearly anywhere and push better candidates out."""
        return is_word(word) and not (self.language == "zh" and word in STOP_WORDS["zh"])

    def eligible(self, text_words: list[str]) -> list[int]:
        return [
            i
            for i, word in enumerate(text_words)
            if is_word(word) and word.lower() not in STOP_WORDS.get(self.language, ())
        ]

    def candidates(self, texts: list[list[str]]) -> list[Candidates]:
        """For each text (its words) the candidates of each eligible word; places with none are left out."""
        return find_candidates(
            texts,
            self.eligible,
            self.single_pieces,
            lambda places: self._by_masked_lm(texts, places),
            lambda places: self._by_vectors(texts, places),
        )

    def _by_vectors(self, texts: list[list[str]], places: list[Place]) -> list[list[str]]:
        """The M nearest words of each place's word; none for a word without a vector."""
        words = [texts[t][place].lower() for t, place in places]
        near = self.vectors.neighbours(words, self.settings.M)
        return [[word for word in near.get(own, []) if self.may_stand_in(word)] for own in words]

    @torch.inference_mode()
    def _by_masked_lm(
        self, texts: list[list[str]], places: list[tuple[int, int]]
    ) -> list[list[str]]:
        """The top M words for each masked place; one row of a forward pass a place, rows of like length together."""
        mask = self.tokenizer.mask_token
        masked = [
            self.join(texts[t][:place] + [mask] + texts[t][place + 1 :]) for t, place in places
        ]
        whole = (
            [self.join(texts[t]) for t, _ in places] if self.settings.context == "original" else None
        )
        found: list[list[str]] = [[] for _ in places]
        if not places:
            return found
        # One candidate more, for the word itself may be among them.
        k = min(self.settings.M + 1, len(self.usable))
        examples = encode(masked, whole, self.tokenizer, self.settings.max_seq_length)
        for rows, batch in in_order(examples, self.settings.batch_size, alike=0.9):
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            at = batch["input_ids"] == self.tokenizer.mask_token_id
            at &= at.cumsum(1) == 1  # a text may hold the word [MASK] itself; the first is enough
            kept = at.any(1).tolist()  # a long text may have lost its masked place
            with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
                scores = self.model(batch, masked_lm=at).masked_lm[:, self.usable_ids]
            best = iter(scores.topk(k, dim=-1).indices.tolist())
            for row, has_mask in zip(rows.tolist(), kept):
                if has_mask:
                    t, place = places[row]
                    options = [self.usable[i] for i in next(best)]
                    found[row] = [word for word in options if word != texts[t][place]][
                        : self.settings.M
                    ]
        return found

    def variants(
        self, text_words: list[str], candidates: Candidates, rng: random.Random
    ) -> list[str]:
        """At most N different new texts."""
        return draw_variants(
            text_words, candidates, rng, self.settings.N, self.settings.p, self.join
        )


def augment_table(table: Table, task: Task, augmenter: Augmenter, seed: int, first: int = 0):
    """Yield (rows done, lines of the augmented file) from the row `first` on: each original row once, then its variants.

    In a pair each text is varied while the other keeps its original words. Every row has a random stream of its own,
    so the result depends neither on how rows are grouped, nor on `first`, nor on the number of processes: each of those
    takes a block of rows, and all are given the lines of all.
    """
    sides = [table.places["text_a"]] + ([table.places["text_b"]] if task.text_b else [])
    for start in range(first, len(table.rows), BLOCK * processes.count()):
        block: list[str] = []
        done = min(start + BLOCK * processes.count(), len(table.rows))
        start += BLOCK * processes.number()
        rows = table.rows[start : start + BLOCK]
        texts = [augmenter.words(row.fields[side]) for row in rows for side in sides]
        found = augmenter.candidates(texts)
        for r, row in enumerate(rows):
            block.append("\t".join(row.fields))
            rng = random.Random(f"{seed} {start + r}")
            for s, side in enumerate(sides):
                place = r * len(sides) + s
                for variant in augmenter.variants(texts[place], found[place], rng):
                    block.append("\t".join((*row.fields[:side], variant, *row.fields[side + 1 :])))
        yield done, processes.gathered(block)


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task = settings.task
    options = settings.data_augmentation
    table = read_table(reads["train"], task)
    if options.max_rows:
        table = replace(table, rows=table.rows[: options.max_rows])
    vectors = WordVectors.read(reads["vectors"])
    teacher = load_bert(reads["teacher"], settings.lower_case, masked_lm=True)
    augmenter = Augmenter(
        teacher.model,
        teacher.tokenizer,
        vectors,
        options,
        session.device.name,
        session.device.precision,
        task.language,
    )
    file = GrowingFile(folder / "aug.tsv", session.identity)
    rows, lines = file.state.get("rows", 0), file.state.get("lines", 0)
    if rows:
        say(f"data augmentation: going on from row {rows} of {len(table.rows)}")
    blocks = augment_table(table, task, augmenter, session.seed, rows)
    header = ["\t".join(table.header)] if table.header and not rows else []
    with file:
        for rows, block in progress(
            blocks,
            f"data augmentation, blocks of {BLOCK} rows",
            -(-(len(table.rows) - rows) // (BLOCK * processes.count())),
        ):
            lines += len(block)
            file.add(
                "".join(f"{line}\n" for line in header + block).encode("utf-8"),
                rows=rows,
                lines=lines,
            )
            header = []
    say(
        f"data augmentation: {len(table.rows)} rows became {lines} in {folder / 'aug.tsv'}, with vectors {reads['vectors'].name}"
    )
    return {"rows": len(table.rows), "augmented_rows": lines, "skipped_rows": len(table.skipped)}


STAGE = Stage(
    "data_augmentation",
    "1 data augmentation",
    reads=lambda ws, teacher=None, vectors=None: {
        "train": ws.data_file("train"),
        "teacher": teacher or ws.teacher,
        "vectors": vectors or ws.vectors,
    },
    folder=lambda ws: ws.augmentation,
    writes=("aug.tsv",),
    work=work,
    sources={"teacher": ("pretrain",)},
    needless=lambda ws: (
        f"{ws.given_logits.name} is of the rows of train.tsv" if ws.given_logits else ""
    ),
)


def run(workspace, settings: Settings, force: bool = False):
    """Augment the workspace's training rows into `1_pre_data/aug.tsv`."""
    return STAGE.run(workspace, settings, force)
