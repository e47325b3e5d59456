"""Teachers without layers to match, for stage 5 alone: a classifier that is not a BERT, or a file of a teacher's logits.

A student learns their answers (paper, Eq. 10); their vocabulary and their kind of layers need not be the student's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from reprlib import repr as short

import numpy as np
import torch
import transformers

from tinybert_lite.data.tables import LARGEST, Row, stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.models.configuration import SIZES
from tinybert_lite.models.cost import card, milliseconds_a_row, parts_of
from tinybert_lite.models.folder import is_bert
from tinybert_lite.models.loading import SAFELY
from tinybert_lite.models.weights import weights_file
from tinybert_lite.system import processes
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json
from tinybert_lite.system.lines import lines_of

Text = tuple[str, str | None]  # a row's one or two texts


class OtherClassifier:
    """A Hugging Face sequence classifier of any architecture, with its own tokenizer."""

    def __init__(
        self, folder: Path, task: Task, max_length: int, batch_size: int = 64, device: str = "cpu"
    ):
        """Rows are cut at `max_length` of its own tokens, or where its positions end.

        Raises UserError for other labels than the task's, for files that make no classifier, or none that was fine-tuned.
        """
        self.folder, self.task, self.batch_size, self.device = folder, task, batch_size, device
        self.order = class_order(folder, task)
        if weights_file(folder) is None:
            raise UserError(
                f"{folder} holds no weights: put the classifier's model.safetensors or pytorch_model.bin there"
            )
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **SAFELY)
            model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, weights_only=True, dtype=torch.float32, output_loading_info=True, **SAFELY
            )
            self.model = model.eval().to(device)
        except Exception as error:  # damaged and hostile files make transformers, safetensors and PyTorch raise many kinds
            raise _unusable(folder, error) from None
        if lost := sorted(report["missing_keys"]):
            raise UserError(
                f"{weights_file(folder)} lacks {lost[0]} ({len(lost)} tensors in all): use a classifier that was fine-tuned on {task.name}"
            )
        pieces, places = len(self.tokenizer), model.get_input_embeddings().num_embeddings
        if (
            not places // 2 < pieces <= places or self.tokenizer.pad_token is None
        ):  # without files transformers makes an empty one
            raise UserError(
                f"{folder}: a tokenizer of {pieces} pieces, padding with {self.tokenizer.pad_token}, does not belong to a model of "
                f"{places}: put the model's own tokenizer files there"
            )
        self.max_length = min(max_length, self.tokenizer.model_max_length, _positions(model))

    def batch(self, texts: list[Text]) -> dict[str, torch.Tensor]:
        """What the model reads, (B, L) each."""
        first, second = ([text[side] for text in texts] for side in (0, 1))
        found = self.tokenizer(
            first,
            None if second[0] is None else second,
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        wanted = inspect.signature(self.model.forward).parameters
        return {name: tensor.to(self.device) for name, tensor in found.items() if name in wanted}

    @torch.inference_mode()
    def logits(self, rows: Iterable[Row]) -> np.ndarray:
        """(n, K) in the order of the rows and of the task's labels. Texts that are alike are read once, long ones first."""
        numbers: dict[Text, int] = {}
        place = [numbers.setdefault((row.text_a, row.text_b), len(numbers)) for row in rows]
        texts, parts = list(numbers), []
        order = sorted(range(len(texts)), key=lambda i: -sum(len(side or "") for side in texts[i]))
        batches = [
            order[start : start + self.batch_size]
            for start in range(0, len(order), self.batch_size)
        ]
        for turn, some in enumerate(batches):
            if turn % processes.count() == processes.number():
                parts.append(
                    (
                        some,
                        self.model(**self.batch([texts[i] for i in some]))
                        .logits.float()
                        .cpu()
                        .numpy(),
                    )
                )
            if turn % 20 == 19:
                say(f"teacher {self.folder.name}: batch {turn + 1} of {len(batches)} is read")
        found = np.empty((len(texts), len(self.order)), np.float32)
        for some, values in processes.gathered(parts):
            found[some] = values[:, self.order]
        if not np.isfinite(found).all():
            raise UserError(
                f"{weights_file(self.folder)}: the teacher answers with NaN or infinity; take another checkpoint"
            )
        return on_the_scale(found[place], self.task)

    def cost(self, rows: list[Row]) -> dict:
        """As `cost.cost`: multiply-adds are counted in one forward pass, since each architecture has its own formula."""
        from torch.nn.attention import SDPBackend, sdpa_kernel
        from torch.utils.flop_counter import FlopCounterMode

        blocks = {"embeddings": 0, "encoder": 0, "classifier": 0}
        for name, parameter in self.model.named_parameters():
            inside = name.startswith(f"{self.model.base_model_prefix}.") and ".pooler." not in name
            blocks[
                "embeddings" if ".embeddings." in name else "encoder" if inside else "classifier"
            ] += parameter.numel()
        texts = [(row.text_a, row.text_b) for row in rows]
        batches = [self.batch([texts[i] for i in part]) for part in parts_of(len(texts))]
        length = round(
            sum(float(batch["attention_mask"].sum()) for batch in batches)
            / sum(len(batch["input_ids"]) for batch in batches)
        )
        one = {
            name: tensor[:1, :1].expand(1, length).contiguous()
            for name, tensor in batches[0].items()
        }
        with (
            torch.inference_mode(),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            self.model(**one)
        return card(
            blocks,
            counter.get_total_flops() // 2,
            length,
            milliseconds_a_row(lambda batch: self.model(**batch).logits, batches),
        )


def _unusable(folder: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:150]
    return UserError(
        f"{folder} is no classifier that can be read here ({type(error).__name__}: {reason}); save it again with save_pretrained, with its tokenizer"
    )


def _positions(model) -> int:
    """Tokens that the model has positions for; RoBERTa and its kin number them after their padding token."""
    starts = [
        getattr(module, "padding_idx", None)
        for name, module in model.named_modules()
        if name.endswith("position_embeddings")
    ]
    taken = next((start + 1 for start in starts if start is not None), 0)
    places = getattr(model.config, "max_position_embeddings", None) or 0
    return places - taken if places > 0 else 10**9  # XLNet's are endless, -1


def class_order(folder: Path, task: Task) -> list[int]:
    """Where the task's labels stand among a classifier's: by the words of its id2label where these are the labels, else as they come.

    Raises UserError where their numbers differ.
    """
    transformers.logging.set_verbosity_error()  # what it remarks on files is said here in one sentence
    transformers.logging.disable_progress_bar()
    path = folder / "config.json"
    _check_sizes(path, read_json(path).get)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **SAFELY)
        words = [str(config.id2label[number]) for number in range(config.num_labels)]
    except Exception as error:  # transformers raises many kinds for values that make no sense
        raise _unusable(folder, error) from None
    _check_sizes(
        path, lambda name: getattr(config, name, None)
    )  # architectures have names of their own for the same sizes
    if len(words) != task.num_labels:
        raise UserError(
            f"{path} has {len(words)} outputs ({', '.join(words)}), but {task.name} needs {task.num_labels} "
            f"({', '.join(task.labels) or 'a number'}): use a classifier that was fine-tuned on {task.name}"
        )
    if order := task.order_of(words):
        return order
    if task.labels:
        say(
            f"teacher {folder.name}: its labels are taken in their order: {', '.join(f'{word} is {label}' for word, label in zip(words, task.labels))}"
        )
    return list(range(len(words)))


