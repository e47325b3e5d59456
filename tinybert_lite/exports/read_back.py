"""Read an export back and compare its outputs (logits, hidden states) with the model's."""

from pathlib import Path

import torch
import transformers
from torch import Tensor

from tinybert_lite.exports.modeling_bert_relu_head import BertReluHeadForSequenceClassification
from tinybert_lite.exports.source import Source
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.tokenizers import LOCAL_WITHOUT_CODE, load_tokenizer
from tinybert_lite.system.console import counted
from tinybert_lite.system.errors import UserError

MOST_APART = 1e-5  # allowed difference, times the largest absolute value or 1
Answers = dict[str, Tensor]


def probe(config, times: int = 1, longest: int = 16) -> dict[str, Tensor]:
    """Return a random batch of rows of three lengths, with padding: (3 · times, L) each."""
    L = min(longest, (getattr(config, "max_position_embeddings", 0) or longest + 8) - 2)
    segments = getattr(config, "type_vocab_size", 0) or 0
    draw = torch.Generator().manual_seed(0)
    lengths = torch.tensor([[L], [L // 2 + 1], [min(3, L)]]).repeat(times, 1)
    places = torch.arange(L).expand(3 * times, L)
    return {
        "input_ids": torch.randint(config.vocab_size, (3 * times, L), generator=draw),
        "attention_mask": (places < lengths).long(),
        "token_type_ids": (places * 2 >= lengths).long() * (segments > 1),
    }


@torch.inference_mode()
def answers(model: Encoder) -> Answers:
    """Return our model's outputs for the probe by name; all but logits at real tokens only."""
    batch = probe(model.config)
    real = batch["attention_mask"].bool()
    found = model.eval()(
        batch,
        logits=model.output_layer is not None,
        masked_lm=real if model.has_masked_lm else None,
    )
    said = {
        "logits": found.logits,
        "masked-LM logits": found.masked_lm,
        "hidden states": found.hidden[-1][real],
        "projections": torch.cat([states[real] for states in found.projected])
        if found.projected
        else None,
    }
    return {name: tensor for name, tensor in said.items() if tensor is not None}


@torch.inference_mode()
def by_transformers(source: Source, folder: Path) -> Answers:
    """Return the output of transformers' class for the probe. Code in the folder is not run."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model, batch, options = source.model, probe(source.model.config), LOCAL_WITHOUT_CODE
    if source.has_relu_head:  # our own class, of which the folder has a copy
        kind, what, options = BertReluHeadForSequenceClassification, "logits", {}
    elif model.output_layer is not None:
        kind, what = transformers.AutoModelForSequenceClassification, "logits"
    elif model.has_masked_lm:
        kind, what = transformers.AutoModelForMaskedLM, "masked-LM logits"
    else:
        kind, what = transformers.AutoModel, "hidden states"
    stock, report = kind.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, **options
    )
    odd = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if what != "logits":  # of these classes only AutoModel has a pooler, and a file may have none
        odd = [name for name in odd if ".pooler." not in f".{name}"]
    if odd:
        raise UserError(
            f"transformers finds {odd[0]} missing or unexpected "
            f"({counted(len(odd), 'tensor')} in all); report this with the model's config.json"
        )
    found = stock.eval()(**model.inputs(batch))
    if what == "logits":
        return {what: found.logits}
    states = found.last_hidden_state if what == "hidden states" else found.logits
    return {what: states[batch["attention_mask"].bool()]}


def apart(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference of two tensors of one shape."""
    return float((one - other).abs().max())


TEXTS = ["Hello World, naïve café!", "电影 good\tFILM's 3.5", "[MASK] unbelievably"]


def check_texts(tokenizer, folder: Path, transformers_too: bool) -> None:
    """Raise UserError if the written tokenizer splits a text differently from the model's own."""
    added = [str(token) for token in tokenizer.get_added_vocab()]
    texts = [*TEXTS, *(f"a {token} b" for token in added)]
    again = [load_tokenizer(folder)]
    if transformers_too:
        again.append(transformers.AutoTokenizer.from_pretrained(folder, **LOCAL_WITHOUT_CODE))
    for other in again:
        for text in texts:
            if other(text)["input_ids"] != tokenizer(text)["input_ids"]:
                raise UserError(
                    f"the written tokenizer splits {text!r} differently from the model's; report "
                    f"this with the model's tokenizer files"
                )


def same_answers(source: Source, folder: Path, transformers_too: bool) -> str:
    """Compare a written folder's outputs with the model's; return a sentence that names them.

    Our reader opens the folder, and with `transformers_too` also transformers. Raises UserError if
    an output differs by more than MOST_APART.
    """
    if source.tokenizer:
        check_texts(source.tokenizer, folder, transformers_too)
    expected = answers(source.model)
    found = answers(load_model(folder, masked_lm=source.model.has_masked_lm)[0])
    if transformers_too:
        found |= by_transformers(source, folder)
    for name, tensor in found.items():
        away, largest = apart(tensor, expected[name]), float(expected[name].abs().max())
        if not away <= MOST_APART * max(1.0, largest):  # true of NaN as well
            raise UserError(
                f"the {name} differ from the model's by {away:.1g}; report this with the model's "
                f"config.json"
            )
    return f"{', '.join(found)} equal the model's"
