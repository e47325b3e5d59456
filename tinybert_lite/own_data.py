"""Make a task for `run_all --task` from your own rows: CSV, TSV, JSON, Parquet, a saved dataset.

    python -m tinybert_lite.own_data reviews.csv --text title --label topic --name topics

Rows without a label are kept for distillation, in which soft targets replace the labels.
"""

from pathlib import Path

from tinybert_lite.data.row_files import KINDS
from tinybert_lite.pipeline.own_data import LANGUAGES, METRICS, make
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.fields import Parser

__all__ = ["main", "make"]


@command
def main(argv: list[str]) -> None:
    parser = Parser("own_data", __doc__)
    add = parser.add_argument
    kinds = f"{', '.join(KINDS)} or a saved dataset, or a folder with train, validation and test"
    add("file", type=Path, help=kinds)
    text = "column of the text, or of a pair's first; its number, from 1, if there is no header"
    add("--text", required=True, help=text)
    add("--label", required=True, help="column of the labels; a row may have none")
    add("--text_b", help="column of the second text of a pair")
    add("--name", help="name of the task; default: the name of the file")
    add("--dev", type=Path, help="file of rows to evaluate on; default: a random part of the rows")
    add("--test", type=Path, help="file of rows to predict, and to evaluate on if they have labels")
    add("--unlabelled", type=Path, help="file of more rows without labels")
    add("--dev_share", type=float, default=0.1, help="share of rows to evaluate on, without --dev")
    parser.switch("--regression", help="labels are numbers on a scale")
    add("--metric", choices=METRICS, help="primary metric; macro_f1 weights all classes equally")
    add("--language", choices=LANGUAGES, default="auto", help="auto: recognised by the letters")
    add("--workspace", help="the workspace: the folder that holds the numbered folders")
    add("--seed", type=int, default=Settings.seed, help="for the random choice of dev rows")
    args = vars(parser.parse_args(argv))
    root, given = Workspace.find(args["workspace"]).root, args.pop("workspace")
    folder = make(root, args.pop("file"), args.pop("text"), args.pop("label"), **args)
    there = f" --workspace {given}" if given else ""
    say(f"next: python -m tinybert_lite.run_all --task {folder.name}{there}")


if __name__ == "__main__":
    raise SystemExit(main())
