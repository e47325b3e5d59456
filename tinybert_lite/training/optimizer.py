"""The optimizer of every stage: AdamW with decoupled weight decay."""

import torch

from tinybert_lite.method.encoder import Encoder


def make_optimizer(model: Encoder, settings, device: torch.device) -> torch.optim.AdamW:
    """AdamW for the model's trainable parameters; the loop sets the learning rate at each step.

    Weight decay is for matrices only, not for vectors (biases and LayerNorms). Unlike the
    original's BertAdam, AdamW corrects the bias of its moments.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=settings.learning_rate, eps=1e-6, fused=fused)
