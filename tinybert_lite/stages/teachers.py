"""Teachers without layers to match, for stage 5 only: other classifiers, and files of logits.

A student learns only their logits (paper, Eq. 10), so they may have another vocabulary and another
architecture than the student.
"""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from reprlib import repr as short

import numpy as np
import torch
import transformers

from tinybert_lite.data.logits import on_the_scale, read_logits
from tinybert_lite.data.tables import Row
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.auto_models import max_tokens_of
from tinybert_lite.models.configuration import SIZES
from tinybert_lite.models.cost import (
    card,
    count_multiply_adds,
    milliseconds_a_row,
    parameters_by_block,
    parts_of,
)
from tinybert_lite.models.folder import KIND_LOGITS, ModelFolder
from tinybert_lite.models.tokenizers import LOCAL_WITHOUT_CODE
from tinybert_lite.models.weights import read_weights
from tinybert_lite.system import processes
from tinybert_lite.system.console import progress, say
from tinybert_lite.system.errors import UserError, listed, one_line
from tinybert_lite.system.files import read_json

Text = tuple[str, str | None]  # a row's one or two texts


class OtherClassifier:
    """A Hugging Face sequence classifier of any architecture, with its own tokenizer."""

    def __init__(
        self,
        folder: ModelFolder | Path,
        task: Task,
        max_length: int,
        batch_size: int = 64,
        device: str = "cpu",
    ):
        """Rows are cut at `max_length` of the classifier's tokens, or at its number of positions.

        Raises UserError for files that are not a classifier, for another number of outputs than the
        task has labels, and for a classifier that was not fine-tuned.
        """
        self.folder = folder = ModelFolder.at(folder)
        self.task, self.batch_size, self.device = task, batch_size, device
        self.order = class_order(folder, task)
        if folder.weights_file is None:
            raise UserError(
                f"{folder} holds no weights: put the classifier's model.safetensors or "
                f"pytorch_model.bin there"
            )
        read_weights(folder.weights_file)  # refuses pointers, NaN and pickles that hold code
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, **LOCAL_WITHOUT_CODE
            )
            model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                weights_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **LOCAL_WITHOUT_CODE,
            )
            self.model = model.eval().to(device)
        except (
            Exception
        ) as error:  # transformers, safetensors and PyTorch raise errors of many kinds
            raise _unusable(folder, error) from None
        if lost := sorted(report["missing_keys"]):
            raise UserError(
                f"{folder.weights_file} lacks {lost[0]} ({len(lost)} tensors in all): use a "
                f"classifier that was fine-tuned on {task.name}"
            )
        pieces, places = len(self.tokenizer), model.get_input_embeddings().num_embeddings
        # Without tokenizer files transformers makes a tokenizer of special tokens alone.
        if not places // 2 < pieces <= places or self.tokenizer.pad_token is None:
            raise UserError(
                f"{folder}: a tokenizer of {pieces} pieces, padding with "
                f"{self.tokenizer.pad_token}, does not belong to a model of {places} word "
                f"embeddings: put the model's own tokenizer files there"
            )
        self.max_length = min(max_length, self.tokenizer.model_max_length, max_tokens_of(model))

    def batch(self, texts: list[Text]) -> dict[str, torch.Tensor]:
        """Tokenise texts into the model's inputs, (B, L) each."""
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
        """Return logits (n, K) in the order of the rows and of the task's labels.

        Identical texts are computed once, long texts first. Raises UserError for logits that are
        not finite.
        """
        numbers: dict[Text, int] = {}
        place = [numbers.setdefault((row.text_a, row.text_b), len(numbers)) for row in rows]
        texts, parts = list(numbers), []
        order = sorted(range(len(texts)), key=lambda i: -sum(len(side or "") for side in texts[i]))
        starts = range(0, len(order), self.batch_size)
        label = f"teacher {self.folder.name}, batches of {self.batch_size} rows"
        for turn, start in enumerate(progress(starts, label, len(starts))):
            if turn % processes.count() == processes.number():
                some = order[start : start + self.batch_size]
                found = self.model(**self.batch([texts[i] for i in some])).logits
                parts.append((some, found.float().cpu().numpy()))
        found = np.empty((len(texts), len(self.order)), np.float32)
        for some, values in processes.gathered(parts):
            found[some] = values[:, self.order]
        if not np.isfinite(found).all():
            raise UserError(
                f"{self.folder.weights_file}: the teacher's logits have NaN or infinity; use "
                f"another checkpoint"
            )
        return on_the_scale(found[place], self.task)

    def cost(self, rows: list[Row]) -> dict:
        """Return the fields of `models.cost.cost`; multiply-adds are counted in a forward pass."""
        batches = [
            self.batch([(rows[i].text_a, rows[i].text_b) for i in part])
            for part in parts_of(len(rows))
        ]
        lengths = torch.cat([batch["attention_mask"].sum(1) for batch in batches])
        length = round(float(lengths.float().mean()))
        one = {name: ids[:1, :1].expand(1, length).contiguous() for name, ids in batches[0].items()}
        return card(
            parameters_by_block(self.model),
            count_multiply_adds(lambda: self.model(**one)),
            length,
            milliseconds_a_row(lambda batch: self.model(**batch).logits, batches),
        )


def _unusable(folder: ModelFolder, error: Exception) -> UserError:
    return UserError(
        f"{folder} is not a classifier that can be read here ({type(error).__name__}: "
        f"{one_line(error)}); save it again with save_pretrained, with its tokenizer"
    )


def class_order(folder: ModelFolder, task: Task) -> list[int]:
    """Return the K indices of a classifier's outputs in the order of the task's labels.

    It is the order of id2label if its words are the task's labels, else 0, 1, 2 …. Raises
    UserError for another number of outputs.
    """
    transformers.logging.set_verbosity_error()  # errors are reported here in one sentence
    transformers.logging.disable_progress_bar()
    path = folder.config_file
    _check_sizes(path, read_json(path).get)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **LOCAL_WITHOUT_CODE)
        words = [str(config.id2label[number]) for number in range(config.num_labels)]
    except Exception as error:  # transformers raises errors of many kinds for invalid values
        raise _unusable(folder, error) from None
    # A second check: architectures have different names for the same sizes.
    _check_sizes(path, lambda name: getattr(config, name, None))
    if len(words) != task.num_labels:
        raise UserError(
            f"{path} has {len(words)} outputs ({listed(words)}), but {task.name} needs "
            f"{task.num_labels} ({listed(task.labels) or 'a number'}): use a classifier that "
            f"was fine-tuned on {task.name}"
        )
    if order := task.order_of(words):
        return order
    if task.labels:
        pairs = [f"{word} is {label}" for word, label in zip(words, task.labels)]
        say(
            f"{folder}: id2label does not name the labels of {task.name}, so outputs are taken in "
            f"the order of the task: {listed(pairs)}; if that is wrong, set id2label in config.json"
        )
    return list(range(len(words)))


def _check_sizes(path: Path, get: Callable) -> None:
    """Raise UserError for too large sizes in a config.json, before memory is allocated."""
    for name, most in SIZES.items():
        if isinstance(value := get(name), int) and value > most:
            raise UserError(f"{path}: its {name} of {short(value)} is more than {most:,}; fix it")


def check_other_teacher(workspace) -> None:
    """Raise UserError, before a stage runs, for logits or a classifier that do not fit the task."""
    teacher = workspace.task_teacher
    if teacher.kind == KIND_LOGITS:
        read_logits(teacher.path, workspace.task, workspace.task_rows)
    elif workspace.given_task_teacher and workspace.why_layers_are_not_matched:
        class_order(teacher, workspace.task)
