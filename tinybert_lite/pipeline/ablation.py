"""Run an ablation: the method with one part left out or changed at a time, over several seeds.

Variants share the outputs that they have in common. An interrupted run is resumed, and a finished
variant is not run again.
"""

from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.tables import read_table
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.pipeline.ablation_table import write_table
from tinybert_lite.pipeline.ablation_variants import Variant, VariantWorkspace
from tinybert_lite.pipeline.plan import STAGES as ALL_STAGES
from tinybert_lite.pipeline.plan import make_plan, to_do
from tinybert_lite.pipeline.results import manifests
from tinybert_lite.pipeline.running import check_inputs, run_plan
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.submissions import scores_on_test
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import locked

FOLDER = "ablation"  # in stage 5's folder
STAGES = [stage.name for stage in ALL_STAGES[1:]]  # not pretrain: one teacher for all seeds


def run(
    base: Workspace,
    settings: Settings,
    variants: list[Variant],
    seeds: list[int],
    dry_run: bool = False,
) -> dict[str, str]:
    """Run the variants seed by seed and write the table after each seed.

    Returns the reasons of failed runs, by "variant, seed N"; a failed run does not stop the others.
    """
    folder, failed, runs = base.final_student / FOLDER, {}, []
    for seed in seeds:
        home, seeded = folder / f"seed_{seed}", replace(settings, seed=seed)
        say(f"\n== seed {seed}: {home} ==")
        planned: set[Path] = set()
        for number, variant in enumerate(variants, 1):
            workspace = VariantWorkspace.of(base, home, variant, seeded)
            overrides = variant.overrides(seeded)
            own = seeded.override(overrides)
            try:
                if dry_run:
                    say_plan(workspace, own, overrides, planned)
                    continue
                title = f"{variant.title} ({variant.name}), {number} of {len(variants)}"
                say(f"\n-- {title}, seed {seed} --")
                with locked(home):
                    run_variant(workspace, own)
                runs.append(run_of(workspace, own, overrides))
            except UserError as error:
                failed[f"{variant.name}, seed {seed}"] = str(error)
                remark(f"error: {variant.name}, seed {seed}: {error}")
        if runs:
            write_table(folder, runs, failed, variants)
    return failed


def run_variant(workspace: VariantWorkspace, settings: Settings) -> None:
    """Run the stages of a variant that are missing or stale."""
    check_inputs(workspace, STAGES)
    if workspace.variant.random_student:
        workspace.draw_student(settings)
    plan = make_plan(workspace, settings, STAGES)
    if to_do(plan):
        run_plan(plan, workspace, settings)
    else:
        say("already finished")


def say_plan(
    workspace: VariantWorkspace, settings: Settings, overrides: list[str], planned: set[Path]
) -> None:
    """Print a variant's settings and the stages to run that no earlier variant runs."""
    plan = to_do(make_plan(workspace, settings, STAGES))
    own = [item.stage.name for item in plan if item.folder not in planned]
    planned.update(item.folder for item in plan)
    say(f"  {workspace.variant.name:21} {', '.join(own) or 'already finished'}")
    if overrides:
        say(f"  {'':21} with {', '.join(overrides)}")


def run_of(workspace: VariantWorkspace, settings: Settings, overrides: list[str]) -> dict:
    """Return the record of a finished variant: its scores, and settings, rows, steps and seconds.

    Dev scores are those of the step with the best dev score; test scores need test labels.
    """
    task = workspace.task
    found = {name: of for name, of in manifests(workspace).items() if name in STAGES}
    final = found["task_distill_out"]
    student = load_with_tokenizer(workspace.final_student, settings.lower_case)
    test = scores_on_test(
        {"student": student.model.to(choose_device(settings.device, settings.precision).name)},
        task,
        {split: workspace.data_file(split) for split in task.test_files},
        student.tokenizer,
        settings.task_distill_out.max_seq_length,
    )
    made = [
        stage.name
        for stage in ALL_STAGES
        if stage.folder(workspace).is_relative_to(workspace.place) and stage.name in found
    ]
    return {
        "variant": workspace.variant.name,
        "seed": settings.seed,
        "task": task.name,
        "metric": task.metric,
        "profile": settings.profile,
        "overrides": overrides,
        "dev": final["metrics"]["dev"],
        "test": next((scores["student"] for scores in test.values()), None),
        "teacher_dev": final["metrics"]["teacher_dev"],
        "dev_rows": len(read_table(workspace.data_file(task.dev_files[0]), task).rows),
        "stages": {
            name: {
                "rows": of["metrics"].get("rows"),
                "steps": of["metrics"].get("steps"),
                "seconds": of["seconds"],
                "shared": name not in made,
            }
            for name, of in found.items()
        },
        "seconds": sum(found[name]["seconds"] for name in made),
        "folder": str(workspace.place),
        "precision": settings.precision,
        **{name: final[name] for name in ("device", "threads", "machine", "versions")},
    }