def _check_sizes(path: Path, get: Callable) -> None:
    """Nothing is allocated for a config.json of absurd sizes."""
    for name, most in SIZES.items():
        if isinstance(value := get(name), int) and value > most:
            raise UserError(f"{path}: its {name} of {short(value)} is more than {most:,}; mend it")


def read_logits(path: Path, task: Task, rows: Path) -> np.ndarray:
    """A file of logits for each row of `rows`, (n, K): .npy, or a TSV whose header names the task's labels, in any order.

    Raises UserError with the line for another number of rows or columns, an unknown label, and what is no finite number.
    """
    is_array = path.suffix == ".npy"
    found = _from_array(path, task) if is_array else _from_tsv(path, task)
    count = sum(1 for _ in stream_table(rows, task).rows)
    if len(found) != count:
        last = f"row {len(found)}" if is_array else f"line {len(found) + 1}"
        raise UserError(
            f"{path}, {last}: is the last of {len(found)} rows of logits, but {rows} has {count} rows: give one for each, in their order"
        )
    return on_the_scale(found, task)


def on_the_scale(answers: np.ndarray, task: Task) -> np.ndarray:
    """A regression's numbers, which come in the labels' unit, as they are learnt; logits as they are. (n, K)"""
    return (answers - task.offset) / task.scale if task.is_regression else answers


def _from_array(path: Path, task: Task) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        shape, kind = found.shape, found.dtype.kind
    except Exception as error:  # NumPy raises many kinds for what is no array
        raise UserError(
            f"{path} is no array that NumPy can read without running code ({short(str(error))}); write it with numpy.save"
        ) from None
    if kind != "f" or shape[1:] != (task.num_labels,):
        raise UserError(
            f"{path} holds an array {shape} of {found.dtype}, but logits for {task.name} are floats (rows, {task.num_labels}); save such an array"
        )
    good = (np.abs(found.astype(np.float64)) < LARGEST).all(axis=1)
    if not good.all():
        raise UserError(
            f"{path}, row {int(np.argmin(good)) + 1}: holds NaN or infinity; take the logits from a teacher that gives numbers"
        )
    return np.array(found, np.float32)


def _from_tsv(path: Path, task: Task) -> np.ndarray:
    lines, width = lines_of(path), task.num_labels
    names = next(lines, "").split("\t")
    unknown = [name for name in names if task.labels and name not in task.labels]
    if unknown or len(names) != width or len(set(names)) != width:
        what = (
            f"unknown label {short(unknown[0])}"
            if unknown
            else f"{len(names)} columns {short(names)}"
        )
        raise UserError(
            f"{path}, line 1: {what}; the header names {', '.join(task.labels) or 'one column of numbers'}, in any order, with tabs between"
        )
    order = [names.index(label) for label in task.labels] or [0]
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            values = [float(cell) for cell in line.split("\t")]
            if len(values) != width or not all(abs(value) < LARGEST for value in values):
                raise ValueError
        except ValueError:
            raise UserError(
                f"{path}, line {number}: {short(line)} is not {width} finite numbers with tabs between; write a logit for each label"
            ) from None
        found.append([values[place] for place in order])
    return np.array(found, np.float32).reshape(-1, width)


def check_other_teacher(workspace) -> None:
    """Raise UserError, before minutes are spent, for a file of logits or a classifier that does not fit the task."""
    if workspace.given_logits:
        read_logits(workspace.given_logits, workspace.task, workspace.task_rows)
    elif not is_bert(workspace.given_task_teacher):
        class_order(workspace.given_task_teacher, workspace.task)
