"""`gpu_check.py` of the benchmarks and its parts: `gpu_stages`, `gpu_steps`, `gpu_parts`.

They run on very small models on a CPU. No time is judged. The last test needs a GPU.
"""

import re
import time
import warnings

import gpu_check
import gpu_parts
import gpu_stages
import gpu_steps
import pytest
import torch
from accelerate.state import AcceleratorState
from gpu_stages import Measured

from tests.makers.loops import bert, rows
from tests.makers.tables import rows_of
from tinybert_lite.method import losses
from tinybert_lite.method.objectives import Intermediate, Labels
from tinybert_lite.system.device import choose_device

LINE = "--quick --device cpu --precision bf16 --output check.md --parts".split()


def check(*arguments: str) -> dict[str, list[dict[str, str]]]:
    """Run the program; return the file's tables by the part's title, rows by column."""
    assert gpu_check.main([*LINE, *arguments]) == 0
    with open("check.md", encoding="utf-8") as file:
        _, *parts = file.read().split("\n## ")
    found = {}
    for part in parts:
        head = next(line for line in part.splitlines() if line.startswith("| "))
        columns = [cell.strip() for cell in head.strip("|").split("|")]
        found[part.splitlines()[0]] = [dict(zip(columns, row)) for row in rows_of(part)]
    return found


@pytest.fixture
def args(workspace):
    found = gpu_check.parsed([*LINE, "parity"])
    found.deadline = time.monotonic() + 600
    return found


CPU = choose_device("cpu", "float32")


# The program


def test_every_part_writes_its_rows(workspace, monkeypatch):
    """All but the two that start another program; `training` hands on its best batch size."""
    names = [name for name in gpu_check.PARTS if name not in ("run", "tests")]
    found = check(*names)
    assert [*found] == [gpu_check.PARTS[name].title for name in names]
    assert not any(row.get("error") for part in found.values() for row in part)
    parity, waits, training, variants, latency = found.values()
    assert len(parity) == 5 and len(waits) == 6 and len(training) == 6 and len(latency) == 8
    assert {row["float32"].split()[0] for row in parity} == {"0.0e+00"}
    assert all(float(row["bf16"].split()[0]) > 0 for row in parity)
    assert {row["waits per step"] for row in waits} == {"0.00"}
    assert sorted(row["stage"][0] for row in training) == ["1", "3", "4", "5", "5", "a"]
    for row in training[1:]:
        assert re.fullmatch(r"[\d,]+ (tokens|rows|masked words)/s", row["rate"])
        assert row["best batch size"] in ("32", "64") and row["of the product"].endswith(" %")
    (best,) = (row["best batch size"] for row in training if row["stage"].startswith("3"))
    assert f"step of {best} rows" in variants[0] and len(variants) == 6


def test_the_default_run_starts_from_a_copy_of_a_folder(workspace, args):
    args.workspace = workspace
    before = sorted(workspace.rglob("*"))
    found = {row["default run"]: row["result"] for row in gpu_parts.default_run(args, CPU)}
    assert re.fullmatch(r"\d+ s", found["the whole command"]) and "cpu" in found["device"]
    assert "task_distill_out" in found and found["student, dev"].startswith("accuracy ")
    assert sorted(workspace.rglob("*")) == before


def test_a_run_that_fails_or_takes_too_long_is_told_in_one_line(args, monkeypatch):
    args.deadline = time.monotonic()
    with pytest.raises(RuntimeError, match="^python -c import time; .* took longer than 1 s$"):
        gpu_parts.program(args, ["-c", "import time; time.sleep(60)"])
    failed = gpu_parts.subprocess.CompletedProcess([], 2, "stage 1\n", "a remark\nerror: no rows\n")
    monkeypatch.setattr(gpu_parts, "program", lambda args, line: failed)
    with pytest.raises(RuntimeError, match="^run_all ended with exit code 2: error: no rows$"):
        list(gpu_parts.default_run(args, CPU))


def test_the_tests_that_need_cuda_are_run_and_failures_named(args, monkeypatch):
    said = "FAILED tests/x.py::test_a - assert 1 == 2\n1 failed, 2 passed in 3s\n"
    lines = []

    def program(args, line):
        lines.append(line)
        return gpu_parts.subprocess.CompletedProcess(line, 1, said, "")

    monkeypatch.setattr(gpu_parts, "program", program)
    found = [row["tests that need CUDA"] for row in gpu_parts.tests(args, CPU)]
    assert found == ["1 failed, 2 passed in 3s", said.splitlines()[0]]
    assert {"tests/training/test_cuda.py", "tests/tools/test_gpu_check.py"} <= {*lines[0]}
    assert "-m cuda" in " ".join(lines[0])


def test_a_part_that_fails_leaves_one_line_and_the_next_runs(workspace, monkeypatch):
    def broken(args, device):
        yield {"step": "first", "rate": "7 | 8"}
        raise RuntimeError("device lost\nand more")

    parts = {name: gpu_check.Part(name, broken, 1) for name in ("waits", "latency")}
    monkeypatch.setattr(gpu_check, "PARTS", {**gpu_check.PARTS, **parts})
    expected = [
        {"step": "first", "rate": "7 / 8", "error": ""},
        {"step": "", "rate": "", "error": "RuntimeError: device lost"},
    ]
    assert check("waits", "latency") == {"waits": expected, "latency": expected}


def test_parts_that_no_longer_fit_are_named(workspace, monkeypatch):
    def slow(args, device):
        yield {"step": "1"}
        time.sleep(0.3)
        yield {"step": "2"}
        yield {"step": "3"}

    monkeypatch.setitem(gpu_check.PARTS, "waits", gpu_check.Part("slow", slow, 0.1))
    found = check("waits", "tests", "--minutes", "0.005")
    assert [row["step"] for row in found["slow"]] == ["1", "2", ""]
    assert found["slow"][-1]["error"].startswith("stopped after")
    assert re.fullmatch(r"left out: -?\d+ s left, about 40 s needed", found["Tests"][0]["error"])


