"""What came of it: answers, scores along the stages, cost."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import (
    LABELS,
    NEUTRAL,
    STUDENT,
    TEACHER,
    new_figure,
    open_frame,
    panel,
    settled,
)
from tinybert_lite.system.errors import UserError


def margins(student, teacher, labels, ax=None) -> Figure:
    """Logit margins z1 − z0 of two classifiers of two classes, a point a row; on red ground the two decide differently.

    student, teacher: (B, 2) logits · labels: (B,). Raises UserError where there are not two classes.
    """
    figure, ax = panel(ax, (5.4, 4.6))
    teacher, student = margin(teacher), margin(student)
    bound = 1.08 * max(1e-9, np.abs(teacher).max(), np.abs(student).max())
    _scatter(ax, student, teacher, labels, -bound, bound, "equal margins")
    agree = ((teacher > 0) == (student > 0)).mean()
    ax.set_title(f"they agree on {100 * agree:.1f} % of {len(labels)} rows")
    ax.set_xlabel("teacher's margin", color=TEACHER)
    ax.set_ylabel("student's margin", color=STUDENT)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return settled(figure)


def soft_targets(student, teacher, labels, temperature: float = 1.0, ax=None) -> Figure:
    """What the margins become at a temperature t: the probability σ((z1 − z0) / t) of class 1, a point a row.

    student, teacher: (B, 2) logits · labels: (B,). The title has the mean entropies in nats, of log 2 = 0.69 at most. Raises
    UserError where there are not two classes.
    """
    figure, ax = panel(ax, (5.4, 4.8))
    _scatter(ax, margin(student), margin(teacher), labels, 0, 1, "equal")
    redraw_soft_targets(ax, student, teacher, labels, temperature)
    ax.set_xlabel("teacher's probability of class 1", color=TEACHER)
    ax.set_ylabel("student's probability of class 1", color=STUDENT)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return settled(figure)


def redraw_soft_targets(ax, student, teacher, labels, temperature: float) -> None:
    """Give the axes of `soft_targets` another temperature: much faster than new ones."""
    teacher, student = (
        1 / (1 + np.exp(-margin(logits) / temperature)) for logits in (teacher, student)
    )
    for label, points in enumerate(ax.collections):
        own = np.asarray(labels) == label
        points.set_offsets(np.column_stack([teacher[own], student[own]]))
    ax.set_title(
        f"t = {temperature:g}: mean entropy, teacher {entropy(teacher).mean():.2f}, student {entropy(student).mean():.2f} of 0.69",
        fontsize=10,
    )


def margin(logits) -> np.ndarray:
    """z1 − z0 of (B, 2) logits, (B,) in float64. Raises UserError where there are not two classes."""
    logits = np.asarray(logits, float)
    if logits.ndim != 2 or logits.shape[1] != 2:
        raise UserError(
            f"a margin needs logits of two classes, and these have the shape {logits.shape}: take a task of two classes"
        )
    return logits[:, 1] - logits[:, 0]


def entropy(p: np.ndarray) -> np.ndarray:
    """Of two classes with probabilities p and 1 − p, in nats."""
    return -sum(q * np.log(np.maximum(q, 1e-300)) for q in (p, 1 - p))


def _scatter(ax, student, teacher, labels, low: float, high: float, diagonal: str) -> None:
    labels, middle = np.asarray(labels), (low + high) / 2
    for x, y in ((low, middle), (middle, low)):
        ax.add_patch(
            plt.Rectangle((x, y), middle - low, middle - low, color="#c0392b", alpha=0.08, lw=0)
        )
    ax.plot([low, high], [low, high], color=NEUTRAL, ls="--", lw=1, label=diagonal)
    for label, (colour, marker) in enumerate(LABELS):
        ax.scatter(
            teacher[labels == label],
            student[labels == label],
            s=22,
            marker=marker,
            color=colour,
            alpha=0.55,
            lw=0,
            label=f"gold label {label}",
        )
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    open_frame(ax)


def along_the_stages(results: dict, ax=None) -> Figure:
    """Probe accuracy after each stage, and the finished models' own dev score."""
    figure, ax = panel(ax, (7.2, 3.8))
    probes = results["probe_along_the_stages"]
    stages = {
        "3": "3 general\ndistillation",
        "4": "4 intermediate\nlayers",
        "5": "5 prediction\nlayer",
    }
    labels = [
        label for stage, label in stages.items() if stage in probes
    ]  # stage 4 wants a BERT for a teacher
    along = np.array([probes[stage] for stage in stages if stage in probes])
    error = (
        np.sqrt(along.clip(0, 1) * (1 - along.clip(0, 1)) / results["rows"]["dev"])
        if results["metric"] == "accuracy"
        else None
    )
    ax.errorbar(
        labels,
        along,
        error,
        fmt="o-",
        color=STUDENT,
        lw=2,
        elinewidth=1,
        capsize=3,
        label="student, probe on frozen states\n(± 1 standard error)",
    )
    if "teacher" in probes:
        ax.axhline(
            probes["teacher"],
            color="black",
            ls=":",
            lw=1.3,
            zorder=3,
            label="teacher, the same probe",
        )
    if results["teacher"]:
        ax.axhline(
            results["teacher"][results["metric"]],
            color=TEACHER,
            lw=1.8,
            label="teacher, own classifier",
        )
    ax.plot(
        labels[-1:],
        [results["student"][results["metric"]]],
        "D",
        color=STUDENT,
        ms=9,
        label="student, own classifier",
    )
    if "undistilled" in results:
        ax.axhline(
            results["undistilled"][results["metric"]],
            color=NEUTRAL,
            ls="--",
            lw=1.5,
            label="same student, no teacher",
        )
    ax.set(
        ylabel=f"dev {results['metric'].replace('_', ' ')}",
        title=f"{results['task']}: along the stages",
    )
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    open_frame(ax)
    return figure


