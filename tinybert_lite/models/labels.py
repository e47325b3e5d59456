"""What a classifier's outputs mean: the labels in their order, or the unit of a regression."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinybert_lite.method.encoder import Bert


@dataclass(frozen=True)
class OutputLabels:
    """The words of the outputs, none for a regression: its number is output · scale + offset."""

    words: list[str] = field(default_factory=list)
    offset: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, model: Bert) -> OutputLabels:
        """Those of a model with a classifier, as its config.json has them."""
        config, classes = model.config, model.classifier.out_features
        if classes > 1:
            return cls([str(config.id2label.get(i, i)) for i in range(classes)])
        return cls([], getattr(config, "label_offset", 0.0), getattr(config, "label_scale", 1.0))
