"""What each part of the method is worth: every part left out in turn, over several seeds, beside the paper's table.

    python -m tinybert_lite.ablate --seeds 42 43 44 45 46

Variants share what they have in common, a cut run goes on where it was, and what is finished is not made again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.tables import read_table
from tinybert_lite.models.loading import load_bert
from tinybert_lite.pipeline.ablation_table import write_table
from tinybert_lite.pipeline.plan import Planned, make_plan, stages
from tinybert_lite.pipeline.results import manifests
from tinybert_lite.pipeline.running import check_inputs, run_plan
from tinybert_lite.pipeline.variants import Variant, VariantWorkspace
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.submissions import scores_on_test
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import locked, read_manifest

FOLDER = "ablation"  # below stage 5's
STAGES = tuple(
    stage.name for stage in stages(baseline=False) if stage.name != "pretrain"
)  # one teacher for all seeds


def run(
    base: Workspace,
    settings: Settings,
    variants: list[Variant],
    seeds: list[int],
    dry_run: bool = False,
) -> dict[str, str]:
    """Run the variants seed by seed and write the table after each seed. Returns what failed, by "variant, seed", and why."""
    folder, failed, runs = base.final_student / FOLDER, {}, []
    for seed in seeds:
        home, of_seed = folder / f"seed_{seed}", replace(settings, seed=seed)
        say(f"\n== seed {seed}: {home} ==")
        planned: set[Path] = set()
        for number, variant in enumerate(variants, 1):
            workspace, overrides = (
                VariantWorkspace.of(base, home, variant, of_seed),
                variant.overrides(of_seed),
            )
            own = of_seed.override(overrides)
            try:
                if dry_run:
                    say_plan(workspace, own, overrides, planned)
                    continue
                say(
                    f"\n-- {variant.title} ({variant.name}), {number} of {len(variants)}, seed {seed} --"
                )
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
    """The stages that are missing or stale; nothing where all is there."""
    check_inputs(workspace, [*STAGES])
    if workspace.variant.random_student:
        workspace.draw_student(settings)
    plan = make_plan(workspace, settings, [*STAGES])
    if to_do(plan):
        run_plan(plan, workspace, settings, force=False, report=False)
    else:
        say("finished before")


def to_do(plan: list[Planned]) -> list[Planned]:
    return [item for item in plan if item.state == "to do"]


def say_plan(
    workspace: VariantWorkspace, settings: Settings, overrides: list[str], planned: set[Path]
) -> None:
    """The stages to run that no variant before it makes, and its settings."""
    own = [
        item
        for item in to_do(make_plan(workspace, settings, [*STAGES]))
        if item.folder not in planned
    ]
    planned.update(item.folder for item in own)
    say(
        f"  {workspace.variant.name:21} {', '.join(item.stage.name for item in own) or 'finished before'}"
    )
    if overrides:
        say(f"  {'':21} with {', '.join(overrides)}")


def run_of(workspace: VariantWorkspace, settings: Settings, overrides: list[str]) -> dict:
    """What the table needs of a finished variant: scores on dev (of the step that was best there) and on a test that has labels, and how it came to them."""
    task, options, manifest = (
        workspace.task,
        settings.task_distill_out,
        read_manifest(workspace.final_student),
    )
    student = load_bert(workspace.final_student, settings.lower_case)
    files = {split: workspace.data_file(split) for split in task.test_files}
    model = student.model.to(choose_device(settings.device, settings.precision).name)
    test = scores_on_test(
        {"student": model}, task, files, student.tokenizer, options.max_seq_length
    )
    found = {stage: manifest for stage, manifest in manifests(workspace).items() if stage in STAGES}
    made = [
        stage.name
        for stage in stages(baseline=False)
        if stage.folder(workspace).is_relative_to(workspace.place) and stage.name in found
    ]
    return {
        "variant": workspace.variant.name,
        "seed": settings.seed,
        "task": task.name,
        "metric": task.metric,
        "profile": settings.profile,
        "overrides": overrides,
        "dev": manifest["metrics"]["dev"],
        "test": next((of["student"] for of in test.values()), None),
        "teacher_dev": manifest["metrics"]["teacher_dev"],
        "dev_rows": len(read_table(workspace.data_file(task.dev_files[0]), task).rows),
        "stages": {
            stage: {
                "rows": of["metrics"].get("rows"),
                "steps": of["metrics"].get("steps"),
                "seconds": of["seconds"],
                "shared": stage not in made,
            }
            for stage, of in found.items()
        },
        "seconds": sum(found[stage]["seconds"] for stage in made),
        "folder": str(workspace.place),
        "precision": settings.precision,
        **{name: manifest[name] for name in ("device", "threads", "machine", "versions")},
    }
