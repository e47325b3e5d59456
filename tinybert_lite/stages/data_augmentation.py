"""Stage 1, data augmentation (paper, Algorithm 1): make more training rows by replacing words.

Reads `train.tsv`, a BERT with its masked-LM head and word vectors; writes `aug.tsv`, with the same
columns, into `1_pre_data/`. Each original row is followed by its variants.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

import torch

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.stop_words import STOP_WORDS
from tinybert_lite.data.tables import Table, read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode, joiner, whole_words, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method import augmentation
from tinybert_lite.method.augmentation import Candidates, Place, is_word
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.settings import Augmenting
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system import processes
from tinybert_lite.system.console import progress, remark, say
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.training.frozen import prepare_linears

BLOCK = 200  # rows between two saved states, at most
CHARACTERS = 1_000_000  # in the texts of these rows; fewer rows if they are longer


class Augmenter:
    """Find candidates for the words of many texts in few forward passes, and make variants."""

    def __init__(
        self,
        model,
        tokenizer,
        vectors: WordVectors,
        settings: Augmenting,
        device: str = "cpu",
        precision: str = "no",
        language: str = "en",
        reading=None,
        packed: bool = False,
    ):
        """reading: the tokenizer that splits texts into words, if it is not the model's own.

        precision, packed: see `prepare_linears`; the model can then compute in this way only."""
        self.reading = reading or tokenizer
        self.model = model and prepare_linears(model.eval().to(device), precision, packed)
        self.tokenizer, self.vectors = tokenizer, vectors
        self.settings, self.device, self.language = settings, device, language
        self.bf16 = precision == "bf16"
        self.join = joiner(self.reading, language)
        found = whole_words(tokenizer, language).items()
        usable = {i: word for i, word in found if self.may_stand_in(word)}
        # The candidates of a masked word, and their ids.
        self.usable = [*usable.values()]
        self.usable_ids = torch.tensor([*usable], dtype=torch.long, device=device)
        self.single_pieces = set(self.usable) if model else set()

    def words(self, text: str) -> list[str]:
        """Split a text into words, see `data.tokens.words`."""
        return words(self.reading, text, self.language)

    def may_stand_in(self, word: str) -> bool:
        """Whether a word may be a candidate: made of letters, and no Chinese function word.

        Function words fit nearly anywhere in Chinese and would replace better candidates.
        """
        return is_word(word) and not (self.language == "zh" and word in STOP_WORDS["zh"])

    def eligible(self, text_words: list[str]) -> list[int]:
        """List the indices of the words that may be replaced: made of letters, no stop words."""
        stop_words = STOP_WORDS.get(self.language, ())
        return [
            i
            for i, word in enumerate(text_words)
            if is_word(word) and word.lower() not in stop_words
        ]

    def candidates(self, texts: list[list[str]]) -> list[Candidates]:
        """Return for each text, a list of words, its eligible words' candidates: index -> words.

        Words without candidates are left out; with N = 0 there are none."""
        if not self.settings.N:
            return [{} for _ in texts]
        return augmentation.find_candidates(
            texts,
            self.eligible,
            self.single_pieces,
            lambda places: self._by_masked_lm(texts, places),
            lambda places: self._by_vectors(texts, places),
        )

    def _by_vectors(self, texts: list[list[str]], places: list[Place]) -> list[list[str]]:
        """Return the M nearest words for the word at each place; none if it has no vector."""
        words = [texts[t][place].lower() for t, place in places]
        near = self.vectors.neighbours(words, self.settings.M)
        return [[word for word in near.get(own, []) if self.may_stand_in(word)] for own in words]

    @torch.inference_mode()
    def _by_masked_lm(self, texts: list[list[str]], places: list[Place]) -> list[list[str]]:
        """Return the M most probable words for each place, which is masked in a copy of its text.

        context="original" (its older name is "pair"): the unmasked text is the second segment, as
        in the original code, so that the model can see the masked word.
        """
        found: list[list[str]] = [[] for _ in places]
        mask, read = self.tokenizer.mask_token, [self._read_part(text) for text in texts]
        seen = [(i, t, place) for i, (t, place) in enumerate(places) if place < len(read[t])]
        masked = [
            self.join([*read[t][:place], mask, *read[t][place + 1 :]]) for _, t, place in seen
        ]
        original = self.settings.context in ("original", "pair")
        whole = [self.join(read[t]) for _, t, _ in seen] if original else None
        # One more than M, since the word itself may be among them.
        k = min(self.settings.M + 1, len(self.usable))
        if not seen:
            return found
        examples = encode(masked, whole, self.tokenizer, self.settings.max_seq_length)
        for rows, batch in in_order(examples, self.settings.batch_size, similar=0.9):
            at = batch["input_ids"] == self.tokenizer.mask_token_id
            at &= at.cumsum(1) == 1  # a text may contain the word [MASK]: use the first one only
            kept = at.any(1).numpy()  # in a long text the masked place may be truncated
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
                scores = self.model(batch, masked_lm=at.to(self.device)).masked_lm
                scores = scores[:, self.usable_ids]
            for row, best in zip(rows[kept].tolist(), scores.topk(k, dim=-1).indices.tolist()):
                number, t, place = seen[row]
                options = dict.fromkeys(self.usable[i] for i in best)
                others = [word for word in options if word != texts[t][place]]
                found[number] = others[: self.settings.M]
        return found

    def _read_part(self, text: list[str]) -> list[str]:
        """Drop the words at the end that are beyond the model's longest input."""
        most = min(self.settings.max_seq_length, self.tokenizer.model_max_length)
        count = most  # a word has a token or more, but in Chinese a token may be two characters
        while count < len(text) and len(self.tokenizer.tokenize(self.join(text[:count]))) < most:
            count *= 2
        return text[:count]

    def variants(
        self, text_words: list[str], candidates: Candidates, rng: random.Random
    ) -> list[str]:
        """Make at most N different new texts, see `method.augmentation.draw_variants`."""
        return augmentation.draw_variants(
            text_words, candidates, rng, self.settings.N, self.settings.p, self.join
        )