def test_a_part_gets_the_time_that_the_others_do_not_need(monkeypatch):
    parts = {name: gpu_check.Part(name, None, least) for name, least in zip("abc", (10, 20, 30))}
    monkeypatch.setattr(gpu_check, "PARTS", parts)
    seconds = [gpu_check.allowed([*"abc"], left) for left in (100, 60, 59, 10, 9)]
    assert seconds == [50, 10, 10, 10, 0] and gpu_check.allowed(["c"], 100) == 100


def test_a_part_runs_in_a_process_of_its_own_and_is_ended(workspace, monkeypatch):
    argv = [*LINE, "parity"]
    found = gpu_check.apart("parity", argv, 32, 600)
    assert len(found) == 5 and not any("error" in row for row in found)
    monkeypatch.setattr(gpu_check, "__file__", "other.py")
    row = "import json, sys; open(sys.argv[sys.argv.index('--rows') + 1], 'w').write('{}\\n');"
    (workspace / "other.py").write_text(f"{row} sys.exit(3)", encoding="utf-8")
    expected = [{}, {"error": "the process ended with exit code 3"}]
    assert gpu_check.apart("parity", argv, 32, 60) == expected
    (workspace / "other.py").write_text(f"{row} import time; time.sleep(60)", encoding="utf-8")
    assert gpu_check.apart("parity", argv, 32, 5) == [{}, {"error": "ended after 5 s"}]


def test_the_check_needs_the_device_it_is_asked_for(workspace, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main("--output check.md".split()) == 2
    assert "this PyTorch sees no CUDA device" in capsys.readouterr().err


# What the parts compute


def test_a_wrong_loss_is_seen_in_the_parity(args, monkeypatch):
    right = losses.hidden_loss
    calls = []

    def wrong(*some):
        calls.append(some)
        return right(*some) * (1.5 if len(calls) == 5 else 1.0)  # the device's second term

    monkeypatch.setattr(losses, "hidden_loss", wrong)
    row = next(gpu_parts.parity(args, CPU))
    assert row["float32"] == "5.0e-01 (hidden/1)"


def test_the_furthest_term_is_named():
    expected = {"a": 2.0, "b": -4.0}
    assert gpu_parts.furthest({"a": 2.1, "b": -3.0}, expected) == "2.5e-01 (b)"
    assert gpu_parts.furthest({"a": 2.1, "b": float("nan")}, expected) == "nan (b)"
    with pytest.raises(ValueError, match="terms"):
        gpu_parts.furthest({"a": 2.0}, expected)


@pytest.mark.parametrize(
    "rates, until, sizes, why",
    [
        ((10, 20, 20.1, 99), 1e12, [1, 2, 3], "no gain at 3"),
        ((10, 20, None, 99), 1e12, [1, 2], "OutOfMemoryError at 3"),
        ((10, 20, 30, 40), 0, [1], "out of time after 1"),
        ((10, 20, 30, 40), 1e12, [1, 2, 3, 4], "largest size 4"),
    ],
)
def test_batches_grow_while_there_is_a_gain(rates, until, sizes, why):
    def measure(size):
        if rates[size - 1] is None:
            raise torch.OutOfMemoryError
        return Measured(rates[size - 1], "tokens/s", 0.0, 0)

    found, said = gpu_stages.growing([1, 2, 3, 4], measure, until)
    assert [*found] == sizes and said == why
    if None in rates:
        with pytest.raises(torch.OutOfMemoryError):
            gpu_stages.growing([3, 4], measure, until)


def test_waits_are_counted_within_steps_with_their_places():
    class Waiting(Labels):
        def __call__(self, *some):
            for _ in range(2):
                warnings.warn(gpu_steps.WAIT, stacklevel=1)
            warnings.warn("something else", stacklevel=1)
            return super().__call__(*some)

    steps, each, places = gpu_steps.waits_of(bert(1, num_labels=2), Waiting(), rows(12), 2, CPU)
    assert (steps, each) == (4, 2.0)
    assert [*places.values()] == [8] and [*places][0].startswith("tools/test_gpu_check.py:")


def test_scores_attention_everywhere_gives_the_same_losses():
    student = bert(1, dropout=0, projection="per_layer", teacher_width=24)
    teacher, batch = bert(2, layers=4, width=24), rows(4).batch(range(4))
    expected = Intermediate(student, teacher)(student, batch)
    found = gpu_steps.ScoresEverywhere(student, teacher)(student, batch)
    assert {name: float(value.detach()) for name, value in found.items()} == pytest.approx(
        {name: float(value.detach()) for name, value in expected.items()}, rel=1e-4
    )


def test_the_variant_without_pinned_memory_does_not_pin():
    plain, gpu = object.__new__(gpu_steps.Unpinned), object.__new__(gpu_steps.Loop)
    for each in (plain, gpu):
        each.accelerator = type("Cuda", (), {"device": torch.device("cuda")})
    assert gpu._pins and not plain._pins


# On a GPU


@pytest.mark.cuda
def test_a_step_waits_for_the_gpu_once(args):
    """For the loss and the gradient's norm. Choosing masked positions waits for their number."""
    found = {row["step"]: row["waits per step"] for row in gpu_steps.waits(args, choose_device())}
    AcceleratorState._reset_state(reset_partial_state=True)
    assert {each for name, each in found.items() if name[0] in "345" and "gold" not in name} == {
        "1.00"
    }
    assert found["fine-tuning"] == "1.00"
