"""Stage 3, general distillation (paper, section 3.2 and Eqs. 7 to 9).

Reads the training sequences of stage 2, the general teacher and the student's config; writes the
general student, a model folder, and model_epoch_N.bin of every epoch into `3_general_distill/`. The
student learns the teacher's attention scores, hidden states and embeddings on text without labels.
"""

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.epochs import count_sequences, read_epoch
from tinybert_lite.method.initial_weights import start_from_embeddings
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.saving import hand_off, save_model_folder, save_weights
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import scratch


def work(job: Job) -> dict:
    options, folder, sequences = job.options, job.folder, job.reads["sequences"]
    loaded = job.load("teacher")
    teacher, tokenizer = loaded.model, loaded.tokenizer
    vocab_size = teacher.config.vocab_size
    student, new = load_model(
        job.reads["student"],
        from_scratch=not options.continue_train,
        like=teacher.config,
        num_labels=0,
        projection=options.projection,
        teacher_width=teacher.config.hidden_size,
    )
    if student.config.vocab_size != vocab_size:
        raise UserError(
            f"{job.reads['student']} has a vocabulary of {student.config.vocab_size} entries, but "
            f"the teacher {job.reads['teacher']} has {vocab_size}; use a student with the "
            f"teacher's vocabulary"
        )
    objective = Intermediate(
        student, teacher, options.mapping, options.padding, options.heads, options.weights
    )
    say(
        f"general distillation: {student.layers} student layers learn from teacher layers "
        f"{objective.mapping[1:]}, from {sequences}"
    )
    if options.continue_train and new:
        remark(f"general distillation: parts with random weights in the student: {', '.join(new)}")
    if options.start == "embeddings" and not options.continue_train:
        start_from_embeddings(student, teacher)
    save_model_folder(student, tokenizer, folder)
    length = min(options.max_seq_length, student.max_tokens, teacher.max_tokens)
    with scratch(folder) as ids:
        batches = Batches(
            lambda epoch: read_epoch(
                sequences, epoch, tokenizer, length, ids / f"epoch_{epoch}.i4"
            ),
            options.train_batch_size,
            job.session.seed,
            rows=lambda epoch: count_sequences(sequences, epoch),
        )
        metrics = job.train(
            student,
            objective,
            batches,
            "general distillation",
            on_epoch=lambda model, epoch: save_weights(model, folder, epoch),
        )
    say(f"general distillation: the student is in {hand_off(folder)}")
    return {**metrics, "mapping": objective.mapping}


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
    skip_reason=lambda ws: (
        f"{ws.student_source} already has weights" if ws.student_has_weights else ""
    ),
)
run = STAGE.run
