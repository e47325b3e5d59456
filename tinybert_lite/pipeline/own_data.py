"""Write the folder of a user's own task for `run_all --task`, and report what its files contain.

`data.own_rows` reads and checks the rows. Rows without a label are kept for distillation, which
learns the teacher's soft targets only.
"""

import json
import re
from collections import Counter
from pathlib import Path
from statistics import fmean, pstdev

from tinybert_lite.data.own_rows import LANGUAGES, METRICS, OwnData, understand
from tinybert_lite.data.row_files import KINDS
from tinybert_lite.data.split_files import has_rows, splits_in
from tinybert_lite.data.tables import NO_AGREEMENT
from tinybert_lite.data.tasks import OWN, TASKS, own_task
from tinybert_lite.pipeline import folders
from tinybert_lite.system.console import counted, say
from tinybert_lite.system.errors import UserError, listed
from tinybert_lite.system.files import write_atomically
from tinybert_lite.system.outputs import ASIDE, Outputs

__all__ = ["LANGUAGES", "METRICS", "make", "write"]
FILES = (OWN, "train.tsv", "dev.tsv", "test.tsv")
TAKEN = {
    *"all pictures undistilled docs dev tests tools notebooks tinybert_lite".split(),
    ASIDE,
    folders.CLASSROOM,
    folders.GROWN,
    folders.PRE_DATA,
    folders.STUDENT_MODEL,
    folders.TEACHER_MODEL,
    *(task.language for task in TASKS.values()),
    *(name.lower() for name in TASKS),
}


def make(root: Path, path: Path, *args, name: str | None = None, **kwargs) -> Path:
    """Read, check, write and report a task; the other arguments are those of `understand`.

    path: a file, or a folder with files (or saved datasets) of train, dev (or validation) and test.
    Returns the task's folder in the workspace `root`, called `name` or like the file.
    """
    source = path
    if path.is_dir() and not has_rows(path):
        path, more = _in_folder(source)
        kwargs |= {split: file for split, file in more.items() if not kwargs.get(split)}
    name = name or re.sub(r"[^\w-]+", "-", source.resolve().name.split(".")[0])
    if name.lower() in TAKEN or re.match(r"\d_", name):
        raise UserError(
            f"--name {name} is taken by a task or folder of the course; choose another name"
        )
    if not re.fullmatch(r"[\w-]+", name):
        raise UserError(
            f"--name {name!r} has characters other than letters, digits, - and _; choose another"
        )
    data = understand(path, *args, **kwargs)
    folder = write(data, root / name)
    say(f"task {name}, in {folder}\n{report(data)}")
    return folder


def _in_folder(folder: Path) -> tuple[Path, dict[str, Path]]:
    found = splits_in(folder)
    if "train" not in found:
        raise UserError(
            f"{folder} holds no file of training rows; name the file itself, or rename it to train "
            f"with one of the endings {', '.join(KINDS)}"
        )
    say(f"files      {', '.join(f'{split} {path.name}' for split, path in found.items())}")
    return found.pop("train"), found


def write(data: OwnData, folder: Path) -> Path:
    """Write task.json and the rows; first move different files of these names in `folder` aside."""
    description = {"name": folder.name, **data.description}
    contents = {OWN: json.dumps(description, indent=2, ensure_ascii=False) + "\n"}
    for split, rows in data.splits.items():
        labelled = any(row.label is not None for row in rows)
        lines = [["text_a", *["text_b"] * description["pair"], *["label"] * labelled]]
        for row in rows:
            lines.append([*filter(None, row.texts), *[row.label or ""] * labelled])
        contents[f"{split}.tsv"] = "".join("\t".join(line) + "\n" for line in lines)
    found = {folder / file: contents.get(file, "").encode("utf-8") for file in FILES}
    old = [path for path, new in found.items() if path.is_file() and path.read_bytes() != new]
    Outputs(folder, FILES).set_aside(old, "yours")
    for path, content in found.items():
        if path.name in contents:
            write_atomically(path, content)
    own_task(folder / OWN)
    return folder


def report(data: OwnData) -> str:
    """Describe the task for the user: sizes, labels, lengths and three examples."""
    train = data.splits["train"]
    labelled = [row for row in train if row.label is not None]
    sizes = ", ".join(f"{split} {len(rows)}" for split, rows in data.splits.items())
    if len(labelled) < len(train):
        sizes += f" ({len(train) - len(labelled)} of train without a label, for distillation only)"
    lines = [f"rows       {sizes}"]
    if data.dev_drawn:
        lines.append(
            "dev        drawn from the rows of train; if you distil a classifier that was trained "
            "on them, name other rows with --dev, or its dev score is too high"
        )
    if data.left_out:
        lines.append(
            f"left out   {counted(data.left_out, 'row')} without a gold label ({NO_AGREEMENT})"
        )
    if data.duplicates:
        lines.append(
            f"duplicates {counted(data.duplicates, 'row')} removed from train, already in train, "
            "dev or test"
        )
    if labels := data.description["labels"]:
        counts = Counter(row.label for row in [*labelled, *data.splits["dev"]])
        known = listed([f"{label} {counts[label]}" for label in labels], 20)
        lines.append(f"labels     {known} (train and dev)")
        uneven = max(counts.values()) > 3 * min(counts.values())
        if uneven and data.description["metric"] == METRICS[0]:
            lines.append(
                f"metric     accuracy; the labels differ in frequency, and --metric {METRICS[1]} "
                "weights each label equally"
            )
    else:
        numbers = [float(row.label) for row in labelled]
        lines.append(
            f"labels     numbers from {min(numbers):g} to {max(numbers):g}, mean "
            f"{fmean(numbers):.4g}, standard deviation {pstdev(numbers):.4g}"
        )
    chinese = data.description["language"] == "zh"
    lengths = [
        sum(len(text if chinese else text.split()) for text in row.texts if text) for row in train
    ]
    lines.append(
        f"length     {fmean(lengths):.1f} {'characters' if chinese else 'words'} on average, "
        f"{max(lengths)} at most"
    )
    for row in labelled[:3]:
        texts = " | ".join(map(short_text, filter(None, row.texts)))
        lines.append(f"example    {texts} → {row.label}")
    return "\n".join(lines)


def short_text(text: str, most: int = 70) -> str:
    """Return a text, cut to `most` characters."""
    return text if len(text) <= most else text[: most - 2].rstrip() + " …"
