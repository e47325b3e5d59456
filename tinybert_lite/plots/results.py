"""Results of a run: scores along the stages and across tasks, cost, uncertainty."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import (
    NEUTRAL,
    STUDENT,
    TEACHER,
    error_bars,
    finish,
    legend_beside,
    new_figure,
    open_frame,
    panel,
    settled,
)

STAGES = {"3": "3 general\ndistillation", "4": "4 intermediate\nlayers", "5": "5 prediction\nlayer"}


def along_the_stages(results: dict, ax=None) -> Figure:
    """Draw the probe's accuracy after each stage, and the finished models' own dev scores.

    results: as in results.json; it has no stage 4 if the task teacher's layers cannot be matched.
    """
    _, ax = panel(ax, (7.2, 3.8))
    probes, metric = results["probe_along_the_stages"], results["metric"]
    labels = [label for stage, label in STAGES.items() if stage in probes]
    along = [probes[stage] for stage in STAGES if stage in probes]
    rows = results["rows"]["dev"] if metric == "accuracy" else None
    probe = "student, probe on frozen states\n(± 1 standard error)"
    error_bars(ax, labels, along, rows, STUDENT, probe)
    if "teacher" in probes:
        label = "teacher, the same probe"
        ax.axhline(probes["teacher"], color="black", ls=":", lw=1.3, zorder=3, label=label)
    if results["teacher"]:
        score = results["teacher"][metric]
        ax.axhline(score, color=TEACHER, lw=1.8, label="teacher, own classifier")
    score, label = results["student"][metric], "student, own classifier"
    ax.plot(labels[-1:], [score], "D", color=STUDENT, ms=9, label=label)
    if "undistilled" in results:
        score, label = results["undistilled"][metric], "same student, no teacher"
        ax.axhline(score, color=NEUTRAL, ls="--", lw=1.5, label=label)
    title = f"{results['task']}: along the stages"
    return finish(ax, centred=True, ylabel=f"dev {_plain(metric)}", title=title)


def _plain(metric: str) -> str:
    return metric.replace("_", " ")


def accuracy_and_agreement(answers: dict[str, np.ndarray], teacher, labels, ax=None) -> Figure:
    """Draw a student's accuracy and its agreement with the teacher by stage, ± 1 standard error.

    answers: stage's name -> the student's class of each dev row, (n,) · teacher, labels: (n,).
    """
    _, ax = panel(ax, (7.2, 3.8))
    teacher, labels = np.asarray(teacher), np.asarray(labels)
    for goal, name, colour, style in (
        (labels, "right", STUDENT, "o-"),
        (teacher, "agrees with the teacher", NEUTRAL, "s--"),
    ):
        share = [(np.asarray(found) == goal).mean() for found in answers.values()]
        error_bars(ax, range(len(answers)), share, len(labels), colour, f"student {name}", style)
    ax.axhline((teacher == labels).mean(), color=TEACHER, lw=1.8, label="teacher right")
    ax.set_xticks(range(len(answers)), answers)
    title = "accuracy and agreement along the stages"
    return finish(ax, centred=True, ylabel=f"share of {len(labels)} dev rows", title=title)


def cost_card(results: dict) -> Figure:
    """Draw parameters by block, bytes, multiply-adds and measured time of teacher and student."""
    costs = [results["cost"]["teacher"], results["cost"]["student"]]
    timed = costs[0].get("milliseconds_a_row") is not None
    figure, (axes,) = new_figure(1, 3 + timed, (9 + 3 * timed, 3.2))
    colours, names = [TEACHER, STUDENT], ["teacher", "student"]
    bottom = np.zeros(2)
    least = [
        max(0.08 * sum(cost["blocks"].values()), 0.06 * costs[0]["parameters"]) / 1e6
        for cost in costs
    ]
    for block, alpha in (("embeddings", 1.0), ("encoder", 0.65), ("classifier", 0.35)):
        sizes = np.array([cost["blocks"][block] / 1e6 for cost in costs])
        axes[0].bar(names, sizes, bottom=bottom, color=colours, alpha=alpha, edgecolor="white")
        for x in np.flatnonzero(sizes > least):
            middle = bottom[x] + sizes[x] / 2
            axes[0].text(x, middle, block, ha="center", va="center", fontsize=8)
        bottom += sizes
    axes[0].set_title("parameters (millions)")
    for ax, (key, scale, title) in zip(
        axes[1:],
        (
            ("bytes", 1e6, "float32 (MB)"),
            ("multiply_adds", 1e6, f"multiply-adds (millions, {costs[0]['length']} tokens)"),
            ("milliseconds_a_row", 1, "time per row (ms)"),
        ),
    ):
        large, small = values = [cost[key] / scale for cost in costs]
        ax.bar(names, values, color=colours)
        ratio = f"\nteacher / student: {large / small:.1f}" if small else ""
        ax.set_title(title + ratio, fontsize=10)
    for ax in axes:
        open_frame(ax)
    return figure


def bootstrap(differences: dict[str, np.ndarray], ax=None) -> Figure:
    """Draw histograms of two models' difference over bootstrap samples, with the middle 95 %.

    differences: name -> (samples,) differences in points of accuracy.
    """
    _, ax = panel(ax, (7.2, 3.4))
    every = np.concatenate([*differences.values()])
    # Differences are multiples of one row, so narrower bins would be empty.
    step = np.diff(np.unique(every.round(6))).min(initial=1.0)
    width = step * np.ceil(np.ptp(every) / 30 / step + 1e-9)
    edges = np.arange(every.min() - width / 2, every.max() + width, width)
    colours = (STUDENT, TEACHER, NEUTRAL)
    for place, ((name, found), colour) in enumerate(zip(differences.items(), colours)):
        ax.hist(found, edges, color=colour, alpha=0.55, label=f"{name}: {found.mean():+.1f}")
        ax.plot(
            np.quantile(found, (0.025, 0.975)),
            [1.03 + 0.05 * place] * 2,
            color=colour,
            lw=4,
            solid_capstyle="butt",
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )
    ax.axvline(0, color="black", lw=1)
    ax.set_title("the difference in bootstrap samples of the rows", pad=22)
    return finish(ax, xlabel="points of accuracy", ylabel="samples")


def across_tasks(results: dict[str, dict], ax=None) -> Figure:
    """Draw each task's dev scores: teacher, student and, if there is one, undistilled student.

    results: task -> `metric` and the scores of its models, as in results.json.
    """
    figure, ax = panel(ax, (7, 1.2 + 0.42 * len(results)))
    looks = {
        "undistilled": ("o", NEUTRAL, "student, undistilled"),
        "teacher": ("s", TEACHER, "teacher"),
        "student": ("o", STUDENT, "student"),
    }
    scores = pd.DataFrame(
        [
            [(one.get(model) or {}).get(one["metric"]) for model in looks]
            for one in results.values()
        ],
        columns=[*looks],
        dtype=float,
    )
    for place, found in scores.iterrows():
        ends = [found.min(), found.max()]
        ax.plot(ends, [place, place], color=NEUTRAL, lw=1, alpha=0.5, zorder=1)
    for model, (marker, colour, label) in looks.items():
        found = scores[model].dropna()
        if len(found):
            look = {"marker": marker, "color": colour, "label": label}
            ax.scatter(found, found.index, s=46, zorder=2, **look)
    names = [f"{name} ({_plain(one['metric'])})" for name, one in results.items()]
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlabel("dev score")
    legend_beside(ax)
    return settled(figure)
