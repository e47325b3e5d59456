"""Stage 1, data augmentation (paper, Algorithm 1): new training rows by replacing words.

    python -m tinybert_lite.data_augmentation --pretrained_bert_model teacher_model --glove_embs 1_pre_data/glove.6B.100d.txt \
        --glue_dir . --task_name SST-2

A word that is one word piece: mask it, take the masked LM's top M. A word of several pieces: its M nearest neighbours in
the word vectors. Each variant replaces every eligible word with probability p.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

from tinybert_lite.data.tasks import find_task
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.workspace import Workspace, resolve_teacher
from tinybert_lite.stages.data_augmentation import STAGE, Augmenter, run
from tinybert_lite.stages.settings import Augmenting, Settings
from tinybert_lite.system import processes
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import sha256, written_beside
from tinybert_lite.system.outputs import read_manifest

__all__ = ["Augmenter", "main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.data_augmentation", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--pretrained_bert_model",
        required=True,
        help="BERT folder or hub name with a masked-LM head",
    )
    parser.add_argument("--glove_embs", required=True, help="word vectors, GloVe text format")
    parser.add_argument("--glue_dir", required=True, help="folder that holds the task's folder")
    parser.add_argument("--task_name", required=True)
    parser.add_argument("--N", type=int, help="variants a text (default: the task's)")
    parser.add_argument("--M", type=int, default=15, help="candidates a word")
    parser.add_argument("--p", type=float, default=0.4, help="chance that a word is replaced")
    parser.add_argument(
        "--context",
        choices=("single", "pair"),
        default="single",
        help="pair: as the original, which can read the answer",
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    data = Path(args.glue_dir) / args.task_name
    task = find_task(args.task_name, data)
    workspace, data = Workspace(Workspace.find().root, task), data.with_name(task.name)
    options = Augmenting(
        N=task.variants if args.N is None else args.N,
        M=args.M,
        p=args.p,
        context=args.context,
        max_seq_length=512,
    )
    settings = Settings(
        profile="command line",
        task=task,
        seed=args.seed,
        device=args.device,
        data_augmentation=options,
    )
    reads = {
        "train": replace(workspace, given_data=data).data_file("train"),
        "teacher": resolve_teacher(local_folder(args.pretrained_bert_model), workspace),
        "vectors": Path(args.glove_embs),
    }
    if not data.is_dir():
        raise UserError(
            f"{data} is missing: --glue_dir needs a folder {task.name} with train.tsv in it"
        )
    written_before = (read_manifest(workspace.augmentation) or {}).get("outputs", {}).get("aug.tsv")
    STAGE.execute(reads, workspace.augmentation, settings)
    if not processes.is_main():
        return
    original_place = data / "train_aug.tsv"
    if original_place.is_file() and sha256(original_place) != written_before:
        kept = next(
            path
            for n in count(1)
            if not (path := original_place.with_name(f"train_aug.yours-{n}.tsv")).exists()
        )
        original_place.rename(kept)
        say(f"moved aside: {original_place.name} → {kept}")
    with written_beside(original_place) as part:
        shutil.copyfile(workspace.augmented_rows, part)
    say(f"also written: {original_place}, where --aug_train of task_distill looks first")


if __name__ == "__main__":
    raise SystemExit(main())
