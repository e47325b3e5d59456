"""After stage 5: a finished model in 8 bits (Q8BERT, arXiv:1910.06188), calibrated and then trained with rounded numbers.

    python -m tinybert_lite.quantize
    python -m tinybert_lite.quantize --task_name STS-B --load_ckpt_path teacher_model/STS-B --train_data_dir STS-B --eval_data_dir STS-B \
        --do_quant true --do_eval true --epoch_num 3 --output_dir int8

What it leaves computes in simulated 8 bits; `python -m tinybert_lite.export --format serving` makes the file that really does.
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.cli import picked, run_settings, say_no_effect, training_parser, truth
from tinybert_lite.data.batches import in_order
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, Task
from tinybert_lite.engine.files import load_model, save_weights
from tinybert_lite.engine.objectives import Labels
from tinybert_lite.engine.quantization import calibrate, is_quantized, quantize
from tinybert_lite.evaluate import DevSet, write_eval_results
from tinybert_lite.foreign.rows import task_examples
from tinybert_lite.models import LoadedBert, in_the_tasks_order, load_bert, local_folder, save_model_folder
from tinybert_lite.runtime import UserError, command, say
from tinybert_lite.settings import Quantizing, Settings
from tinybert_lite.stage import MODEL_FILES, Session, Stage, StageResult
from tinybert_lite.task_distill import soft_targets_of, taught
from tinybert_lite.task_training import train_on_task
from tinybert_lite.workspace import Workspace

PLATFORM = {  # options of the MindSpore port that are about its platform
    "--device_id": "CUDA_VISIBLE_DEVICES chooses the GPU",
    "--device_target": "--device chooses, and finds a GPU by itself",
    "--do_shuffle": "rows are always shuffled, anew each epoch",
    "--enable_data_sink": "it belongs to Ascend",
    "--data_sink_steps": "it belongs to Ascend",
}


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.quantize
    if "teacher" in reads and not options.post_training:
        teaching = taught(reads, options, settings, session)
        student, dev, objective, prepare = teaching.student, teaching.dev, soft_targets_of(options), teaching.prepare(reads, options, folder)
    else:
        student = in_the_tasks_order(load_bert(reads["student"], settings.lower_case, num_labels=task.num_labels, projection="none"), task)
        dev = DevSet(task, reads, student.tokenizer, options.max_seq_length, options.eval_batch_size)
        objective, prepare = Labels(), lambda examples: examples
    check_source(student, task)
    found = {"before": dev(student.model.to(session.device.name))}
    if options.do_quant:
        examples = task_examples(reads["rows"], task, student.tokenizer, options.max_seq_length, options.calibration_rows)
        batches = ({name: tensor.to(session.device.name) for name, tensor in batch.items()} for _, batch in in_order(examples, options.eval_batch_size))
        calibrate(quantize(student.model), batches)
        found["post_training"] = dev(student.model)
    for name, scores in found.items():
        say(f"{name.replace('_', ' ')}: dev " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    metrics = {"steps": 0}
    if options.post_training:
        save_model_folder(student.model, student.tokenizer, folder)
        save_weights(student.model, folder)
    else:
        metrics = train_on_task(student.model, student.tokenizer, objective, task, reads["rows"], options, session, folder,
                                "8-bit training" if options.do_quant else "training in floating point", dev, prepare, finished=True)
    scores = dev(load_model(folder)[0].to(session.device.name))
    write_eval_results(folder, scores, metrics["steps"])
    say("in the end: dev " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()) + f", in {folder}")
    return {**metrics, **{f"{name}_dev": value for name, value in found.items()}, "dev": scores}


def check_source(student: LoadedBert, task: Task) -> None:
    """Raise UserError where there is nothing to make 8-bit."""
    if "classifier" in student.new_parts:
        raise UserError(f"{student.folder} holds no classifier for {task.name}: 8-bit training starts from a finished model; name a fine-tuned teacher or a student after stage 5")
    if is_quantized(student.model):
        raise UserError(f"{student.folder} is in 8 bits already: name the model in floating point that it was made of")
    if student.model.config.model_type == "albert":
        raise UserError(f"{student.folder}: an ALBERT is not taken to 8 bits; use a BERT")


def reads_of(workspace: Workspace, teacher: Path | None = None, rows: Path | None = None) -> dict[str, Path]:
    """What the stage reads of a workspace: its finished student, and the teacher's and stage 1's results where they are there."""
    teacher = teacher or workspace.task_teacher
    rows = rows or next((place for place in (workspace.rows_for_prediction, workspace.data_file("train")) if place.is_file()), workspace.data_file("train"))
    return {"rows": rows, **{name: path for name, path in workspace.task_files.items() if name != "train"}, "student": workspace.final_student,
            **({"teacher": teacher} if teacher.exists() else {})}


STAGE = Stage(
    "quantize", "8 bits", reads=reads_of, folder=lambda ws: ws.int8_student, writes=(*MODEL_FILES, "eval_results.txt"), work=work,
    sources={"student": ("task_distill_out", "finetune_teacher", "baseline"), "teacher": ("finetune_teacher",)},
)


def run(workspace: Workspace, settings: Settings, force: bool = False) -> StageResult:
    """The finished student in 8 bits, into `5_task_distill_out/int8/`, with the teacher's soft targets where there is a teacher."""
    return STAGE.run(workspace, settings, force)


