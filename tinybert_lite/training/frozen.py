"""Cast the weights of a frozen teacher once, so that autocast does not cast them in each pass."""

import torch
from torch import nn

KINDS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def cast_once(teacher: nn.Module, precision: str) -> nn.Module:
    """Cast the Linear layers of a teacher for autocast's `precision`, in place; return the teacher.

    The outputs are those of autocast with float32 weights, to the bit. "no" (float32) changes
    nothing. Embeddings and norms stay in float32. Afterwards the teacher works under autocast only.
    """
    kind = KINDS.get(precision)
    for part in teacher.modules() if kind else ():
        if type(part) is nn.Linear:
            part.to(kind)
    return teacher