def augment_table(
    table: Table, task: Task, augmenter: Augmenter, seed: int, first: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (rows done, lines of the augmented file) per block, starting at the row `first`.

    For a pair of texts, one text is varied while the other is left unchanged. Every row has its
    own random numbers, so the lines do not depend on blocks, on `first`, or on the number of
    processes. Each process makes one block at a time; all processes get the lines of all.
    """
    sides = [table.places["text_a"]] + ([table.places["text_b"]] if task.text_b else [])
    parts, count = parts_of(table, first), processes.count()
    for turn in range(0, len(parts), count):
        together = parts[turn : turn + count]
        mine = together[processes.number()] if processes.number() < len(together) else range(0)
        rows = table.rows[mine.start : mine.stop]
        texts = [augmenter.words(row.fields[side]) for row in rows for side in sides]
        found = iter(zip(texts, augmenter.candidates(texts)))
        block: list[str] = []
        for number, row in zip(mine, rows):
            block.append("\t".join(row.fields))
            rng = random.Random(f"{seed} {number}")
            for side in sides:
                for variant in augmenter.variants(*next(found), rng):
                    block.append("\t".join((*row.fields[:side], variant, *row.fields[side + 1 :])))
        yield together[-1].stop, processes.gathered(block)


def parts_of(table: Table, first: int = 0) -> list[range]:
    """Divide the rows from `first` on into blocks of at most BLOCK rows and about CHARACTERS."""
    parts, start, size = [], first, 0
    for number in range(first, len(table.rows)):
        row = table.rows[number]
        size += len(row.text_a) + len(row.text_b or "")
        if number + 1 - start == BLOCK or size >= CHARACTERS or number + 1 == len(table.rows):
            parts.append(range(start, number + 1))
            start, size = number + 1, 0
    return parts


def work(job: Job) -> dict:
    options, task, device = job.options, job.task, job.session.device
    table = read_table(job.reads["train"], task)
    table = replace(table, rows=table.rows[: options.max_rows or None])
    folder, reading = job.reads["teacher"], None
    if "vocabulary" in job.reads:
        reading = load_tokenizer(job.reads["vocabulary"], job.settings.lower_case)
    if folder.has_masked_lm and options.N:
        found = job.load("teacher", masked_lm=True)
        model, tokenizer = found.model, found.tokenizer
    else:
        model, tokenizer = None, folder.tokenizer(job.settings.lower_case)
    if options.N and not model:
        remark(
            f"stage 1: {folder} has no masked-LM head, so candidates come from word vectors alone"
        )
    augmenter = Augmenter(
        model,
        tokenizer,
        WordVectors.read(job.reads["vectors"]),
        options,
        device.name,
        device.precision,
        task.language,
        reading,
        device.packed,
    )
    file, total = GrowingFile(job.folder / "aug.tsv", job.session.identity), len(table.rows)
    done, lines = file.state.get("rows", 0), file.state.get("lines", 0)
    if done:
        say(f"data augmentation: resuming from row {done} of {total}")
    header = ["\t".join(table.header)] if table.header and not done else []
    blocks = progress(
        augment_table(table, task, augmenter, job.session.seed, done),
        f"data augmentation, blocks of {BLOCK} rows",
        -(-len(parts_of(table, done)) // processes.count()),
    )
    with file:
        for rows, block in blocks:
            lines += len(block)
            text = "".join(f"{line}\n" for line in header + block)
            file.add(text.encode("utf-8"), rows=rows, lines=lines)
            header = []
    say(
        f"data augmentation: {total} rows became {lines} in {file.path}, with vectors "
        f"{job.reads['vectors'].name}"
    )
    return {"rows": total, "augmented_rows": lines, "skipped_rows": len(table.skipped)}


STAGE = Stage(
    "data_augmentation",
    "1 data augmentation",
    reads=lambda ws, teacher=None, vectors=None: {
        "train": ws.data_file("train"),
        "teacher": teacher or ws.augmentation_model,
        "vectors": vectors or ws.vectors,
        **({"vocabulary": ws.vocabulary} if ws.given_augmentation_model and not teacher else {}),
    },
    folder=lambda ws: ws.augmentation,
    writes=("aug.tsv",),
    work=work,
    sources={"teacher": ("pretrain",)},
    skip_reason=lambda ws: (
        f"{ws.given_logits.name} has logits for the rows of train.tsv only"
        if ws.given_logits
        else ""
    ),
)
run = STAGE.run
