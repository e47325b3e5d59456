"""The layer mapping: which student layer learns from which teacher layer."""

from matplotlib.figure import Figure

from tinybert_lite.plots.panels import GREY, NEUTRAL, STUDENT, TEACHER, panel


def layer_map(mapping: list[int], teacher_layers: int, ax=None) -> Figure:
    """Draw g(m), m = 0 … M, as lines from student to teacher layers; 0 is the embedding output."""
    figure, ax = panel(ax, (4.6, 0.8 + 0.32 * (teacher_layers + 1)))

    def box(x: float, y: float, layer: int, ground: str, ink: str = "white") -> None:
        ax.text(
            x,
            y,
            f"layer {layer}" if layer else "embeddings",
            ha="center",
            va="center",
            fontsize=9,
            color=ink,
            bbox={"boxstyle": "round,pad=0.35", "lw": 0, "fc": ground},
        )

    for layer in range(teacher_layers + 1):
        box(0, layer, layer, *((TEACHER,) if layer in mapping else (GREY, NEUTRAL)))
    for m, g in enumerate(mapping):
        height = m * teacher_layers / (len(mapping) - 1)
        ax.plot([0, 1], [g, height], color=NEUTRAL, lw=1.5, zorder=0)
        box(1, height, m, STUDENT)
    for x, name, colour in ((0, "teacher", TEACHER), (1, "student", STUDENT)):
        ax.text(x, teacher_layers + 0.9, name, ha="center", color=colour, fontsize=11)
    ax.set(xlim=(-0.35, 1.35), ylim=(-0.7, teacher_layers + 1.5))
    ax.set_axis_off()
    return figure
