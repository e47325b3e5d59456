"""The undistilled student, for notebooks: the same size, trained on the labels from nothing, without a teacher."""

from tinybert_lite.stages.undistilled import STAGE, run

__all__ = ["STAGE", "run"]
