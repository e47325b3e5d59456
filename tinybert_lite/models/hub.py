"""A BERT with its vocabulary: from a local folder, or by its name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from tinybert_lite.models.tokenizers import TOKENIZER_FILES
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.system.errors import UserError

_looks_like_a_folder = re.compile(
    r"\d_|teacher_model|student_model|SST-2"
)  # a typo must not become a download


def local_folder(name: str | Path) -> Path:
    """A folder as it is; anything else that looks like `owner/name` or `name` is fetched from the hub into its cache."""
    path = Path(name)
    if path.is_dir():
        return path
    text = str(name)
    if (
        _looks_like_a_folder.match(text)
        or path.is_absolute()
        or text.startswith((".", "~"))
        or text.count("/") > 1
        or "\\" in text
        or path.suffix
        or not text
    ):
        raise UserError(
            f"{text} is missing: name a model folder, or a model of the Hugging Face hub such as bert-base-uncased"
        )
    try:
        from tinybert_lite.models.hub import hub_model

        return hub_model(text)
    except Exception as error:  # many kinds: no network, no such model, a proxy's answer
        raise UserError(
            f"there is no folder {text}, and it could not be fetched from the Hugging Face hub "
            f"({type(error).__name__}); check the name, or without a network put the model's config.json, vocab.txt "
            f"and pytorch_model.bin into a folder and name that"
        ) from None


def hub_model(name: str, **where) -> Path:
    """The folder of a hub's model: configuration, vocabulary and one file of weights, the preferred kind that there is."""
    from huggingface_hub import snapshot_download

    for weights in WEIGHTS:
        folder = Path(
            snapshot_download(
                name,
                allow_patterns=["config.json", *TOKENIZER_FILES, weights],
                etag_timeout=5,
                **where,
            )
        )
        if (folder / weights).is_file():
            break
    return folder
