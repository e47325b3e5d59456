"""Before stage 4: fine-tune the general teacher on the task's labels.

Reads `train.tsv`, `dev.tsv` and the workspace's general teacher; writes the fine-tuned task
teacher, a model folder, into `teacher_model/<TASK>/`. It is stale if the general teacher changes.
Distillation from a teacher that was only pre-trained is useless: its classifier is random.
"""

from tinybert_lite.method.objectives import Labels
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.metrics import as_text
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.stages.task_models import check_teacher
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import say


def work(job: Job) -> dict:
    head = job.options.classifier_head
    teacher = job.classifier("teacher", classifier_head="relu" if head == "original" else head)
    dev = job.dev_set(teacher.tokenizer)
    metrics = train_on_task(job, teacher, Labels(), "teacher", dev)
    say(f"teacher: fine-tuned on {job.task.name}, {as_text(metrics['dev'])}, in {job.folder}")
    check_teacher(job, metrics["dev"], dev, job.folder)
    return metrics


STAGE = Stage(
    "finetune_teacher",
    "teacher, fine-tuned on the task",
    reads=lambda ws, teacher=None: {**ws.task_files, "teacher": teacher or ws.teacher},
    folder=lambda ws: ws.tuned_teacher,
    writes=MODEL_FILES,
    work=work,
    sources={"teacher": ("pretrain", "general_distill")},
    skip_reason=lambda ws: (
        f"{ws.task_teacher} was given" if ws.given_logits or ws.given_task_teacher else ""
    ),
)
run = STAGE.run
