"""Starting points that are better than random weights, for the student and a grown teacher."""

from __future__ import annotations

import math

import torch
from torch import nn

from tinybert_lite.method.encoder import Bert


def start_from_embeddings(student: Bert, teacher: Bert) -> None:
    """Start the student's embeddings and projection at the least embedding loss, E^S W ≈ E^T.

    Its best solution of rank d' is a truncated SVD (Eckart-Young): the teacher's word, position and
    segment embeddings (., d) become (., d') in the first d' right singular vectors of its word
    embeddings, which also become the student's projection. Not in the paper, whose large corpus
    shows every word; a small corpus does not. No change for a student as wide as its teacher, nor
    for an ALBERT teacher, whose embeddings have another width and a LayerNorm behind them.
    """
    width = student.config.hidden_size
    if width >= teacher.config.hidden_size or teacher.config.model_type == "albert":
        return
    mine, theirs = student.bert.embeddings, teacher.bert.embeddings
    words = theirs.word_embeddings.weight.data
    directions = torch.linalg.svd(words, full_matrices=False).Vh[:width]  # (d', d)
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        target, source = getattr(mine, name).weight.data, getattr(theirs, name).weight.data
        rows = min(len(target), len(source))
        target[:rows] = source[:rows] @ directions.T
    (student.fit_dense or student.fit_denses[0]).weight.data.copy_(directions.T)


def start_from_vectors(model: Bert, tokenizer, vectors, scale: float = 0.04) -> int:
    """Start word embeddings (D) at word vectors (d), mapped by one random orthonormal matrix.

    The map keeps cosines. Returns how many word pieces have a vector; 0 where d > D.
    """
    embeddings = model.bert.embeddings.word_embeddings.weight.data
    width, d = embeddings.shape[1], vectors.matrix.shape[1]
    if d > width:
        return 0
    turn = torch.linalg.qr(torch.randn(width, d))[0].T * scale * width**0.5
    vocab, place = tokenizer.get_vocab(), vectors.place
    known = [piece for piece in vocab if piece in place]
    rows = vectors.matrix[[place[piece] for piece in known]]
    embeddings[[vocab[piece] for piece in known]] = torch.from_numpy(rows) @ turn
    return len(known)


def start_from_waves(model: Bert, scale: float = 0.04, longest: float = 1000.0) -> None:
    """Start position embeddings (P, D) at sines and cosines (Vaswani et al. 2017).

    Neighbouring positions are then similar from the start. With random ones a small BERT predicts
    by word frequency alone for a long time (dev/LOG.md has the figures).
    """
    table = model.bert.embeddings.position_embeddings.weight.data
    positions, width = table.shape
    frequencies = torch.exp(-math.log(longest) * torch.arange(0, width, 2) / width)
    waves = torch.arange(positions)[:, None] * frequencies
    table[:, 0::2] = scale * torch.sin(waves)
    table[:, 1::2] = scale * torch.cos(waves[:, : width // 2])


def extend_positions(model: Bert, positions: int) -> None:
    """Give a model at least so many positions, by repeating its own (Longformer, Beltagy 2020).

    New random ones would have to be learnt first: a model that reads them predicts no better than
    before pre-training.
    """
    embeddings, known = model.bert.embeddings, model.config.max_position_embeddings
    if positions > known:
        table = embeddings.position_embeddings.weight.data
        embeddings.position_embeddings = nn.Embedding.from_pretrained(
            table.repeat(-(-positions // known), 1)[:positions], freeze=False
        )
        for name, values in (
            ("position_ids", torch.arange(positions)[None]),
            ("token_type_ids", torch.zeros(1, positions, dtype=torch.long)),
        ):
            embeddings.register_buffer(name, values, persistent=False)
        model.config.max_position_embeddings = positions
