"""The undistilled student, for notebooks: random weights, trained on labels without a teacher."""

from tinybert_lite.stages.undistilled import STAGE, run

__all__ = ["STAGE", "run"]
