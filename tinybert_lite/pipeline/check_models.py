"""Open every model that a run will read, before the first stage starts."""

from itertools import islice

import numpy as np

from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tables import holds_ids, label_ids, stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.method.objectives import check_heads
from tinybert_lite.models.folder import KIND_LOGITS, ModelFolder
from tinybert_lite.models.load_tensors import CLASSIFIER_PART
from tinybert_lite.models.loading import check_same_tokenizer, load_classifier, load_with_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import at_chance, scores
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.task_models import check_order
from tinybert_lite.stages.teachers import OtherClassifier, check_other_teacher
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError

FIRST_ROWS = 128  # dev rows on which a given teacher's outputs are checked
STAGES_OF_GENERAL_TEACHER = {
    "data_augmentation",
    "pregenerate_training_data",
    "general_distill",
    "finetune_teacher",
}
STAGES_OF_TASK_TEACHER = {"task_distill_mid", "task_distill_out"}


def check_models(workspace: Workspace, settings: Settings, todo: list[str]) -> None:
    """Open the models that the stages `todo` (names) read: weights, tokenizers, heads, layers.

    Raises UserError for a model that cannot be read or does not fit the task or another model.
    """
    lower_case, task = settings.lower_case, workspace.task
    teacher, student = workspace.teacher, workspace.student_source
    given, augmenting = workspace.given_task_teacher, workspace.augmentation_model
    if teacher.has_config and teacher.weights_file and STAGES_OF_GENERAL_TEACHER & {*todo}:
        classes = task.num_labels if "finetune_teacher" in todo else 0
        load_with_tokenizer(teacher, lower_case, num_labels=classes, projection="none")
    if "data_augmentation" in todo and augmenting.has_config and settings.data_augmentation.N:
        _check_augmentation(augmenting, workspace, lower_case)
    if STAGES_OF_TASK_TEACHER & {*todo}:
        check_other_teacher(workspace)
        if given and workspace.task_teacher.kind != KIND_LOGITS:
            check = _check_other if workspace.why_layers_are_not_matched else _check_given
            check(workspace, settings)
    if student.has_config and teacher.has_config:
        for stage in ("general_distill", "task_distill_mid"):
            general = stage == "general_distill"
            layers = teacher if general else _task_teacher_for_layers(workspace, teacher)
            if stage in todo and (general or not workspace.why_layers_are_not_matched):
                _check_layers(stage, student, layers, settings)


def _check_given(workspace: Workspace, settings: Settings) -> None:
    """Check a task teacher whose layers are matched."""
    task, lower_case = workspace.task, settings.lower_case
    found = load_classifier(workspace.task_teacher, task, lower_case)
    if CLASSIFIER_PART in found.new_parts:
        raise UserError(
            f"{found.folder} holds no classifier, so it was not fine-tuned on {task.name}; pass it "
            f"with --teacher_model instead, and run_all fine-tunes a copy of it"
        )
    if workspace.student_has_weights:
        student = load_with_tokenizer(workspace.student_source, lower_case, projection="none")
        check_same_tokenizer(student, found)
    length = settings.task_distill_out.max_seq_length
    dev = workspace.data_file(task.dev_files[0])
    examples = task_examples(dev, task, found.tokenizer, length, FIRST_ROWS)
    _check_outputs(task, predict(found.model, examples), examples.labels, found.folder)


def _check_other(workspace: Workspace, settings: Settings) -> None:
    """Check a task teacher that teaches the prediction layer only."""
    task, length = workspace.task, settings.task_distill_out.max_seq_length
    teacher = OtherClassifier(workspace.task_teacher, task, length)
    dev = workspace.data_file(task.dev_files[0])
    if not holds_ids(dev):
        rows = list(islice(stream_table(dev, task).rows, FIRST_ROWS))
        labels = np.array(label_ids(rows, task))
        _check_outputs(task, teacher.logits(rows), labels, workspace.task_teacher)


def _check_outputs(task: Task, logits: np.ndarray, labels: np.ndarray, teacher) -> None:
    """Check the order of a teacher's outputs, and print a remark if it is at chance level.

    logits: (n, K), labels: (n,), of the first dev rows. Stages 4 and 5 check all rows.
    """
    check_order(task, logits, labels, teacher)
    if weak := at_chance(task, scores(task, logits, labels), labels):
        remark(f"warning: {teacher}: on the first {len(labels)} dev rows, {weak}")


def _task_teacher_for_layers(workspace: Workspace, teacher: ModelFolder) -> ModelFolder:
    given = workspace.given_task_teacher
    return workspace.task_teacher if given and workspace.task_teacher.has_layers else teacher


def _check_augmentation(model: ModelFolder, workspace: Workspace, lower_case: bool | None) -> None:
    if model.has_masked_lm:
        load_with_tokenizer(model, lower_case, masked_lm=True)
    elif workspace.given_augmentation_model:
        raise UserError(
            f"--augmentation_model {model} holds no masked-LM head; name a model that has one"
        )
    else:
        say(
            f"stage 1: {model.name} has no masked-LM head, so candidates come from word vectors "
            f"alone; --augmentation_model DIR names a model with that head, and "
            f"--set data_augmentation.N=0 makes no variants"
        )


def _check_layers(
    stage: str, student: ModelFolder, teacher: ModelFolder, settings: Settings
) -> None:
    """Raise UserError, with the setting that helps, for layers or heads that do not map."""
    options, configs = getattr(settings, stage), (student.config, teacher.config)
    M, N = (config.num_hidden_layers for config in configs)
    try:
        layer_mapping(options.mapping, M, N)
    except UserError as error:
        cure = f"; set --set {stage}.mapping=top" * (M <= N)
        raise UserError(f"{stage}: {error}{cure}") from None
    if options.attention_weight and teacher.yields_scores and student.yields_scores:
        try:
            check_heads(*(config.num_attention_heads for config in configs), options.heads)
        except UserError as error:
            raise UserError(
                f"{stage}: {error}; set --set {stage}.heads=skip, which leaves out the attention "
                f"loss"
            ) from None
    elif options.attention_weight:
        without = student if teacher.yields_scores else teacher
        say(
            f"{stage}: transformers does not give access to the attention scores of the family "
            f"{without.family}, so only hidden states are matched"
        )
