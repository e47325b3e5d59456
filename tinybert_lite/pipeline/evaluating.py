"""Evaluation: the tasks' metrics, predictions, agreement, the probe along the stages, and GLUE's submission files.

python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.exports.serving import Served
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import LoadedBert, check_same_vocabulary, load_classifier
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import DevSet, predict
from tinybert_lite.stages.metrics import agreement
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.submissions import (
    scores_on_test,
    write_eval_results,
    write_test_predictions,
)
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.files import write_json


def evaluate_folder(
    folder: ModelFolder | Path,
    workspace: Workspace,
    settings: Settings,
    max_length: int = 128,
    batch_size: int = 32,
    output: Path | None = None,
    teacher: ModelFolder | Path | None = None,
    runtime: str | None = None,
) -> dict:
    """Dev scores of a finished model, printed; with a teacher its scores and their agreement; files into `output`. runtime: of a serving folder."""
    task, session = workspace.task, Session.open(settings)

    def load(place: ModelFolder | Path, runtime: str | None = None) -> LoadedBert:
        place = ModelFolder.at(place)
        if runtime or place.served_file:
            served = Served(place, runtime).in_the_tasks_order(task)
            return LoadedBert(served, served.tokenizer, place, [])
        found = load_classifier(place, task, settings.lower_case)
        if "classifier" in found.new_parts:
            remark(
                f"warning: {place} has no classifier of its own; the scores below are those of a random one"
            )
        found.model.to(session.device.name)
        return found

    student = load(folder, runtime)
    dev = DevSet(task, workspace.task_files, student.tokenizer, max_length, batch_size)
    results = {"task": task.name, "student": str(folder), "dev": dev(student.model)}
    files = {split: workspace.data_file(split) for split in task.test_files}
    if not dev.parts:  # the diagnostic set is a test and nothing else
        results["test"] = scores_on_test(
            {"student": student.model}, task, files, student.tokenizer, max_length
        )
        say(
            "\n".join(
                f"{split} {key} = {value}"
                for split, of in results["test"].items()
                for key, value in of["student"].items()
            )
        )
    elif teacher:
        model = load(teacher)
        check_same_vocabulary(student, model)
        results |= {
            "teacher": str(teacher),
            "teacher_dev": dev(model.model),
            "agreement": agreement(
                predict(model.model, dev.first), predict(student.model, dev.first)
            ),
        }
    if output:
        output.mkdir(parents=True, exist_ok=True)
        write_test_predictions(
            student.model, task, files, student.tokenizer, max_length, output
        )  # first: it may refuse a file
        write_eval_results(output, results["dev"], 0)
        write_json(output / "eval_results.json", results)
    say("\n".join(f"{key} = {value}" for key, value in results["dev"].items()))
    if "teacher_dev" in results:
        say(
            "\n".join(f"teacher {key} = {value}" for key, value in results["teacher_dev"].items())
            + f"\nagreement = {results['agreement']}"
        )
    return results
