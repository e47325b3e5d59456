"""A toy workspace: task rows, a corpus, word vectors, and a teacher that has learnt the rows."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from tests.makers import VOCABULARY, config_values, make_bert_folder, write_tsv

NOUNS = "film movie plot story actor scene bank river house street".split()
GLOVE_WORDS = [
    *NOUNS,
    "good",
    "great",
    "fine",
    "bad",
    "dull",
    "sad",
    "wonderful",
    "gorgeous",
    "dreadful",
    "terrible",
]
HEADER = ("sentence", "label")


def toy_rows(count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences whose label is decided by one word, both labels equally often."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        first, second = draw.sample(NOUNS, 2)
        rows.append(
            (f"the {first} was {('bad', 'good')[i % 2]} and the {second} was long .", str(i % 2))
        )
    return rows


def write_toy_data(folder: Path, train: int = 24, dev: int = 24, test: int = 8) -> Path:
    write_tsv(folder / "train.tsv", toy_rows(train, 1), HEADER)
    write_tsv(folder / "dev.tsv", toy_rows(dev, 2), HEADER)
    write_tsv(
        folder / "test.tsv",
        [(str(i), text) for i, (text, _) in enumerate(toy_rows(test, 3))],
        ("index", "sentence"),
    )
    return folder


def write_toy_corpus(path: Path, documents: int = 6, sentences: int = 6) -> Path:
    draw = random.Random(4)
    texts = [
        [
            (
                f"the {draw.choice(NOUNS)} is {draw.choice(('very', 'not'))} "
                f"{draw.choice(('warm', 'cold', 'funny'))} , we like {word} {number} ."
            )
            for number in range(sentences)
        ]
        for word in (*NOUNS, "walk", "run")[:documents]
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n\n".join("\n".join(document) for document in texts) + "\n",
        encoding="utf-8",
        newline="\n",
    )
    return path


def write_toy_vectors(path: Path, words=GLOVE_WORDS, width: int = 6) -> Path:
    draw = random.Random(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [" ".join([word, *(f"{draw.gauss(0, 1):.4f}" for _ in range(width))]) for word in words]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


def make_student_config(
    folder: Path, layers: int = 1, width: int = 16, heads: int = 2, **more
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(
        json.dumps(config_values(layers, width, heads, **{"initializer_range": 0.05, **more})),
        encoding="utf-8",
    )
    return folder


@functools.cache
def _knowing_state(layers: int, width: int, heads: int) -> dict[str, torch.Tensor]:
    """The body of a BERT that was trained until its pooler tells good from bad."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(**config_values(layers, width, heads), num_labels=2)
    ).eval()
    rows = toy_rows(64, 6)
    places = {piece: i for i, piece in enumerate(VOCABULARY)}
    ids = torch.tensor(
        [[places[piece] for piece in ("[CLS]", *text.split(), "[SEP]")] for text, _ in rows]
    )
    labels, optimizer = (
        torch.tensor([int(label) for _, label in rows]),
        torch.optim.Adam(model.parameters(), lr=5e-3),
    )
    for _ in range(60):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05, "the toy teacher did not learn its toy task"
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def make_toy_teacher(
    folder: Path, layers: int = 2, width: int = 32, heads: int = 2, classifier: bool = False
) -> Path:
    """A raw BERT with a masked-LM head that a few small steps of fine-tuning lift above chance; or
    one fine-tuned already.
    """
    make_bert_folder(folder, layers, width, heads, initializer_range=1e-4)
    state = torch.load(folder / "pytorch_model.bin")
    state |= {
        name: tensor
        for name, tensor in _knowing_state(layers, width, heads).items()
        if classifier or not name.startswith("classifier.")
    }
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def lay_out(root: Path) -> Path:
    """A whole workspace as in the original guide: task data, corpus, vectors, a raw teacher, a
    student's configuration.
    """
    make_toy_teacher(root / "teacher_model")
    make_student_config(root / "student_model")
    write_toy_data(root / "SST-2")
    write_toy_corpus(root / "1_pre_data" / "documents.txt")
    write_toy_vectors(root / "1_pre_data" / "glove.6B.100d.txt")
    return root
