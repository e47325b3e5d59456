"""After stage 5: train a finished model in 8 bits (Q8BERT, arXiv:1910.06188).

Reads training rows, dev files, a finished student or teacher, and a teacher for soft targets if
there is one; writes a model folder and `eval_results.txt` into `5_task_distill_out/int8/`.
The model is calibrated, and then trained with rounded weights and activations. It simulates 8 bits
in floating point; `python -m tinybert_lite.export --format serving` writes a file for 8-bit
arithmetic.
"""

from pathlib import Path

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.objectives import Labels
from tinybert_lite.method.quantization import calibrate, is_quantized, quantize
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import LoadedModel
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.stages import task_models
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.metrics import as_text
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.stages.submissions import write_eval_results
from tinybert_lite.stages.task_distill_out import teaching_of
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError


def work(job: Job) -> dict:
    options, folder, teaching = job.options, job.folder, None
    if "teacher" in job.reads and not options.post_training:
        teaching = teaching_of(job)
        student, dev = teaching.student, teaching.dev
    else:
        student = job.finished("student")
        dev = job.dev_set(student.tokenizer)
    check_source(student, job.task)
    metrics = {"before_dev": dev(student.model.to(job.device))}
    say(f"before: {as_text(metrics['before_dev'])}")
    if options.do_quant:
        make_8_bit(job, student)
        metrics["post_training_dev"] = dev(student.model)
        say(f"post training: {as_text(metrics['post_training_dev'])}")
    label = "8-bit training" if options.do_quant else "training in floating point"
    if options.post_training:
        save_model_folder(student.model, student.tokenizer, folder)
        save_weights(student.model, folder)
        metrics |= {"steps": 0, "dev": dev.of_folder(folder, job.device)}
    elif teaching:
        metrics |= teaching.train(job, label, finished=True)
    else:
        metrics |= train_on_task(job, student, Labels(), label, dev, finished=True)
    write_eval_results(folder, metrics["dev"], metrics["steps"])
    say(f"at the end: {as_text(metrics['dev'])}, in {folder}")
    return metrics


def make_8_bit(job: Job, student: LoadedModel) -> None:
    """Quantize a student, in place, and set its ranges by the first training rows."""
    options = job.options
    examples = task_examples(
        job.reads["rows"],
        job.task,
        student.tokenizer,
        options.max_seq_length,
        options.calibration_rows,
    )
    batches = (
        {name: tensor.to(job.device) for name, tensor in batch.items()}
        for _, batch in in_order(examples, options.eval_batch_size)
    )
    calibrate(quantize(student.model), batches)


def check_source(student: LoadedModel, task: Task) -> None:
    """Raise UserError for a model that cannot be made 8-bit."""
    if "classifier" in student.new_parts:
        raise UserError(
            f"{student.folder} holds no classifier for {task.name}: 8-bit training starts from a "
            f"finished model; name a fine-tuned teacher or a student after stage 5"
        )
    if is_quantized(student.model):
        raise UserError(
            f"{student.folder} is in 8 bits already: name the floating-point model that it was "
            f"made from"
        )


def reads_of(
    workspace,
    teacher: ModelFolder | None = None,
    rows: Path | None = None,
    student: ModelFolder | None = None,
    labels_alone: bool = False,
) -> dict[str, Path]:
    """Return what the stage reads, by name.

    It is the workspace's finished student, with its teacher and augmented rows if they exist, or a
    given student, with a teacher only if one is given.
    """
    if rows is None:
        rows = workspace.rows_for_prediction
        rows = rows if rows.is_file() else workspace.data_file("train")
    found = task_models.reads_of(workspace, rows, student or workspace.final_student, teacher)
    if labels_alone or student and not teacher or not Path(found["teacher"]).exists():
        del found["teacher"]
    return found


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
run = STAGE.run
