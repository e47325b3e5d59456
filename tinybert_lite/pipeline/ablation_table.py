"""The ablation's table (`ablation.json`, `.md`, `.png`): scores and their difference to `full`."""

import statistics
from collections.abc import Collection
from pathlib import Path

from tinybert_lite.pipeline.ablation_variants import FULL, VARIANTS, Variant
from tinybert_lite.pipeline.report import (
    listed,
    markdown_table,
    plots_without_screen,
    write_markdown,
)
from tinybert_lite.system.console import grid, say
from tinybert_lite.system.files import write_json

SUMMARY = "ablation"
SPLITS = ("dev", "test")


def differences(runs: list[dict], variants: list[Variant]) -> list[dict]:
    """Return one row per variant, in points (100 times the primary metric).

    A row has the scores by seed for each split, and their differences to the full method of the
    same seed.
    """
    rows = []
    for variant in variants:
        paper = variant.paper
        row = {
            "name": variant.name,
            "title": variant.title,
            "paper": paper,
            "paper_difference": None if paper is None else round(paper - VARIANTS[FULL].paper, 1),
        }
        for split in SPLITS:
            own, full = points(runs, variant.name, split), points(runs, FULL, split)
            common = own.keys() & full
            row[split] = own
            row[f"{split}_difference"] = {seed: own[seed] - full[seed] for seed in sorted(common)}
        rows.append(row)
    return rows


def points(runs: list[dict], name: str, split: str) -> dict[int, float]:
    """Return a variant's scores on a split, in points, by seed."""
    return {
        run["seed"]: 100 * run[split][run["metric"]]
        for run in runs
        if run["variant"] == name and run[split]
    }


def mean_and_sd(values: Collection[float], sign: str = "") -> str:
    """Return mean ± sample standard deviation as text; the mean for one value, "–" for none."""
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.2f}{spread}"


def cells(rows: list[dict], runs: list[dict]) -> list[tuple[str, ...]]:
    """Return the cells of the table, means over seeds; the first row is the header."""
    splits = [split for split in SPLITS if any(row[split] for row in rows)]
    heads = (head for split in (*splits, "paper") for head in (split, "− full"))
    found = [("", *heads, "seconds")]
    for row in rows:
        own = []
        for split in splits:
            scores, apart = row[split].values(), row[f"{split}_difference"].values()
            own += [mean_and_sd(scores), mean_and_sd(apart, "+")]
        paper = ["–", "–"]
        if row["paper"] is not None:
            paper = [f"{row['paper']:.1f}", f"{row['paper_difference']:+.1f}"]
        seconds = [run["seconds"] for run in runs if run["variant"] == row["name"]]
        own += paper
        if row["name"] == FULL:
            own[1::2] = [""] * (len(own) // 2)
        time = f"{statistics.mean(seconds):.0f}" if seconds else "–"
        found.append((row["title"], *own, time))
    return found


def write_table(
    folder: Path, runs: list[dict], failed: dict[str, str], variants: list[Variant]
) -> None:
    """Write ablation.json, .md and .png into `folder`, and print the table."""
    rows, first = differences(runs, variants), runs[0]
    table, metric, dev = cells(rows, runs), first["metric"].replace("_", " "), first["dev_rows"]
    seeds = sorted({run["seed"] for run in runs})
    say(f"\n{grid(table)}")
    folder.mkdir(parents=True, exist_ok=True)
    figure = plots_without_screen().ablation(rows, f"{first['task']}, dev {metric}")
    figure.savefig(folder / f"{SUMMARY}.png", dpi=110)
    lines = [
        f"# {first['task']}: the contribution of each part of the method",
        "",
        f"Ours: 100 × {metric} on {dev} dev rows, mean ± standard deviation over "
        f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}; one dev row is "
        f"{100 / dev:.2f} points. Differences are to the full method of the same seed.",
        "Paper: TinyBERT4, mean dev score of MNLI-m, MNLI-mm, MRPC and CoLA. "
        "Seconds: of the stages that a variant does not share with the full method.",
        "",
        *markdown_table(table),
        *(f"- {name} failed: {reason}" for name, reason in failed.items()),
        "",
        f"Profile {first['profile']}. {first['machine']}, {first['device']}, {first['threads']} "
        f"threads, precision {first['precision']}. {listed(first['versions'])}.",
        "",
        f"![differences to the full method, the paper's and ours]({SUMMARY}.png)",
        "",
    ]
    write_markdown(folder / f"{SUMMARY}.md", lines)
    write_json(
        folder / f"{SUMMARY}.json",
        {
            **{name: first[name] for name in ("task", "metric", "profile")},
            "seeds": seeds,
            "table": rows,
            "runs": runs,
            "failed": failed,
        },
    )
    say(f"  ablation: {folder / f'{SUMMARY}.md'}")
