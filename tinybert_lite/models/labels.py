"""The meaning of a classifier's outputs: the labels in their order, or a regression's unit."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinybert_lite.method.encoder import Encoder


@dataclass(frozen=True)
class OutputLabels:
    """The labels in the order of the outputs; a regression has none, but offset and scale.

    A regression's prediction is output · scale + offset.
    """

    words: list[str] = field(default_factory=list)
    offset: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, model: Encoder) -> OutputLabels:
        """Read the labels from the configuration of a model with a classifier."""
        config, classes = model.config, model.output_layer.out_features
        if classes > 1:
            return cls([str(config.id2label.get(i, i)) for i in range(classes)])
        return cls([], getattr(config, "label_offset", 0.0), getattr(config, "label_scale", 1.0))
