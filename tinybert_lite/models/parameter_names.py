"""The names of a family's parameters: which belong to its classifier, and which to other heads."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForPreTraining

from tinybert_lite.method.auto_models import auto_class, output_layer_name


@dataclass(frozen=True)
class ParameterNames:
    """Names as in model files, where the encoder's names begin with `prefix`."""

    prefix: str  # of the encoder: "bert."
    word_embeddings: str  # of the word embeddings, without the prefix
    encoder_modules: frozenset[str]  # first parts of the encoder's names, without the prefix
    classifier: frozenset[str]  # names that only the classifier has
    classifier_weight: str  # the weight of the classifier's last layer, (K, D)
    masked_lm: frozenset[str]  # names that only the masked-LM head has, without tied weights
    of_all_heads: frozenset[str]  # names of all heads that transformers makes for the family

    def of_encoder(self, names: Iterable[str]) -> set[str]:
        """Return the names of encoder parameters."""
        return {name for name in names if name.startswith(self.prefix)}


@lru_cache
def names_of_family(model_type: str) -> ParameterNames:
    """Return a family's parameter names, from models with one layer (meta device: no memory)."""
    body = _one_layer(model_type, auto_class())
    prefix = f"{body.base_model_prefix}."
    embeddings = body.get_input_embeddings()
    word_embeddings = next(name for name, part in body.named_modules() if part is embeddings)
    of_kind, classifier_weight, tied = {}, "", ()
    for kind in (auto_class(num_labels=2), auto_class(masked_lm=True), AutoModelForPreTraining):
        try:
            model = _one_layer(model_type, kind)
        except ValueError:  # the family has no such model
            of_kind[kind] = set()
            continue
        of_kind[kind] = {name for name in model.state_dict() if not name.startswith(prefix)}
        if kind is auto_class(num_labels=2):
            classifier_weight = f"{output_layer_name(model)}.weight"
        elif kind is auto_class(masked_lm=True):
            tied = model._tied_weights_keys or ()
    classifier, masked_lm, _ = of_kind.values()
    return ParameterNames(
        prefix,
        f"{word_embeddings}.weight",
        frozenset(name.split(".")[0] for name in body.state_dict()),
        frozenset(classifier - masked_lm),
        classifier_weight,
        frozenset(masked_lm - classifier - {*tied}),
        frozenset().union(*of_kind.values()),
    )


def _one_layer(model_type: str, kind: type) -> nn.Module:
    config = CONFIG_MAPPING[model_type]()
    config.num_hidden_layers = 1
    with torch.device("meta"):
        return kind.from_config(config)


def as_in_files(names: Iterable[str], family: ParameterNames) -> dict[str, str]:
    """Map the names of a file to the family's names.

    Removed: a prefix that all names have (`module.`, `_orig_mod.`, `model.`). Added: the encoder's
    prefix, which a file with only the encoder lacks.
    """
    names, end = list(map(str, names)), family.word_embeddings
    embeddings = [name for name in names if name.endswith(end)]
    own = min(embeddings, key=len, default=end).removesuffix(end)
    common = own.removesuffix(family.prefix)
    if not all(name.startswith(common) for name in names):
        common = ""
    found = {}
    for name in names:
        short = name.removeprefix(common)
        bare = own in ("", common) and short.split(".")[0] in family.encoder_modules
        bare = bare and short not in family.of_all_heads
        found[name] = family.prefix * bare + short
    return found