def split_of(place: Path | None, split: str, workspace: Workspace) -> Path:
    """A split's rows: a file as it is, or found in a folder; the workspace's where none is named."""
    if place is None:
        return workspace.data_file(split)
    return place if place.is_file() else Workspace.find(workspace.root, workspace.task_name, data_dir=place).data_file(split)


def model_folder(name: str) -> Path:
    """A model's folder; a weights file stands for the folder around it."""
    path = Path(name)
    if path.suffix == ".ckpt":
        raise UserError(f"{path} is a checkpoint of MindSpore: docs/mindspore_checkpoints.md makes a model folder of it; name that")
    return path.parent if path.is_file() else local_folder(name)


def parser():
    found = training_parser("quantize", __doc__.split(":", 1)[1], do_eval=True, train_batch_size=16)
    add = found.add_argument
    add("--task_name", default=FOLDERS_OWN_TASK)
    add("--load_ckpt_path", help="the finished model: student or teacher (default: the workspace's student)")
    add("--train_data_dir", "--data_dir", type=Path, help="a folder with train.tsv, or the file (default: the augmented rows, where there are such)")
    add("--eval_data_dir", type=Path, help="a folder with dev.tsv, or the file")
    add("--teacher_model", help="whose soft targets to learn from (default for the workspace's student: its teacher; for another model none, but the labels)")
    add("--labels_alone", action="store_true", help="learn from the labels though there is a teacher")
    add("--output_dir", type=Path, help="default: int8/ in stage 5's folder")
    truth(found, "--do_quant", True, "8 bits; false: the same training in floating point")
    add("--post_training", action="store_true", help="calibrate and stop, without training")
    add("--calibration_rows", type=int, default=Quantizing.calibration_rows)
    add("--temperature", type=float, default=1.0)
    add("--workspace", help="where the numbered folders are")
    for flag in PLATFORM:
        add(flag, help="no effect")
    return found


@command
def main(argv: list[str]) -> None:
    args = parser().parse_args(argv)
    say_no_effect(argv, {**PLATFORM, **({} if args.do_eval else dict.fromkeys(("--eval_ckpt_step", "--eval_step"), "with --do_eval false the dev rows are measured after each epoch alone"))})
    workspace = Workspace.find(args.workspace, args.task_name, data_dir=args.train_data_dir if args.train_data_dir and args.train_data_dir.is_dir() else None)
    if args.post_training and not args.do_quant:
        raise UserError("--post_training makes 8 bits, and --do_quant false wants none: leave one of the two out")
    given = model_folder(args.load_ckpt_path) if args.load_ckpt_path else None
    rows = split_of(args.train_data_dir, "train", workspace) if given or args.train_data_dir else None
    reads = reads_of(workspace, local_folder(args.teacher_model) if args.teacher_model else None, rows)
    if given:
        reads["student"] = given
    if args.labels_alone or given and not args.teacher_model:
        reads.pop("teacher", None)
    if args.eval_data_dir:
        reads |= {name: split_of(args.eval_data_dir, name, workspace) for name in workspace.task.dev_files}
    settings = run_settings(args, workspace.task, quantize=picked(args, Quantizing, **({} if args.do_eval else {"eval_step": 0})))
    STAGE.execute(reads, args.output_dir or (workspace.int8_student if args.do_quant else workspace.float32_student), settings)


if __name__ == "__main__":
    raise SystemExit(main())
