"""Small random models of every family, with a tokenizer of its kind."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import CONFIG_MAPPING as CONFIGS
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertTokenizer,
    PreTrainedConfig,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from tests.makers import LETTERS, VOCABULARY, WORDS
from tests.makers.workspaces import GLOVE_WORDS, NOUNS, toy_rows

BYTE_LEVEL = ("roberta", "modernbert", "roberta-prelayernorm", "data2vec-text", "mpnet")
SENTENCEPIECE = (
    "xlm-roberta",
    "camembert",
    "xlm-roberta-xl",
    "jina_embeddings_v3",
    "albert",
    "bert-generation",
    "deberta-v2",
)
HEADS = {
    "encoder": AutoModel,
    "masked_lm": AutoModelForMaskedLM,
    "classifier": AutoModelForSequenceClassification,
}
SIZES = dict(
    hidden_size=16,
    num_hidden_layers=4,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=70,
    initializer_range=0.2,
)
OWN = {
    "electra": dict(embedding_size=8),
    "albert": dict(embedding_size=8),
    "mobilebert": dict(embedding_size=8, intra_bottleneck_size=8, true_hidden_size=8),
    "modernbert": dict(cls_token_id=0, sep_token_id=2, local_attention=8),
    "roformer": dict(embedding_size=16),
}


@functools.cache
def tokenizer_of(family: str):
    """A tokenizer of the family's kind: WordPiece, byte-level BPE or SentencePiece."""
    if family in BYTE_LEVEL:
        learner = ByteLevelBPETokenizer()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        texts = [text for text, _ in toy_rows(100, 9)] + [" ".join(["", *WORDS, *GLOVE_WORDS])] * 5
        learner.train_from_iterator(
            texts, vocab_size=400, min_frequency=1, special_tokens=special, show_progress=False
        )
        model = json.loads(learner.to_str())["model"]
        return RobertaTokenizer(
            vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]]
        )
    if family in SENTENCEPIECE:
        words = dict.fromkeys([*WORDS, *NOUNS, *GLOVE_WORDS])
        pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in words)]
        pieces += [*LETTERS, ".", ",", "!", "<mask>"]
        return XLMRobertaTokenizer(vocab=[(piece, -float(n)) for n, piece in enumerate(pieces)])
    return BertTokenizer(vocab={piece: n for n, piece in enumerate(VOCABULARY)})


def config_of(family: str, **values) -> PreTrainedConfig:
    tokenizer = tokenizer_of(family)
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    own = OWN.get(family, {})
    return CONFIGS[family](vocab_size=len(tokenizer), **{**SIZES, **ids, **own, **values})


def stock_of(family: str, kind: str = "encoder", seed: int = 0, **values):
    """A stock model of random weights, its biases and norms random too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = HEADS[kind].from_config(config_of(family, **values), attn_implementation="eager")
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def make_family(folder: Path, family: str, kind: str = "masked_lm", **values) -> Path:
    """A model folder as transformers saves it: no vocab.txt."""
    stock_of(family, kind, **values).save_pretrained(folder)
    tokenizer_of(family).save_pretrained(folder)
    assert len(AutoTokenizer.from_pretrained(folder)) == len(tokenizer_of(family))
    return folder
