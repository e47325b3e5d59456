"""The method with one part left out or chosen otherwise: the rows of an ablation, and where each keeps what it makes.

A variant differs from the full method in settings, in what stages 4 and 5 read, or in where the student comes from. Up to the
first stage that this touches, it reads what the full method of the same seed made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_bert, load_model
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.pipeline.workspace import STUDENT_MODEL, Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.machine import seed_everything

FULL, PAPER, CHOICES, ALL = "full", "paper", "choices", "all"
CHAIN = (
    "general_distill",
    "task_distill_mid",
    "task_distill_out",
)  # what a variant may touch, in the order of a run
GENERAL, MID, OUT = CHAIN


@dataclass(frozen=True)
class Variant:
    """One row. `paper`: TinyBERT4's mean dev score there, of MNLI-m, MNLI-mm, MRPC and CoLA (tables 2, 3 and 4)."""

    name: str
    title: str
    paper: float | None = None
    sets: Callable[[Settings], list[str]] = lambda settings: []  # overrides as --set takes them
    random_student: bool = False  # stage 4 starts from a student that knows nothing
    without_mid: bool = False
    plain_rows: tuple[
        str, ...
    ] = ()  # the stages that learn from the task's rows as they are, not augmented

    @property
    def group(self) -> str:
        return CHOICES if self.paper is None else PAPER

    def overrides(self, settings: Settings) -> list[str]:
        return [
            *self.sets(settings),
            *(
                f"{stage}.max_rows={n}"
                for stage in self.plain_rows
                if (n := settings.data_augmentation.max_rows)
            ),
        ]

    def first_changed(self, settings: Settings) -> int:
        """The place in CHAIN from which on its results are its own. Stage 5's always are."""
        changed = settings.override(self.overrides(settings))
        touched = [
            stage for stage in CHAIN if getattr(changed, stage) != getattr(settings, stage)
        ] + [*self.plain_rows]
        touched += [GENERAL] * self.random_student + [MID] * self.without_mid + [OUT]
        return min(map(CHAIN.index, touched))


def both(*assignments: str) -> Callable[[Settings], list[str]]:
    """In stages 3 and 4."""
    return lambda settings: [
        f"{stage}.{assignment}" for stage in (GENERAL, MID) for assignment in assignments
    ]


def predicting(*assignments: str) -> Callable[[Settings], list[str]]:
    return lambda settings: [f"{OUT}.{assignment}" for assignment in assignments]


def _labels_for_as_many_epochs(settings: Settings) -> list[str]:
    return [
        f"{OUT}.hard_label_weight=1",
        f"{OUT}.num_train_epochs={settings.task_distill_mid.num_train_epochs + settings.task_distill_out.num_train_epochs:g}",
    ]


def _as_many_steps(settings: Settings) -> list[str]:
    """An augmented row is there once as it was and N times changed."""
    return [
        f"{stage}.num_train_epochs={getattr(settings, stage).num_train_epochs * (1 + settings.data_augmentation.N):g}"
        for stage in (MID, OUT)
    ]


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(FULL, "full method", 75.6),
        Variant("no_general", "without general distillation", 72.5, random_student=True),
        Variant(
            "no_task",
            "without task distillation",
            68.5,
            _labels_for_as_many_epochs,
            without_mid=True,
        ),
        Variant("no_augmentation", "without augmentation", 68.4, plain_rows=(MID, OUT)),
        Variant("no_embedding", "without embedding loss", 74.1, both("embedding_weight=0")),
        Variant(
            "no_prediction",
            "without prediction loss",
            73.5,
            predicting("hard_label_weight=1"),
            plain_rows=(OUT,),
        ),
        Variant("no_attention", "without attention loss", 71.0, both("attention_weight=0")),
        Variant("no_hidden", "without hidden loss", 72.9, both("hidden_weight=0")),
        Variant(
            "no_layers",
            "without attention and hidden loss",
            56.3,
            both("attention_weight=0", "hidden_weight=0"),
        ),
        Variant("top", "mapping top", 70.9, both("mapping=top")),
        Variant("bottom", "mapping bottom", 71.3, both("mapping=bottom")),
        Variant(
            "shared_projection", "one projection for all layers", None, both("projection=shared")
        ),
        Variant("reference_padding", "padding as in the original", None, both("padding=reference")),
        Variant(
            "random_start",
            "stage 3 from a random start",
            None,
            lambda settings: [f"{GENERAL}.start=random"],
        ),
        Variant(
            "polynomial",
            "stage 4: polynomial decay",
            None,
            lambda settings: [f"{MID}.schedule=polynomial"],
        ),
        Variant("temperature_2", "temperature 2", None, predicting("temperature=2")),
        Variant(
            "half_labels", "half gold labels in stage 5", None, predicting("hard_label_weight=0.5")
        ),
        Variant(
            "all_labels", "gold labels alone in stage 5", None, predicting("hard_label_weight=1")
        ),
        Variant(
            "no_augmentation_long",
            "no augmentation, as many steps",
            None,
            _as_many_steps,
            plain_rows=(MID, OUT),
        ),
    )
}


