"""The front door: plan all stages, run what is stale or missing, report.

python -m tinybert_lite.run_all
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.profiles import PROFILES, profile
from tinybert_lite.pipeline.workspace import GROW, Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.device import PRECISIONS

ALL = "all"  # --task all


def shared_flags(found: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What every command over all stages takes."""
    add = found.add_argument
    add("--profile", default="classroom", help=" | ".join(PROFILES))
    add(
        "--task",
        default="SST-2",
        help="one of GLUE's, SNLI, XNLI-zh …, ChnSentiCorp, one of your own (own_data), or all that are at hand",
    )
    add(
        "--data_dir",
        help="folder with train.tsv, dev.tsv (and test.tsv); with --task all, of the tasks' folders",
    )
    add(
        "--corpus",
        nargs="+",
        metavar="PATH",
        help="text for stages 2 and 3: files, folders or patterns (default: wiki* in 1_pre_data/, else documents.txt)",
    )
    add(
        "--teacher_model",
        help="the general teacher: a BERT folder or hub name; grow: a small one made from the text at hand",
    )
    add(
        "--task_teacher",
        help="a teacher fine-tuned on the task; any Hugging Face sequence classifier, for stage 5 alone where it is not a BERT",
    )
    add(
        "--teacher_logits",
        metavar="FILE",
        help="instead of a task teacher: its logits of the training rows (.npy, or a TSV headed by the labels)",
    )
    add("--student_model", help="a config.json, or a whole student, which skips stages 2 and 3")
    add("--workspace", help="where the numbered folders are")
    add("--device", default="auto", help="auto | cpu | cuda | mps")
    add("--precision", default="auto", help=" | ".join(PRECISIONS))
    add("--threads", type=int, default=0)
    add("--dry-run", action="store_true", help="print the plan and stop")
    add("--set", dest="assignments", action="append", default=[], metavar="stage.field=value")
    return found


def prepared(
    args: argparse.Namespace, task: str, data_dir: str | None
) -> tuple[Settings, Workspace]:
    """The settings and folders of one task, from the command line."""
    models = [
        local_folder(name) if name and name != GROW else name
        for name in (args.teacher_model, args.task_teacher, args.student_model)
    ]
    workspace = Workspace.find(
        args.workspace,
        task,
        data_dir=data_dir,
        teacher_model=models[0],
        task_teacher=models[1],
        student_model=models[2],
        teacher_logits=args.teacher_logits,
        corpus=args.corpus,
    )
    settings = profile(args.profile, workspace.task, workspace.teacher_width).override(
        args.assignments
    )
    return replace(
        settings, seed=args.seed, device=args.device, precision=args.precision, threads=args.threads
    ), workspace
