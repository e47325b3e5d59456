"""Small models, vocabularies and batches that several tests build on.

Made with the stock classes, not with ours. And a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification

from tinybert_lite.training.loop import Loop

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
WORDS = (
    "the an and of is was not very good great fine bad dull film movie plot story actor scene "
    "funny sad warm cold long short "
    "we they saw love hate like watch review bank river house street walk run tree"
).split()
VOCABULARY = [
    *SPECIAL,
    "[unused1]",
    "[unused2]",
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *"0123456789",
    *".,!?'\"-",
    *WORDS,
    "##ing",
    "##ly",
    "##est",
]


def write_vocabulary(folder: Path, vocab=VOCABULARY) -> Path:
    """`vocab.txt` in `folder`; an uncased vocabulary unless `vocab` holds capital letters."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in vocab), encoding="utf-8", newline="\n")
    return path


def config_values(layers=2, width=16, heads=2, vocab=VOCABULARY, **more) -> dict:
    return {
        "model_type": "bert",
        "vocab_size": len(vocab),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 2 * width,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "initializer_range": 0.2,
        "layer_norm_eps": 1e-12,
        **more,
    }


def stock_bert(kind=BertForPreTraining, seed=0, num_labels=0, attention="eager", **config):
    """A random stock model in eval mode, its biases and LayerNorms random too, so that none of them
    can be forgotten unseen.
    """
    values = BertConfig(
        **config_values(**config), **({"num_labels": num_labels} if num_labels else {})
    )
    values._attn_implementation = attention
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind(values)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def make_bert_folder(
    path: Path,
    layers=2,
    width=16,
    heads=2,
    vocab=VOCABULARY,
    masked_lm=True,
    num_labels=0,
    seed=0,
    **config,
) -> Path:
    """A model folder in the original's format: config.json, vocab.txt and pytorch_model.bin of a
    small random BERT.

    masked_lm adds `cls.*`, num_labels `classifier.*`; `config` goes into config.json
    (`classifier_head="relu"`, …).
    """
    path = Path(path)
    size = dict(layers=layers, width=width, heads=heads, vocab=vocab, **config)
    model = stock_bert(BertForPreTraining, seed, **size)
    state = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if masked_lm or not name.startswith("cls.")
    }
    if num_labels:
        task = stock_bert(BertForSequenceClassification, seed, num_labels, **size)
        state |= {
            name: tensor
            for name, tensor in task.state_dict().items()
            if name.startswith("classifier.")
        }
    write_vocabulary(path, vocab)
    path.joinpath("config.json").write_text(
        json.dumps(config_values(**size), indent=2) + "\n", encoding="utf-8"
    )
    with open(path / "pytorch_model.bin", "wb") as file:
        torch.save({name: tensor.clone() for name, tensor in state.items()}, file)
    return path


def random_batch(lengths, longest=0, vocab=VOCABULARY, seed=0) -> dict[str, torch.Tensor]:
    """Rows of random pieces of these lengths, padded to `longest` (0: the longest row's): ids,
    mask, token types, labels 0/1.

    The same rows for the same seed and lengths, however long the padding.
    """
    draw = torch.Generator().manual_seed(seed)
    B, L = len(lengths), max(longest, *lengths)
    batch = {
        name: torch.zeros(B, L, dtype=torch.long)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, length in enumerate(lengths):
        batch["input_ids"][row, :length] = torch.randint(
            len(SPECIAL), len(vocab), (length,), generator=draw
        )
        batch["attention_mask"][row, :length] = 1
        batch["token_type_ids"][row, length // 2 : length] = 1
    batch["labels"] = torch.arange(B).remainder(2).float()
    return batch


def write_tsv(path: Path, rows, header=None) -> Path:
    """GLUE's quoting-free TSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(row) for row in ([header] if header else []) + list(rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


@contextmanager
def power_cut_after(steps: int) -> Iterator[None]:
    """Training in the block dies after so many optimizer steps."""
    step = Loop._step

    def dies(self, *args):
        if self._done == steps:
            raise RuntimeError("the power went")
        return step(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_step", dies)
        with pytest.raises(RuntimeError, match="the power went"):
            yield