def accuracy_and_agreement(answers: dict[str, np.ndarray], teacher, labels, ax=None) -> Figure:
    """How often a student is right, and how often it says what its teacher says, stage by stage; ± 1 standard error.

    answers: a stage's name -> the class (n,) the student gives each dev row · teacher, labels: (n,) likewise.
    """
    figure, ax = panel(ax, (7.2, 3.8))
    teacher, labels = np.asarray(teacher), np.asarray(labels)
    for goal, name, colour, style in (
        (labels, "right", STUDENT, "o-"),
        (teacher, "agrees with the teacher", NEUTRAL, "s--"),
    ):
        share = np.array([(np.asarray(found) == goal).mean() for found in answers.values()])
        ax.errorbar(
            range(len(answers)),
            share,
            np.sqrt(share * (1 - share) / len(labels)),
            fmt=style,
            color=colour,
            lw=2,
            elinewidth=1,
            capsize=3,
            label=f"student {name}",
        )
    ax.axhline((teacher == labels).mean(), color=TEACHER, lw=1.8, label="teacher right")
    ax.set_xticks(range(len(answers)), answers)
    ax.set(
        ylabel=f"share of {len(labels)} dev rows", title="accuracy and agreement along the stages"
    )
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    open_frame(ax)
    return figure


def cost_card(results: dict) -> Figure:
    """Parameters by block, bytes, multiply-adds and, where it was measured, time of teacher and student."""
    costs = [results["cost"]["teacher"], results["cost"]["student"]]
    timed = costs[0].get("milliseconds_a_row") is not None
    figure, (axes,) = new_figure(1, 3 + timed, (9 + 3 * timed, 3.2))
    colours, names = [TEACHER, STUDENT], ["teacher", "student"]
    bottom = np.zeros(2)
    for block, alpha in (("embeddings", 1.0), ("encoder", 0.65), ("classifier", 0.35)):
        sizes = np.array([c["blocks"][block] / 1e6 for c in costs])
        for x in range(2):
            axes[0].bar(
                names[x],
                sizes[x],
                bottom=bottom[x],
                color=colours[x],
                alpha=alpha,
                edgecolor="white",
            )
            if (
                sizes[x] > 0.08 * sum(costs[x]["blocks"].values()) / 1e6
                and sizes[x] > 0.06 * costs[0]["parameters"] / 1e6
            ):
                axes[0].text(
                    x, bottom[x] + sizes[x] / 2, block, ha="center", va="center", fontsize=8
                )
        bottom += sizes
    axes[0].set_title("parameters (millions)")
    length = costs[0]["length"]
    for ax, (key, scale, title) in zip(
        axes[1:],
        (
            ("bytes", 1e6, "float32 (MB)"),
            ("multiply_adds", 1e6, f"multiply-adds (millions, {length} tokens)"),
            ("milliseconds_a_row", 1, "time a row (ms)"),
        ),
    ):
        values = [c[key] / scale for c in costs]
        ax.bar(names, values, color=colours)
        ax.set_title(
            title + (f"\n{values[0] / values[1]:.1f} × less" if values[1] else ""), fontsize=10
        )
    for ax in axes:
        open_frame(ax)
    return figure


def bootstrap(differences: dict[str, np.ndarray], ax=None) -> Figure:
    """How a difference of two models moves when the rows are drawn again: a histogram each, above it the middle 95 % of the draws.

    differences: a name -> (draws,) differences in points of accuracy.
    """
    figure, ax = panel(ax, (7.2, 3.4))
    every = np.concatenate([*differences.values()])
    step = np.diff(np.unique(every.round(6))).min(
        initial=1.0
    )  # a row more or less: narrower bins would stand empty
    width = step * np.ceil(np.ptp(every) / 30 / step + 1e-9)
    edges = np.arange(every.min() - width / 2, every.max() + width, width)
    for place, ((name, found), colour) in enumerate(
        zip(differences.items(), (STUDENT, TEACHER, NEUTRAL))
    ):
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
    ax.set(xlabel="points of accuracy", ylabel="draws")
    ax.set_title("the difference, had the rows been others", pad=22)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure


def across_tasks(results: dict[str, dict], ax=None) -> Figure:
    """Dev scores of every task: teacher, student and, where there is one, the undistilled student, joined by a line.

    results: by task, each with `metric` and the scores of its models, as in results.json.
    """
    figure, ax = panel(ax, (7, 1.2 + 0.42 * len(results)))
    looks = {
        "undistilled": ("o", NEUTRAL, "student, undistilled"),
        "teacher": ("s", TEACHER, "teacher"),
        "student": ("o", STUDENT, "student"),
    }
    for place, result in enumerate(results.values()):
        found = [result[model][result["metric"]] for model in looks if result.get(model)]
        ax.plot([min(found), max(found)], [place, place], color=NEUTRAL, lw=1, alpha=0.5, zorder=1)
    for model, (marker, colour, label) in looks.items():
        points = [
            (result[model][result["metric"]], place)
            for place, result in enumerate(results.values())
            if result.get(model)
        ]
        if points:
            ax.scatter(*zip(*points), marker=marker, color=colour, label=label, s=46, zorder=2)
    ax.set_yticks(
        range(len(results)),
        [f"{name} ({result['metric'].replace('_', ' ')})" for name, result in results.items()],
        fontsize=9,
    )
    ax.invert_yaxis()
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlabel("dev score")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return settled(figure)
