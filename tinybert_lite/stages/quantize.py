"""After stage 5: a finished model in 8 bits (Q8BERT, arXiv:1910.06188), calibrated and then trained with rounded numbers.

    python -m tinybert_lite.quantize
    python -m tinybert_lite.quantize --task_name STS-B --load_ckpt_path teacher_model/STS-B --train_data_dir STS-B --eval_data_dir STS-B \
        --do_quant true --do_eval true --epoch_num 3 --output_dir int8

What it leaves computes in simulated 8 bits; `python -m tinybert_lite.export --format serving` makes the file that really does.
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.objectives import Labels
from tinybert_lite.method.quantization import calibrate, is_quantized, quantize
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import LoadedBert, load_classifier, load_model
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage, StageResult
from tinybert_lite.stages.submissions import write_eval_results
from tinybert_lite.stages.task_distill import soft_targets_of, taught
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.quantize
    if "teacher" in reads and not options.post_training:
        teaching = taught(reads, options, settings, session)
        student, dev, objective, prepare = (
            teaching.student,
            teaching.dev,
            soft_targets_of(options),
            teaching.prepare(reads, options, folder),
        )
    else:
        student = load_classifier(reads["student"], task, settings.lower_case)
        dev = DevSet(
            task, reads, student.tokenizer, options.max_seq_length, options.eval_batch_size
        )
        objective, prepare = Labels(), lambda examples: examples
    check_source(student, task)
    found = {"before": dev(student.model.to(session.device.name))}
    if options.do_quant:
        examples = task_examples(
            reads["rows"], task, student.tokenizer, options.max_seq_length, options.calibration_rows
        )
        batches = (
            {name: tensor.to(session.device.name) for name, tensor in batch.items()}
            for _, batch in in_order(examples, options.eval_batch_size)
        )
        calibrate(quantize(student.model), batches)
        found["post_training"] = dev(student.model)
    for name, scores in found.items():
        say(
            f"{name.replace('_', ' ')}: dev " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items())
        )
    metrics = {"steps": 0}
    if options.post_training:
        save_model_folder(student.model, student.tokenizer, folder)
        save_weights(student.model, folder)
    else:
        metrics = train_on_task(
            student.model,
            student.tokenizer,
            objective,
            task,
            reads["rows"],
            options,
            session,
            folder,
            "8-bit training" if options.do_quant else "training in floating point",
            dev,
            prepare,
            finished=True,
        )
    scores = dev(load_model(folder)[0].to(session.device.name))
    write_eval_results(folder, scores, metrics["steps"])
    say(
        "in the end: dev " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()) + f", in {folder}"
    )
    return {**metrics, **{f"{name}_dev": value for name, value in found.items()}, "dev": scores}


def check_source(student: LoadedBert, task: Task) -> None:
    """Raise UserError where there is nothing to make 8-bit."""
    if "classifier" in student.new_parts:
        raise UserError(
            f"{student.folder} holds no classifier for {task.name}: 8-bit training starts from a finished model; name a fine-tuned teacher or a student after stage 5"
        )
    if is_quantized(student.model):
        raise UserError(
            f"{student.folder} is in 8 bits already: name the model in floating point that it was made of"
        )
    if student.model.config.model_type == "albert":
        raise UserError(f"{student.folder}: an ALBERT is not taken to 8 bits; use a BERT")


def reads_of(
    workspace, teacher: ModelFolder | None = None, rows: Path | None = None
) -> dict[str, Path]:
    """What the stage reads of a workspace: its finished student, and the teacher's and stage 1's results where they are there."""
    teacher = teacher or workspace.task_teacher
    rows = rows or next(
        (
            place
            for place in (workspace.rows_for_prediction, workspace.data_file("train"))
            if place.is_file()
        ),
        workspace.data_file("train"),
    )
    return {
        "rows": rows,
        **{name: path for name, path in workspace.task_files.items() if name != "train"},
        "student": workspace.final_student,
        **({"teacher": teacher} if teacher.path.exists() else {}),
    }


STAGE = Stage(
    "quantize",
    "8 bits",
    reads=reads_of,
    folder=lambda ws: ws.int8_student,
    writes=(*MODEL_FILES, "eval_results.txt"),
    work=work,
    sources={
        "student": ("task_distill_out", "finetune_teacher", "baseline"),
        "teacher": ("finetune_teacher",),
    },
)


def run(workspace, settings: Settings, force: bool = False) -> StageResult:
    """The finished student in 8 bits, into `5_task_distill_out/int8/`, with the teacher's soft targets where there is a teacher."""
    return STAGE.run(workspace, settings, force)
