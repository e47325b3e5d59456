"""Stage 3, general distillation (paper, Eqs. 7-9): the student learns the general teacher's attention and hidden states.

    python -m tinybert_lite.general_distill --pregenerated_data 2_pregenerate_data --teacher_model teacher_model \
        --student_model student_model --output_dir 3_general_distill --do_lower_case
"""

from __future__ import annotations

from pathlib import Path

import torch

from tinybert_lite.cli import matching_flags, picked, run_settings, say_no_effect, training_parser
from tinybert_lite.data.batches import Batches
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.files import hand_off, load_model, save_weights
from tinybert_lite.engine.objectives import Intermediate
from tinybert_lite.engine.train import Loop
from tinybert_lite.models import load_bert, local_folder, save_model_folder
from tinybert_lite.outputs import scratch
from tinybert_lite.pregenerate_training_data import count_sequences, read_epoch
from tinybert_lite.runtime import UserError, command, remark, say
from tinybert_lite.settings import Distilling, Settings
from tinybert_lite.stage import MODEL_FILES, Session, Stage, StageResult
from tinybert_lite.workspace import Workspace, fitting_student, resolve_teacher


def start_from_embeddings(student: Bert, teacher: Bert) -> None:
    """Begin where the embedding loss is least: E^S W ≈ E^T has its best answer of rank d' in closed form (Eckart-Young).

    Word, position and segment embeddings (., d) of the teacher become (., d') by the d' principal directions of its word
    embeddings, and those directions are the student's projection. Not in the paper, whose large corpus shows every word;
    a small one does not. A student at least as wide as its teacher stays as it is.
    """
    width = student.config.hidden_size
    if width >= teacher.config.hidden_size or teacher.config.model_type == "albert":  # its words lie in another width, behind a LayerNorm
        return
    mine, theirs = student.bert.embeddings, teacher.bert.embeddings
    directions = torch.linalg.svd(theirs.word_embeddings.weight.data, full_matrices=False).Vh[:width]  # (d', d)
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        target, source = getattr(mine, name).weight.data, getattr(theirs, name).weight.data
        rows = min(len(target), len(source))
        target[:rows] = source[:rows] @ directions.T
    (student.fit_dense or student.fit_denses[0]).weight.data.copy_(directions.T)


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options = settings.general_distill
    teacher = load_bert(reads["teacher"], settings.lower_case)
    vocab_size = teacher.model.config.vocab_size
    student, new = load_model(reads["student"], from_scratch=not options.continue_train, vocab_size=vocab_size, num_labels=0,
                              projection=options.projection, teacher_width=teacher.model.config.hidden_size)
    if student.config.vocab_size != vocab_size:
        raise UserError(f"{reads['student']} has a vocabulary of {student.config.vocab_size}, the teacher {reads['teacher']} one of "
                        f"{vocab_size}; use a student of this teacher's vocabulary")
    needed = min(options.max_seq_length, student.config.max_position_embeddings, teacher.model.config.max_position_embeddings)
    objective = Intermediate(student, teacher.model, options.mapping, options.padding, options.heads, options.weights)
    say(f"general distillation: {student.layers} student layers learn from teacher layers {objective.mapping[1:]}, from {reads['sequences']}")
    if options.start == "embeddings" and not options.continue_train:
        start_from_embeddings(student, teacher.model)
    if options.continue_train and new:
        remark(f"new in the student: {', '.join(new)}")
    save_model_folder(student, teacher.tokenizer, folder)
    with scratch(folder) as ids:
        batches = Batches(lambda epoch: read_epoch(reads["sequences"], epoch, teacher.tokenizer, needed, ids / f"epoch_{epoch}.i4"),
                          options.train_batch_size, session.seed, rows=lambda epoch: count_sequences(reads["sequences"], epoch))
        trained = Loop(
            student, objective, batches, options, session.accelerator(), folder,
            identity=session.identity, label="general distillation", say=say, on_epoch=lambda model, n: save_weights(model, folder, n),
        ).run()
    handed = hand_off(folder)
    say(f"general distillation: the student is in {handed}")
    return {"steps": trained.steps, "resumed_from": trained.resumed_from, "loss_terms": trained.last_terms, "mapping": objective.mapping}


STAGE = Stage(
    "general_distill", "3 general distillation",
    reads=lambda ws: {"sequences": ws.sequences, "teacher": ws.teacher, "student": ws.student_source},
    folder=lambda ws: ws.general_student, writes=MODEL_FILES, work=work,
    sources={"sequences": ("pregenerate_training_data",), "teacher": ("pretrain",), "student": ("general_distill",)},
    needless=lambda ws: f"{ws.student_source} is a whole student" if ws.student_has_weights else "",
)


def run(workspace: Workspace, settings: Settings, force: bool = False) -> StageResult:
    """Distil the workspace's general student into `3_general_distill/`."""
    return STAGE.run(workspace, settings, force)


def student_or_shipped(folder: Path, teacher: Path, workspace: Workspace) -> Path:
    """`student_model` without a configuration of its own means the shipped one that fits the teacher."""
    from tinybert_lite.engine.files import config_file, read_config

    if config_file(folder).is_file() or not folder.is_dir():
        return folder
    inside = folder / fitting_student(read_config(teacher), teacher)
    if not config_file(inside).is_file():
        raise UserError(f"{folder / 'config.json'} is missing: a student folder needs at least its configuration")
    say(f"student: {inside}, which fits the teacher's heads")
    return inside


@command
def main(argv: list[str]) -> None:
    parser = training_parser("general_distill", __doc__, eval_step=1000, eval_step_help="steps between two saved states")
    parser.add_argument("--pregenerated_data", required=True, type=Path, help="folder of epoch_i.json or TFRecord files, or one such file")
    parser.add_argument("--teacher_model", required=True, help="the general teacher: BERT folder or hub name")
    parser.add_argument("--student_model", required=True, help="folder with the student's config.json")
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--reduce_memory", action="store_true")
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument("--continue_train", action="store_true", help="start from the student folder's weights")
    parser.add_argument("--start", choices=("random", "embeddings"), default="random", help="embeddings: from the teacher's, in their principal directions")
    matching_flags(parser)
    args = parser.parse_args(argv)
    say_no_effect(argv, {
        "--reduce_memory": "sequences always lie in one compact array",
        "--fp16": "the device chooses (bf16, else fp16, where it has it); --precision fp16 insists",
        "--do_eval": "general distillation has no dev set",
        "--eval_batch_size": "general distillation has no dev set",
    })
    workspace = Workspace.find()
    teacher = resolve_teacher(local_folder(args.teacher_model), workspace)
    student = student_or_shipped(local_folder(args.student_model), teacher, workspace)
    options = picked(args, Distilling, eval_step=0, save_every=args.save_every or args.eval_step)
    STAGE.execute({"sequences": args.pregenerated_data, "teacher": teacher, "student": student}, args.output_dir,
                  run_settings(args, general_distill=options))


if __name__ == "__main__":
    raise SystemExit(main())
