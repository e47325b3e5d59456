"""Stage 3, general distillation (paper, Eqs. 7-9): the student learns the general teacher's attention and hidden states.

    python -m tinybert_lite.general_distill --pregenerated_data 2_pregenerate_data --teacher_model teacher_model \
        --student_model student_model --output_dir 3_general_distill --do_lower_case
"""

from __future__ import annotations

import math

import torch
from torch import nn

from tinybert_lite.method.encoder import Bert


def start_from_embeddings(student: Bert, teacher: Bert) -> None:
    """Begin where the embedding loss is least: E^S W ≈ E^T has its best answer of rank d' in closed form (Eckart-Young).

    Word, position and segment embeddings (., d) of the teacher become (., d') by the d' principal directions of its word
    embeddings, and those directions are the student's projection. Not in the paper, whose large corpus shows every word;
    a small one does not. A student at least as wide as its teacher stays as it is.
    """
    width = student.config.hidden_size
    if (
        width >= teacher.config.hidden_size or teacher.config.model_type == "albert"
    ):  # its words lie in another width, behind a LayerNorm
        return
    mine, theirs = student.bert.embeddings, teacher.bert.embeddings
    directions = torch.linalg.svd(theirs.word_embeddings.weight.data, full_matrices=False).Vh[
        :width
    ]  # (d', d)
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        target, source = getattr(mine, name).weight.data, getattr(theirs, name).weight.data
        rows = min(len(target), len(source))
        target[:rows] = source[:rows] @ directions.T
    (student.fit_dense or student.fit_denses[0]).weight.data.copy_(directions.T)


def start_from_vectors(model: Bert, tokenizer, vectors, scale: float = 0.04) -> int:
    """Begin with what the word vectors know: turn each known word's vector (d) into its embedding (D) by one random
    orthonormal map, which keeps cosines. Returns how many word pieces were found."""
    embeddings = model.bert.embeddings.word_embeddings.weight.data
    width, d = embeddings.shape[1], vectors.matrix.shape[1]
    if d > width:
        return 0
    turn = torch.linalg.qr(torch.randn(width, d))[0].T * scale * width**0.5
    known = [
        (i, vectors.place[piece])
        for piece, i in tokenizer.get_vocab().items()
        if piece in vectors.place
    ]
    pieces, rows = zip(*known) if known else ((), ())
    embeddings[list(pieces)] = torch.from_numpy(vectors.matrix[list(rows)]) @ turn
    return len(known)


def start_from_waves(model: Bert, scale: float = 0.04, longest: float = 1000.0) -> None:
    """Position embeddings (P, D) begin as sines and cosines (Vaswani et al. 2017), so that neighbours are alike before anything is learnt.

    From random ones a small BERT stays for long where it guesses by frequency alone (dev/LOG.md has the figures).
    """
    table = model.bert.embeddings.position_embeddings.weight.data
    positions, width = table.shape
    waves = torch.arange(positions)[:, None] * torch.exp(
        -math.log(longest) * torch.arange(0, width, 2) / width
    )
    table[:, 0::2], table[:, 1::2] = (
        scale * torch.sin(waves),
        scale * torch.cos(waves[:, : width // 2]),
    )


def extend_positions(model: Bert, positions: int) -> None:
    """Give a model that has fewer so many positions, by repeating those it knows (as Longformer did, Beltagy et al. 2020).

    New ones drawn at random would first have to be learnt: what reads them guesses no better than before pre-training.
    """
    embeddings, known = model.bert.embeddings, model.config.max_position_embeddings
    if positions > known:
        table = embeddings.position_embeddings.weight.data
        embeddings.position_embeddings = nn.Embedding.from_pretrained(
            table.repeat(-(-positions // known), 1)[:positions], freeze=False
        )
        embeddings.register_buffer("position_ids", torch.arange(positions)[None], persistent=False)
        embeddings.register_buffer(
            "token_type_ids", torch.zeros(1, positions, dtype=torch.long), persistent=False
        )
        model.config.max_position_embeddings = positions
