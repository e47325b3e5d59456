"""Flags and settings that several commands have in common."""

import argparse
from dataclasses import replace

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS, Task
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.profiles import PROFILES, profile
from tinybert_lite.pipeline.workspace import GROW, Workspace
from tinybert_lite.stages.settings import Settings, Training
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.scheduler import FLAG

ALL = "all"  # --task all
WITHOUT_EFFECT = {  # flags of the original scripts, accepted so that their command lines run
    "--data_url": "results stay in --output_dir",
    "--cache_dir": "neither this code nor the original code caches files there",
    **dict.fromkeys(
        ("--local_rank", "--local-rank"),
        "the launcher passes each process its number in the environment",
    ),
}


def training_flags(
    parser: Parser,
    options: type[Training],
    do_eval: bool = False,
    without: tuple[str, ...] = (),
    **defaults,
) -> None:
    """Add the flags of a training command whose settings are `options`.

    without: settings that have no flag here. defaults: defaults of the original script for this
    command.
    """
    parser.settings(options, without=without, **defaults)
    parser.settings(Settings, "lower_case", "seed", "device", "precision", "threads")
    parser.switch("--no_cuda", help="the same as --device cpu")
    parser.switch("--do_eval", default=do_eval, help="evaluate")
    parser.no_effect(WITHOUT_EFFECT)


def scheduler_flag(parser: Parser) -> None:
    """Add --scheduler; its value is for `system.scheduler.connected`."""
    parser.add_argument(
        FLAG,
        metavar="dask://HOST:PORT",
        help="compute stages 1 and 2 on the workers of this Dask scheduler, on any number of "
        "machines that share the files",
    )


def run_settings(
    args: argparse.Namespace, task: Task = TASKS[FOLDERS_OWN_TASK], **stages
) -> Settings:
    """Return the settings of a command for one stage; `stages`: stage name -> its settings."""
    device = {"device": "cpu"} if getattr(args, "no_cuda", False) else {}
    return Settings.of(args, profile="command line", task=task, **device, **stages)


def shared_flags(parser: Parser) -> None:
    """Add the flags of a command over all stages, except --seed or --seeds."""
    add = parser.add_argument
    add("--profile", default="classroom", help=" | ".join(PROFILES))
    add(
        "--task",
        default="SST-2",
        help="a task of GLUE, SNLI, XNLI-zh …, ChnSentiCorp, one made by own_data, "
        "or all: every task whose files exist",
    )
    add(
        "--data_dir",
        help="folder with train.tsv, dev.tsv (and test.tsv); for --task all one of such folders",
    )
    add(
        "--corpus",
        nargs="+",
        metavar="PATH",
        help="text for stages 2 and 3: files, folders or patterns "
        "(default: wiki* in 1_pre_data/, else documents.txt)",
    )
    add(
        "--glove_embs",
        metavar="FILE",
        help="word vectors for stage 1, as text: GloVe's, word2vec's or fastText's "
        "(default: glove*.txt or *.vec in 1_pre_data/)",
    )
    add(
        "--teacher_model",
        help="the general teacher: model folder or hub name; "
        "grow: pre-train a small one on the workspace's corpus",
    )
    add(
        "--task_teacher",
        help="a teacher fine-tuned on the task: any Hugging Face sequence classifier; without "
        "--teacher_model its encoder is also the general teacher; one of a family that is not in "
        "docs/families.md teaches stage 5 only",
    )
    add(
        "--teacher_logits",
        metavar="FILE",
        help="instead of a task teacher: its logits of the training rows "
        "(.npy, or a TSV with the labels as header)",
    )
    add(
        "--student_model",
        help="folder with a config.json; if it also holds weights, stages 2 and 3 are skipped",
    )
    add(
        "--student",
        metavar="SHAPE",
        help="size of a student derived from the teacher, such as layers=4,width=312 (also heads, "
        "feed_forward); default: about a third of the teacher's layers and at most half of its "
        "width, or a shipped student",
    )
    add(
        "--augmentation_model",
        help="a model with a masked-LM head for stage 1 (default: the general teacher; without "
        "such a head only word vectors)",
    )
    add("--workspace", help="the workspace: the folder that holds the numbered folders")
    parser.settings(Settings, "device", "precision", "threads")
    parser.switch("--dry-run", help="print the plan and stop")
    add(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="stage.field=value",
        help="set one setting, such as task_distill_out.temperature=2; may be given several times",
    )


def prepared(
    args: argparse.Namespace, task: str, data_dir: str | None
) -> tuple[Settings, Workspace]:
    """Return settings and workspace of one task, from the flags of a command over all stages."""
    models = {
        name: local_folder(value) if value and value != GROW else value
        for name in ("teacher_model", "task_teacher", "student_model", "augmentation_model")
        for value in [getattr(args, name)]
    }
    workspace = Workspace.find(
        args.workspace,
        task,
        data_dir=data_dir,
        teacher_logits=args.teacher_logits,
        corpus=args.corpus,
        student=args.student,
        vectors=args.glove_embs,
        **models,
    )
    settings = profile(args.profile, workspace.task, workspace.teacher_is_grown)
    return replace(settings.override(args.assignments), **Settings.given(args)), workspace
