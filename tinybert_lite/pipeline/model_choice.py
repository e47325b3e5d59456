"""The choice of a workspace's general teacher and student if there are several."""

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.pipeline.folders import CLASSROOM, STUDENT_MODEL, Folders
from tinybert_lite.system.errors import UserError


def resolve_teacher(folder: ModelFolder, workspace: Folders) -> ModelFolder:
    """Return the teacher for a folder: the model in it, else the model in its classroom/.

    For a `teacher_model` without a model it is the shipped teacher, else the small teacher that
    stage `pretrain` makes.
    Raises UserError for a model without weights or without a config.json, and for no model at all.
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


def fitting_student(teacher: ModelFolder) -> str:
    """Name the shipped student for a teacher: classroom for 4 heads, tinybert4 or tinybert6 for 12.

    tinybert6 if the teacher's layers are no multiple of 4. Raises UserError for other numbers of
    heads.
    """
    heads = teacher.config.num_attention_heads
    if heads == 4:
        return CLASSROOM
    if heads == 12:
        return "tinybert6" if teacher.config.num_hidden_layers % 4 else "tinybert4"
    raise UserError(
        f"{teacher.config_file}: no shipped student has {heads} attention heads; put a config.json "
        f"with as many into {STUDENT_MODEL}/ or name one with --student_model"
    )
