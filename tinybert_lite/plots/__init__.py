"""Pictures for notebooks and reports.

Each function returns a Figure and never shows or saves it; a function of a single panel takes an
`ax`. The teacher is blue, the student orange, padding grey; differences have a diverging colour map
centred at 0; panels share one scale. pyplot does not keep the Figures, so a notebook shows a Figure
only if it is the last value of a cell.
"""

from tinybert_lite.plots.ablation import ablation
from tinybert_lite.plots.answers import margins, redraw_soft_targets, soft_targets
from tinybert_lite.plots.attention import (
    attention_match,
    attention_parts,
    head_errors,
    probabilities,
    redraw_attention,
    visible_attention,
)
from tinybert_lite.plots.classes import class_balance, confusion
from tinybert_lite.plots.fonts import chinese_font
from tinybert_lite.plots.layers import layer_map
from tinybert_lite.plots.panels import GREY, LABELS, NEUTRAL, STUDENT, TEACHER, close
from tinybert_lite.plots.quantization import (
    fewer_bits,
    learning_on_a_grid,
    range_statistics,
    redraw_rounding,
    rounding,
    straight_through,
)
from tinybert_lite.plots.results import (
    accuracy_and_agreement,
    across_tasks,
    along_the_stages,
    bootstrap,
    cost_card,
)
from tinybert_lite.plots.serving import accuracy_and_cost, speed_ups
from tinybert_lite.plots.similarity import ColouredText, cka, layer_similarity, token_cosines
from tinybert_lite.plots.states import (
    hidden_match,
    principal_components,
    principal_plane,
    rank_floor,
    rank_floors,
    real_tokens,
    variance_beyond,
)
from tinybert_lite.plots.texts import (
    FATES,
    REPLACED,
    SOURCES,
    augmentation,
    fate,
    masking,
    sources,
    word_rows,
)
from tinybert_lite.plots.training import loss_anatomy, loss_curves, pretraining, relative_to_start

__all__ = [
    "ColouredText",
    "FATES",
    "GREY",
    "LABELS",
    "NEUTRAL",
    "REPLACED",
    "SOURCES",
    "STUDENT",
    "TEACHER",
    "ablation",
    "accuracy_and_agreement",
    "accuracy_and_cost",
    "across_tasks",
    "along_the_stages",
    "attention_match",
    "attention_parts",
    "augmentation",
    "bootstrap",
    "chinese_font",
    "cka",
    "class_balance",
    "close",
    "confusion",
    "cost_card",
    "fate",
    "fewer_bits",
    "head_errors",
    "hidden_match",
    "layer_map",
    "layer_similarity",
    "learning_on_a_grid",
    "loss_anatomy",
    "loss_curves",
    "margins",
    "masking",
    "pretraining",
    "principal_components",
    "principal_plane",
    "probabilities",
    "range_statistics",
    "rank_floor",
    "rank_floors",
    "real_tokens",
    "redraw_attention",
    "redraw_rounding",
    "redraw_soft_targets",
    "relative_to_start",
    "rounding",
    "soft_targets",
    "sources",
    "speed_ups",
    "straight_through",
    "token_cosines",
    "variance_beyond",
    "visible_attention",
    "word_rows",
]
