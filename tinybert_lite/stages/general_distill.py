"""Stage 3, general distillation (paper, Eqs. 7-9): the student learns the general teacher's attention and hidden states.

    python -m tinybert_lite.general_distill --pregenerated_data 2_pregenerate_data --teacher_model teacher_model \
        --student_model student_model --output_dir 3_general_distill --do_lower_case
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.epochs import count_sequences, read_epoch
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.models.loading import load_bert, load_model
from tinybert_lite.models.saving import hand_off, save_model_folder, save_weights
from tinybert_lite.models.starts import start_from_embeddings
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage, StageResult
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import scratch
from tinybert_lite.training.loop import Loop


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options = settings.general_distill
    teacher = load_bert(reads["teacher"], settings.lower_case)
    vocab_size = teacher.model.config.vocab_size
    student, new = load_model(
        reads["student"],
        from_scratch=not options.continue_train,
        vocab_size=vocab_size,
        num_labels=0,
        projection=options.projection,
        teacher_width=teacher.model.config.hidden_size,
    )
    if student.config.vocab_size != vocab_size:
        raise UserError(
            f"{reads['student']} has a vocabulary of {student.config.vocab_size}, the teacher {reads['teacher']} one of "
            f"{vocab_size}; use a student of this teacher's vocabulary"
        )
    needed = min(
        options.max_seq_length,
        student.config.max_position_embeddings,
        teacher.model.config.max_position_embeddings,
    )
    objective = Intermediate(
        student, teacher.model, options.mapping, options.padding, options.heads, options.weights
    )
    say(
        f"general distillation: {student.layers} student layers learn from teacher layers {objective.mapping[1:]}, from {reads['sequences']}"
    )
    if options.start == "embeddings" and not options.continue_train:
        start_from_embeddings(student, teacher.model)
    if options.continue_train and new:
        remark(f"new in the student: {', '.join(new)}")
    save_model_folder(student, teacher.tokenizer, folder)
    with scratch(folder) as ids:
        batches = Batches(
            lambda epoch: read_epoch(
                reads["sequences"], epoch, teacher.tokenizer, needed, ids / f"epoch_{epoch}.i4"
            ),
            options.train_batch_size,
            session.seed,
            rows=lambda epoch: count_sequences(reads["sequences"], epoch),
        )
        trained = Loop(
            student,
            objective,
            batches,
            options,
            session.accelerator(),
            folder,
            identity=session.identity,
            label="general distillation",
            say=say,
            on_epoch=lambda model, n: save_weights(model, folder, n),
        ).run()
    handed = hand_off(folder)
    say(f"general distillation: the student is in {handed}")
    return {
        "steps": trained.steps,
        "resumed_from": trained.resumed_from,
        "loss_terms": trained.last_terms,
        "mapping": objective.mapping,
    }


STAGE = Stage(
    "general_distill",
    "3 general distillation",
    reads=lambda ws, sequences=None, teacher=None, student=None: {
        "sequences": sequences or ws.sequences,
        "teacher": teacher or ws.teacher,
        "student": student or ws.student_source,
    },
    folder=lambda ws: ws.general_student,
    writes=MODEL_FILES,
    work=work,
    sources={
        "sequences": ("pregenerate_training_data",),
        "teacher": ("pretrain",),
        "student": ("general_distill",),
    },
    needless=lambda ws: f"{ws.student_source} is a whole student" if ws.student_has_weights else "",
)


def run(workspace, settings: Settings, force: bool = False) -> StageResult:
    """Distil the workspace's general student into `3_general_distill/`."""
    return STAGE.run(workspace, settings, force)
