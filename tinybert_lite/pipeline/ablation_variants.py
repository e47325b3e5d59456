"""The variants of an ablation: the method with one part left out or changed, and their folders.

A variant differs from the full method in settings, in what stages 4 and 5 read, or in the student
that it starts from. Before the first stage that differs, it shares the outputs of the full method
of the same seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.pipeline.workspace import STUDENT_MODEL, Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.machine import seed_everything

FULL, PAPER, CHOICES, ALL = "full", "paper", "choices", "all"
# The stages that a variant may change, in the order of a run.
CHAIN = GENERAL, MID, OUT = ("general_distill", "task_distill_mid", "task_distill_out")


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    `paper`: TinyBERT4's mean dev score of MNLI-m, MNLI-mm, MRPC and CoLA (tables 2, 3 and 4).
    `sets`: settings -> overrides in the form of --set. `random_student`: stage 4 starts from random
    weights. `plain_rows`: the stages that train on the task's rows without augmentation.
    """

    name: str
    title: str
    paper: float | None = None
    sets: Callable[[Settings], list[str]] = lambda settings: []
    random_student: bool = False
    without_mid: bool = False
    plain_rows: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return CHOICES if self.paper is None else PAPER

    def overrides(self, settings: Settings) -> list[str]:
        """Return the overrides; plain rows are limited to those that the full method augments."""
        found, limit = self.sets(settings), settings.data_augmentation.max_rows
        return found + [f"{stage}.max_rows={limit}" for stage in self.plain_rows if limit]

    def first_changed(self, settings: Settings) -> int:
        """Return the index in CHAIN of the first stage that is not shared; stage 5 never is."""
        changed = settings.override(self.overrides(settings))
        differs = {GENERAL: self.random_student, MID: self.without_mid, OUT: True}
        return next(
            place
            for place, stage in enumerate(CHAIN)
            if differs[stage]
            or stage in self.plain_rows
            or getattr(changed, stage) != getattr(settings, stage)
        )


def in_stages(stages: tuple[str, ...], *assignments: str) -> Callable[[Settings], list[str]]:
    """Make a function for `Variant.sets`: the same assignments in several stages."""
    return lambda settings: [f"{stage}.{each}" for stage in stages for each in assignments]


both, out = partial(in_stages, (GENERAL, MID)), partial(in_stages, (OUT,))


def _labels_for_as_many_epochs(settings: Settings) -> list[str]:
    """Return gold labels only, for the epochs of stages 4 and 5 together."""
    epochs = settings.task_distill_mid.num_train_epochs + settings.task_distill_out.num_train_epochs
    return [f"{OUT}.hard_label_weight=1", f"{OUT}.num_train_epochs={epochs:g}"]


def _as_many_steps(settings: Settings) -> list[str]:
    """Return more epochs, for as many steps as with augmentation (1 + N rows for each row)."""
    copies = 1 + settings.data_augmentation.N
    return [
        f"{stage}.num_train_epochs={getattr(settings, stage).num_train_epochs * copies:g}"
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
            out("hard_label_weight=1"),
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
            "shared_projection", "one projection for all layers", None, both("projection=original")
        ),
        Variant(
            "reference_padding", "padding as in the original code", None, both("padding=original")
        ),
        Variant(
            "random_start",
            "stage 3 from a random start",
            None,
            in_stages((GENERAL,), "start=random"),
        ),
        Variant(
            "polynomial",
            "stage 4: polynomial decay",
            None,
            in_stages((MID,), "schedule=polynomial"),
        ),
        Variant("temperature_2", "temperature 2", None, out("temperature=2")),
        Variant("half_labels", "half gold labels in stage 5", None, out("hard_label_weight=0.5")),
        Variant("all_labels", "gold labels alone in stage 5", None, out("hard_label_weight=1")),
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
    """Find the variants of these names or groups (paper, choices, all), and always the full method.

    They are in the table's order. Raises UserError for an unknown name.
    """
    for name in names:
        if name not in (*VARIANTS, PAPER, CHOICES, ALL):
            raise UserError(
                f"--only {name} is unknown: use the groups {PAPER}, {CHOICES} or {ALL}, or the "
                f"variants {', '.join(VARIANTS)}"
            )
    return [
        variant
        for variant in VARIANTS.values()
        if variant.name == FULL or {variant.name, variant.group, ALL} & {*names}
    ]


def _own_or_shared(name: str, stage: str = "") -> property:
    """A property: the folder `name`, the variant's own from its first changed stage on."""

    def folder(self: VariantWorkspace) -> Path:
        own = stage and CHAIN.index(stage) >= self.first
        below = getattr(super(VariantWorkspace, self), name).relative_to(self.root)
        return (self.place if own else self.home / FULL) / below

    return property(folder)


@dataclass(frozen=True)
class VariantWorkspace(Workspace):
    """A task's folders for one variant in `home`: its own, and shared ones of the full method."""

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

    augmentation = _own_or_shared("augmentation")
    sequences = _own_or_shared("sequences")
    tuned_teacher = _own_or_shared("tuned_teacher")
    general_student = _own_or_shared("general_student", GENERAL)
    mid_student = _own_or_shared("mid_student", MID)
    final_student = _own_or_shared("final_student", OUT)

    @property
    def task_rows(self) -> Path:
        return self.data_file("train") if MID in self.variant.plain_rows else super().task_rows

    @property
    def rows_for_prediction(self) -> Path:
        return self.data_file("train") if OUT in self.variant.plain_rows else super().task_rows

    @property
    def why_layers_are_not_matched(self) -> str:
        return (
            "left out in this variant"
            if self.variant.without_mid
            else super().why_layers_are_not_matched
        )

    @property
    def student_source(self) -> ModelFolder:
        drawn = self.place / STUDENT_MODEL
        return ModelFolder(drawn) if self.variant.random_student else super().student_source

    @property
    def student_has_weights(self) -> bool:
        return self.variant.random_student or super().student_has_weights

    def draw_student(self, settings: Settings) -> None:
        """Write a student with random weights and projections, for a variant without stage 3.

        The same seed gives the same weights.
        """
        teacher = load_with_tokenizer(self.teacher, settings.lower_case)
        seed_everything(settings.seed)
        config = teacher.model.config
        student, _ = load_model(
            super().student_source,
            from_scratch=True,
            like=config,
            num_labels=0,
            projection=settings.task_distill_mid.projection,
            teacher_width=config.hidden_size,
        )
        save_model_folder(student, teacher.tokenizer, self.student_source.path)
        save_weights(student, self.student_source.path)
