"""Initial weights other than random ones. None of these methods is in the paper."""

import math

import torch
from torch import nn

from tinybert_lite.method.encoder import Encoder


def start_from_embeddings(student: Encoder, teacher: Encoder) -> None:
    """Start with the smallest embedding loss (Eq. 9), by an SVD of the teacher's word embeddings.

    E^S W_e ≈ E^T has its best solution of rank d' in closed form (Eckart-Young): W_e becomes the d'
    principal directions (d', d) of the teacher's word embeddings, and word, position and segment
    embeddings (., d) become their coordinates (., d'). The paper starts from random embeddings: its
    corpus contains every word often, a small corpus does not. Nothing changes for a student as
    wide as its teacher, or if word embeddings have another width than the layers (ALBERT). Word
    embeddings are found in any family, others only under BERT's names.
    """
    width, wide = student.config.hidden_size, teacher.config.hidden_size
    words = teacher.body.get_input_embeddings().weight.data
    own = student.body.get_input_embeddings().weight.data
    if width >= wide or words.shape[1] != wide or own.shape[1] != width:
        return
    directions = torch.linalg.svd(words, full_matrices=False).Vh[:width]  # (d', d)
    mine, theirs = (dict(model.body.named_parameters()) for model in (student, teacher))
    names = (f"embeddings.{kind}_embeddings.weight" for kind in ("position", "token_type"))
    pairs = [
        (mine[name].data, theirs[name].data)
        for name in names
        if name in mine.keys() & theirs.keys()
    ]
    for target, source in [(own, words), *pairs]:
        rows = min(len(target), len(source))
        target[:rows] = source[:rows] @ directions.T
    (student.fit_dense or student.fit_denses[0]).weight.data.copy_(directions.T)


def start_from_vectors(model: Encoder, tokenizer, vectors, scale: float = 0.04) -> int:
    """Set word embeddings to word vectors, and return the number of word pieces that have one.

    A vector (d,) becomes an embedding (D,) by one random orthonormal map, which keeps cosines.
    vectors: `matrix` (words, d) and `place`, a word's row in it. Nothing is set if d > D.
    """
    embeddings = model.body.get_input_embeddings().weight.data
    width, d = embeddings.shape[1], vectors.matrix.shape[1]
    if d > width:
        return 0
    turn = torch.linalg.qr(torch.randn(width, d))[0].T * scale * width**0.5
    known = {i: vectors.place.get(piece) for piece, i in tokenizer.get_vocab().items()}
    known = {i: row for i, row in known.items() if row is not None}
    embeddings[list(known)] = torch.from_numpy(vectors.matrix[list(known.values())]) @ turn
    return len(known)


def start_from_waves(model: Encoder, scale: float = 0.04, longest: float = 1000.0) -> None:
    """Set position embeddings (P, D) to sines and cosines (Vaswani et al. 2017).

    Neighbouring positions are then similar from the first step on. With random embeddings a small
    BERT predicts words by their frequency alone for a long time.
    """
    table = model.body.embeddings.position_embeddings.weight.data
    positions, width = table.shape
    rates = torch.exp(-math.log(longest) * torch.arange(0, width, 2) / width)
    waves = torch.arange(positions)[:, None] * rates
    table[:, 0::2] = scale * torch.sin(waves)
    table[:, 1::2] = scale * torch.cos(waves[:, : width // 2])


def extend_positions(model: Encoder, positions: int) -> None:
    """Extend a model to `positions` position embeddings by repeating its own.

    Longformer does the same (Beltagy et al. 2020). Random ones would have to be learnt first. Only
    a BERT is extended; other models are left unchanged, and rows are cut to their length.
    """
    known = model.config.max_position_embeddings
    if positions <= known or model.config.model_type != "bert":
        return
    embeddings = model.body.embeddings
    table = embeddings.position_embeddings.weight.data
    embeddings.position_embeddings = nn.Embedding.from_pretrained(
        table.repeat(-(-positions // known), 1)[:positions], freeze=False
    )
    embeddings.register_buffer("position_ids", torch.arange(positions)[None], persistent=False)
    embeddings.register_buffer(
        "token_type_ids", torch.zeros(1, positions, dtype=torch.long), persistent=False
    )
    model.config.max_position_embeddings = positions
