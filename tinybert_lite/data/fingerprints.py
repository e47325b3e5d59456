"""SHA-256 of what a stage reads: a file, a model folder, sequences, a task's rows, a corpus."""

from os import PathLike
from pathlib import Path

from tinybert_lite.data.corpora import files_below
from tinybert_lite.data.tables import holds_ids
from tinybert_lite.models.folder import ModelFolder, TokenizerFolder, fingerprint_of
from tinybert_lite.models.student import DerivedStudent
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import sha256


def fingerprint(place: PathLike) -> str:
    """Return the SHA-256 of a file, or of the files that a stage reads in a folder.

    In a model folder these are the files of `ModelFolder.fingerprint`; in any other folder the
    sequences and rows, or all files if there are none (a corpus). Raises UserError for a path that
    does not exist.
    """
    path, model = Path(place), ModelFolder.at(place)
    if isinstance(model, DerivedStudent):
        return model.fingerprint
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        raise UserError(f"{path} is missing; run the stage that makes it, or name another path")
    if model.has_config or isinstance(model, TokenizerFolder):
        return model.fingerprint
    rows = [*path.glob("epoch_*.json"), *path.glob("*.tsv"), *filter(holds_ids, path.iterdir())]
    return fingerprint_of(path, sorted(rows) or files_below(path))