def chosen(names: list[str]) -> list[Variant]:
    """The variants of these names or groups (paper, choices, all), the full method always among them; in the table's order."""
    for name in names:
        if name not in (*VARIANTS, PAPER, CHOICES, ALL):
            raise UserError(
                f"--only {name}: there are the groups {PAPER}, {CHOICES} and {ALL}, and {', '.join(VARIANTS)}"
            )
    return [
        variant
        for variant in VARIANTS.values()
        if {variant.name, variant.group, ALL} & set(names) or variant.name == FULL
    ]


@dataclass(frozen=True)
class VariantWorkspace(Workspace):
    """A task's folders where what one variant makes lies below `home`; what it has in common with the full method is read there."""

    home: Path = Path()  # of the seed
    variant: Variant = VARIANTS[FULL]
    first: int = 0  # Variant.first_changed

    @classmethod
    def of(
        cls, base: Workspace, home: Path, variant: Variant, settings: Settings
    ) -> VariantWorkspace:
        return cls(
            **{f.name: getattr(base, f.name) for f in fields(Workspace)},
            home=home,
            variant=variant,
            first=variant.first_changed(settings),
        )

    @property
    def place(self) -> Path:
        return self.home / self.variant.name

    def _below(self, folder: Path, stage: str = "") -> Path:
        own = stage and CHAIN.index(stage) >= self.first
        return (self.place if own else self.home / FULL) / folder.relative_to(self.root)

    @property
    def augmentation(self) -> Path:
        return self._below(super().augmentation)

    @property
    def sequences(self) -> Path:
        return self._below(super().sequences)

    @property
    def tuned_teacher(self) -> Path:
        return self._below(super().tuned_teacher)

    @property
    def general_student(self) -> Path:
        return self._below(super().general_student, GENERAL)

    @property
    def mid_student(self) -> Path:
        return self._below(super().mid_student, MID)

    @property
    def final_student(self) -> Path:
        return self._below(super().final_student, OUT)

    @property
    def task_rows(self) -> Path:
        return self.data_file("train") if MID in self.variant.plain_rows else super().task_rows

    @property
    def rows_for_prediction(self) -> Path:
        return self.data_file("train") if OUT in self.variant.plain_rows else super().task_rows

    @property
    def without_layers(self) -> str:
        return "this variant leaves it out" if self.variant.without_mid else super().without_layers

    @property
    def student_source(self) -> ModelFolder:
        drawn = self.place / STUDENT_MODEL
        return ModelFolder(drawn) if self.variant.random_student else super().student_source

    @property
    def student_has_weights(self) -> bool:
        return self.variant.random_student or super().student_has_weights

    def draw_student(self, settings: Settings) -> None:
        """A whole student of the same size with random weights and projections, for a variant that has no stage 3. The same for the same seed."""
        teacher = load_bert(self.teacher, settings.lower_case)
        seed_everything(settings.seed)
        config = teacher.model.config
        student, _ = load_model(
            super().student_source,
            from_scratch=True,
            vocab_size=config.vocab_size,
            num_labels=0,
            projection=settings.task_distill_mid.projection,
            teacher_width=config.hidden_size,
        )
        save_model_folder(student, teacher.tokenizer, self.student_source.path)
        save_weights(student, self.student_source.path)
