"""The choice of a workspace's general teacher and student if there are several."""

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.tokenizers import tokenizer_difference
from tinybert_lite.pipeline.folders import CLASSROOM, Folders
from tinybert_lite.system.errors import UserError


def resolve_teacher(folder: ModelFolder, workspace: Folders) -> ModelFolder:
    """Return the teacher for a folder: the model in it, else the model in its classroom/.

    If `teacher_model` holds no model, it is the shipped teacher, else the small teacher that stage
    `pretrain` makes. Raises UserError for a model without weights or without a config.json, and if
    there is no model.
    """
    grown = folder.path.resolve() == workspace.grown_teacher
    if folder.has_config and not folder.weights_file and not grown:
        raise UserError(
            f"{folder} holds a config.json but no weights: put pytorch_model.bin, "
            f"model.safetensors or bert_model.ckpt.* beside it"
        )
    if folder.weights_file and not folder.has_config:
        raise UserError(
            f"{folder} holds weights but no config.json: put the model's config.json beside them"
        )
    if folder.has_config or grown:
        return folder
    inside = ModelFolder(folder.path / CLASSROOM)
    if inside.has_config and inside.weights_file:
        return inside
    if folder.path.resolve() != workspace.teacher_home.resolve():
        raise UserError(f"{folder} holds no model: it needs config.json, vocab.txt and weights")
    shipped = ModelFolder(workspace.shipped(workspace.teacher_home) / CLASSROOM)
    return shipped if shipped.weights_file else ModelFolder(workspace.grown_teacher)


COMPARED_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")


def may_be_pretrained_version_of(teacher: ModelFolder, task_teacher: ModelFolder) -> bool:
    """Whether a task teacher may be a fine-tuned copy: the same family, shape and tokenizer."""
    if not teacher.has_config or teacher.family != task_teacher.family:
        return False
    one, other = teacher.config, task_teacher.config
    if any(getattr(one, name) != getattr(other, name) for name in COMPARED_SIZES):
        return False
    return not tokenizer_difference(teacher.tokenizer(), task_teacher.tokenizer())


SHIPPED_STUDENTS = {  # width, layers and heads of a BERT -> its student in student_model/
    (768, 12, 12): "tinybert4",  # the paper's
    (256, 6, 4): CLASSROOM,
    (192, 6, 4): CLASSROOM,  # the default size of `pretrain`
    (192, 4, 4): CLASSROOM,
}


def shipped_student(teacher: ModelFolder) -> str:
    """Name the shipped student for a teacher, or "" if it gets a derived one."""
    if not teacher.has_config:
        return CLASSROOM  # it will be pre-trained here, with as many attention heads as classroom/
    config = teacher.config
    size = config.hidden_size, config.num_hidden_layers, config.num_attention_heads
    return SHIPPED_STUDENTS.get(size, "") if config.model_type == "bert" else ""
