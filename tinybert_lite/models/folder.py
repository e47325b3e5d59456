"""Where everything is: the only place that spells "3_general_distill" or "teacher_model"."""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.models.configuration import BERTS, config_file
from tinybert_lite.models.tokenizers import find_vocabulary
from tinybert_lite.system.files import read_json

PRE_DATA = "1_pre_data"  # of a workspace: a vocabulary may lie there too


def is_bert(teacher: Path | None) -> bool:
    """Whether it has the layers that stage 4 matches (a folder that says nothing counts as a BERT), unlike a file of logits.

    An ALBERT has them too, and word pieces to share with a student where it came with a vocab.txt.
    """
    if teacher is None or not config_file(teacher).is_file():
        return not (teacher and teacher.is_file())
    kind = read_json(config_file(teacher)).get("model_type", "bert")
    return kind in BERTS or kind == "albert" and find_vocabulary(teacher) is not None


def vocabulary_beside(folder: Path) -> Path | None:
    """A model folder's own vocabulary file, else one in 1_pre_data/ of the workspace around it."""
    return find_vocabulary(folder, *(parent / PRE_DATA for parent in folder.resolve().parents))
