"""A stage's device and precision, and what is left of a run that ends in an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from tests.fault_harness import SETTINGS, STAGES, reads
from tests.makers import power_cut_after
from tinybert_lite.stages import stage
from tinybert_lite.stages.session import Session
from tinybert_lite.system import device, products
from tinybert_lite.system.device import Device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json

BF16 = replace(SETTINGS, precision="bf16")


def run(root: Path, folder: Path, settings=SETTINGS, stage=STAGES["general_distill"]):
    return stage.execute(reads("general_distill", root), folder, settings)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_stage_in_another_precision_runs_in_the_same_process(root, tmp_path):
    for settings in (SETTINGS, BF16, SETTINGS):
        run(root, tmp_path, settings)
        assert not (tmp_path / ".previous").exists()


def measured(monkeypatch, **rates):
    """Let products be measured at these rates, for models of any width."""
    monkeypatch.setattr(device, "LEAST_WIDTH", 0)
    monkeypatch.setattr(device, "rates", lambda width: {"float32": 1.0, "bf16": 1.0, **rates})


def test_auto_takes_what_was_measured_and_an_interrupted_run_keeps_it(root, tmp_path, monkeypatch):
    measured(monkeypatch, bf16=2.0)
    auto = replace(SETTINGS, precision="auto")
    with power_cut_after(3):
        run(root, tmp_path, auto)
    assert read_json(tmp_path / "running.json")["precision"] == "bf16"
    measured(monkeypatch)
    assert run(root, tmp_path, auto).metrics["resumed_from"] > 0
    assert read_json(tmp_path / "manifest.json")["precision"] == "bf16"
    run(root, tmp_path, auto)
    assert read_json(tmp_path / "manifest.json")["precision"] == "float32"


def test_weights_are_packed_if_that_was_measured_to_be_faster(root, tmp_path, monkeypatch):
    """The digits of float32 depend on it, so only a run that also packs resumes it."""
    found = {}
    for faster in (1.0, 2.0):
        folder = tmp_path / str(faster)
        measured(monkeypatch, **{"float32 packed": faster})
        with power_cut_after(3):
            run(root, folder, SETTINGS)
        found[faster] = read_json(folder / "running.json")
        measured(monkeypatch, **{"float32 packed": 3.0 - faster})
        assert run(root, folder, SETTINGS).metrics["resumed_from"] > 0
        assert read_json(folder / "manifest.json")["packed"] == (faster > 1)
    assert not found[1.0]["packed"] and found[2.0]["packed"]
    assert found[1.0]["identity"] != found[2.0]["identity"]


def test_an_interrupted_run_with_packed_weights_may_go_on_with_a_gpu(tmp_path, monkeypatch):
    (tmp_path / "running.json").write_text('{"packed": true}', encoding="utf-8")
    for name in ("cpu", "cuda"):
        found = Device(name, "no", "a test")
        monkeypatch.setattr(stage, "choose_device", lambda *_, found=found: found)
        chosen = STAGES["general_distill"].device({}, tmp_path, SETTINGS)
        assert chosen.packed == (name == "cpu")


def test_narrow_models_are_not_measured():
    assert device.choose_device("cpu", "auto", device.LEAST_WIDTH - 1).precision == "no"


def test_a_measurement_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls, rates = [], {"float32": 100.0, "bf16": 175.0}
    monkeypatch.setattr(products, "_measured", lambda width: calls.append(width) or rates)
    assert [products.rates(width) for width in (384, 384, 768)] == [rates] * 3
    assert calls == [384, 768]
    (tmp_path / "tinybert_lite/products.json").write_text("{damaged")
    assert products.rates(384) == rates and calls == [384, 768, 384]


def test_products_are_measured():
    found = products._measured(16)
    assert {"float32", "bf16"} <= found.keys() and all(0 < rate < 1e5 for rate in found.values())


def test_an_accelerator_has_the_sessions_device_and_precision():
    """On a machine without a GPU the meta device stands for another one."""
    AcceleratorState._shared_state["device"] = torch.device("meta")
    for precision in ("no", "bf16", "no"):
        accelerator = Session(Device("cpu", precision, "a test"), 1, 1).accelerator()
        assert accelerator.device.type == "cpu" and accelerator.mixed_precision == precision


def test_accelerators_of_one_precision_share_their_state():
    first, second = (Session(Device("cpu", "no", "a test"), 1, 1).accelerator() for _ in range(2))
    assert first.device == second.device and first.state.initialized


@pytest.mark.parametrize(
    "error",
    [
        UserError("refused"),
        ValueError("a bug"),
        RuntimeError("out of memory"),
        MemoryError(),
        FileNotFoundError(2, "No such file"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_error_brings_the_old_results_back(root, tmp_path, error):
    run(root, tmp_path)
    before = files(tmp_path)

    def fails(job):
        (job.folder / "pytorch_model.bin").write_bytes(b"half of the new ones")
        raise error

    with pytest.raises(type(error)):
        run(root, tmp_path, BF16, replace(STAGES["general_distill"], work=fails))
    assert files(tmp_path) == before


def test_an_error_in_a_first_run_leaves_no_claim_that_it_is_running(root, tmp_path):
    def fails(*_):
        raise ValueError("a bug")

    with pytest.raises(ValueError):
        run(root, tmp_path, stage=replace(STAGES["general_distill"], work=fails))
    assert files(tmp_path) == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_was_interrupted_is_left_to_be_resumed(root, tmp_path, error):
    run(root, tmp_path)

    def stops(job):
        (job.folder / "checkpoint-2.pt").write_bytes(b"a state")
        raise error

    with pytest.raises(type(error)):
        run(root, tmp_path, BF16, replace(STAGES["general_distill"], work=stops))
    assert (tmp_path / "checkpoint-2.pt").is_file() and (tmp_path / "running.json").is_file()
    assert (tmp_path / ".previous/manifest.json").is_file()
