"""Models by name: a local folder, or else a model of the Hugging Face hub."""

import re
from pathlib import Path

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.tokenizers import TOKENIZER_FILES
from tinybert_lite.models.weights import WEIGHTS, find_weights
from tinybert_lite.system.errors import UserError

# A mistyped path must not become a download, so these are paths: names that begin with a dot, ~ or
# a folder of the course, and names with a backslash or two slashes.
_LOOKS_LIKE_A_PATH = re.compile(r"[.~]|\d_|teacher_model|student_model|SST-2|.*\\|.*/.*/|$")


def local_folder(name: str | Path) -> ModelFolder:
    """Return the folder `name` if it exists, else fetch the hub's model `owner/name` or `name`.

    Raises UserError for a missing path, and if the hub cannot be reached or has no such model.
    """
    path, text = Path(name), str(name)
    if path.is_dir():
        return ModelFolder(path)
    if path.is_absolute() or path.suffix or _LOOKS_LIKE_A_PATH.match(text):
        raise UserError(
            f"{text} is missing: name a model folder, or a model of the Hugging Face hub such as "
            f"bert-base-uncased"
        )
    try:
        return ModelFolder(hub_model(text))
    except Exception as error:  # many kinds of errors: no network, no such model, a proxy's answer
        raise UserError(
            f"there is no folder {text}, and no model of this name could be fetched from the "
            f"Hugging Face hub ({type(error).__name__}); check the name, or, without a network, "
            f"put the model's config.json, tokenizer files and weights into a folder and name it"
        ) from None


def hub_model(name: str, **where) -> Path:
    """Fetch config.json, the tokenizer and one kind of weights of a model; return its folder.

    where: further arguments of `snapshot_download`.
    """
    from huggingface_hub import snapshot_download

    for weights in WEIGHTS:
        folder = Path(
            snapshot_download(
                name,
                allow_patterns=["config.json", *TOKENIZER_FILES, *_parts(weights)],
                etag_timeout=5,
                **where,
            )
        )
        if find_weights(folder):
            break
    return folder


def _parts(weights: str) -> list[str]:
    """Return the glob patterns of a weights file, of its index and of its shards."""
    stem, _, suffix = weights.partition(".")
    return [weights, f"{weights}.index.json", f"{stem}-*.{suffix}"]
