"""Which layer learns from which."""

from __future__ import annotations

from matplotlib.figure import Figure

from tinybert_lite.plots.panels import GREY, NEUTRAL, STUDENT, TEACHER, panel


def layer_map(mapping: list[int], teacher_layers: int, ax=None) -> Figure:
    """Which teacher layer each student layer learns from: g(m) as edges, 0 the embedding outputs at the bottom."""
    figure, ax = panel(ax, (4.6, 0.8 + 0.32 * (teacher_layers + 1)))
    student_layers, box = len(mapping) - 1, {"boxstyle": "round,pad=0.35", "lw": 0}
    heights = [m * teacher_layers / student_layers for m in range(len(mapping))]
    for layer in range(teacher_layers + 1):
        used = layer in mapping
        ax.text(
            0,
            layer,
            f"layer {layer}" if layer else "embeddings",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if used else NEUTRAL,
            bbox={**box, "fc": TEACHER if used else GREY},
        )
    for m, g in enumerate(mapping):
        ax.plot([0, 1], [g, heights[m]], color=NEUTRAL, lw=1.5, zorder=0)
        ax.text(
            1,
            heights[m],
            f"layer {m}" if m else "embeddings",
            ha="center",
            va="center",
            fontsize=9,
            color="white",
            bbox={**box, "fc": STUDENT},
        )
    for x, name, colour in ((0, "teacher", TEACHER), (1, "student", STUDENT)):
        ax.text(x, teacher_layers + 0.9, name, ha="center", color=colour, fontsize=11)
    ax.set(xlim=(-0.35, 1.35), ylim=(-0.7, teacher_layers + 1.5))
    ax.set_axis_off()
    return figure
