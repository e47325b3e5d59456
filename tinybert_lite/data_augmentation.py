"""Stage 1, data augmentation (paper, Algorithm 1): new training rows by replacing words.

    python -m tinybert_lite.data_augmentation --pretrained_bert_model teacher_model \
        --glove_embs 1_pre_data/glove.6B.100d.txt --glue_dir . --task_name SST-2

A word that is one word piece is masked, and the masked LM gives its top M candidates. A word of
several pieces gets its M nearest neighbours among the word vectors. Each variant replaces every
eligible word with probability p.
"""

from pathlib import Path

from tinybert_lite.data.tasks import find_task
from tinybert_lite.pipeline.command_line import run_settings, scheduler_flag
from tinybert_lite.pipeline.original_places import copy_augmented_rows, teacher_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.data_augmentation import STAGE, Augmenter, run
from tinybert_lite.stages.settings import Augmenting, Settings
from tinybert_lite.system import processes
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.outputs import read_manifest
from tinybert_lite.system.scheduler import ALONE, connected

__all__ = ["Augmenter", "main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = Parser("data_augmentation", __doc__)
    add = parser.add_argument
    add(
        "--pretrained_bert_model",
        required=True,
        help="folder or hub name of a model with a masked-LM head",
    )
    add(
        "--glove_embs",
        required=True,
        type=Path,
        help="word vectors as text: GloVe's, word2vec's or fastText's",
    )
    add("--glue_dir", required=True, type=Path, help="folder that holds the task's folder")
    add("--task_name", required=True, help="name of the task, such as sst-2")
    parser.settings(Augmenting, N=None)
    parser.settings(Settings, "seed", "device", "threads")
    scheduler_flag(parser)
    args = parser.parse_args(argv)
    if args.scheduler:
        processes.need_one_process(ALONE)
    data = args.glue_dir / args.task_name
    task = find_task(args.task_name, data)
    data = data.with_name(task.name)
    if not data.is_dir():
        raise UserError(
            f"{data} is missing: --glue_dir needs a folder {task.name} with train.tsv in it"
        )
    workspace = Workspace(Workspace.find().root, task, given_data=data)
    variants = task.variants if args.N is None else args.N
    options = Augmenting.of(args, N=variants, max_seq_length=512)
    teacher = teacher_folder(args.pretrained_bert_model, workspace)
    reads = STAGE.reads(workspace, teacher=teacher, vectors=args.glove_embs)
    last = (read_manifest(workspace.augmentation) or {}).get("outputs", {}).get("aug.tsv")
    settings = run_settings(args, task, data_augmentation=options)
    with connected(args.scheduler):
        STAGE.execute(reads, workspace.augmentation, settings)
    if processes.is_main():
        copy_augmented_rows(workspace, last)


if __name__ == "__main__":
    raise SystemExit(main())
