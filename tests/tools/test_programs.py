"""Every program in tools/ runs from beginning to end on small models and data.

No time is judged. What a program prints or writes must have its rows.
"""

import re
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import augmentation_labels
import clusters
import corpora
import memory
import plans
import pytest
import saturation
import scale
import sharing
import sliders
import speed
import with_and_without_teacher
from measure import Peak
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.makers import make_bert_folder
from tests.makers.cluster import cluster
from tests.makers.commands import RUN, call
from tests.makers.sampling import sampled
from tests.makers.tables import rows_of
from tests.makers.workspaces import make_student_config, make_toy_teacher
from tinybert_lite.training.history import History
from tools import (
    build_exercises,
    build_notebooks,
    build_vectors,
    fuzz,
    make_teacher,
    measure_teacher,
)


def test_every_program_is_run_here_or_in_a_file_of_its_own():
    folder = build_notebooks.REPOSITORY / "tools"
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in folder.parent.glob("tests/tools/test_*.py")
    )
    programs = [path.stem for path in folder.rglob("*.py")]
    assert [name for name in programs if not re.search(rf"\b{name}\b", tests)] == []
    assert len(programs) >= 18


# Benchmarks


@pytest.mark.parametrize("stage", [1, 2, 3, 4, 5])
def test_speed(stage, workspace, monkeypatch, capsys):
    """In this process, though the program starts one for each stage; `plain.py` runs with it."""
    monkeypatch.setattr(speed, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    sizes = "--quick --steps 2 --length 16 --batch_size 4 --texts 4 --workers 1 --threads 1"
    speed.main([*sizes.split(), "--stages", str(stage), "--output", "speed.md"])
    text = (workspace / "speed.md").read_text(encoding="utf-8")
    rows = rows_of(text)
    assert len(rows) == (2 if stage == 1 else 1) and text in capsys.readouterr().out
    for name, rate, _, _, plain, _, note in rows:
        assert name.startswith(f"{stage} ") and re.match(r"[\d,.]+ ", rate)
        assert bool(plain) == (stage != 2) and bool(note) == (stage != 3)


def test_sharing(monkeypatch, capsys):
    """With stand-ins for the runs; one of them is started as the program starts it."""
    started = []
    monkeypatch.setattr(
        sharing.subprocess,
        "Popen",
        lambda command, env, **_: (
            started.append(env["OMP_WAIT_POLICY"]) or types.SimpleNamespace(wait=lambda: 0)
        ),
    )
    sharing.main(["--repeats", "2", "--quick"])
    assert [(policy, started.count(policy)) for policy in sharing.POLICIES] == [
        ("ACTIVE", 10),
        ("PASSIVE", 10),
    ]
    rows = rows_of(capsys.readouterr().out)
    assert [row[:2] for row in rows] == [
        [policy, way]
        for policy in sharing.POLICIES
        for way in ("one alone", "at once", "one after the other")
    ]


def test_a_run_that_is_timed_runs_to_its_end():
    assert sharing.seconds("PASSIVE", 1, 1, ["--profile", "smoke", "--only", "1"]) > 0


def test_memory(workspace, monkeypatch, capsys):
    ran = []

    def peak(option, module, *arguments):
        """Run in this process; a peak of 1 MB in 1 second."""
        done = call(" ".join(map(str, (module.removeprefix("tinybert_lite."), *arguments))))
        assert option == "-m" and done.code == 0, done.err
        ran.append(module)
        return 1.0, 1.0

    assert memory.peak("-c", "x = bytes(10**7)")[1] > 0
    with pytest.raises(SystemExit, match="no good"):
        memory.peak("-c", "raise SystemExit('no good')")
    monkeypatch.setattr(memory, "peak", peak)
    memory.main("--quick --workers 1 --rows 32 64 --output memory.md".split())
    rows = rows_of((workspace / "memory.md").read_text(encoding="utf-8"))
    assert len(rows) == len(ran) == 4 and [row[2:] for row in rows] == [["1", "1"]] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_peak_of_memory_is_seen():
    with Peak() as peak:
        block = bytearray(b"x" * 50_000_000)
        peak._stop.wait(0.2)
    assert peak.bytes > len(block)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/cpuinfo")
def test_saturation(capsys):
    saturation.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [
        "any int8 weights",
        "any int8 weights, x64quantprecision",
        "our weights",
    ]
    assert "our weights: 0.0%" in lines[3]


def test_scale():
    rows = rows_of(scale.table(scale.parser().parse_args(["--words", "1e6"])))
    assert [row[0] for row in rows] == [*scale.MACHINES]
    assert [scale.duration(s) for s in (30, 600, 3 * 3600, 1e10)] == [
        "30 seconds",
        "10 minutes",
        "3.0 hours",
        "317.1 years",
    ]


@pytest.mark.parametrize("name", sampled([*plans.RUNS], default=["own", "large teacher"]))
def test_plans(name, workspace, capsys):
    """With the toy workspace's models where the run's own teacher does not need another student."""
    home = workspace / "runs" / name.replace(" ", "_")
    (home / "1_pre_data").mkdir(parents=True)
    if name in ("own", "sst2"):
        for file in ("teacher_model", "student_model", "1_pre_data/documents.txt"):
            (home / file).symlink_to(workspace / file)
        glove = workspace / "1_pre_data/glove.6B.100d.txt"
        (home / "1_pre_data/glove.txt").symlink_to(glove)
    files = "--sst2 SST-2 --vocabulary teacher_model/vocab.txt"
    line = [*f"--folder runs --quick {files} --only".split(), name]
    plans.main(line)
    said = capsys.readouterr().out
    rows = rows_of(said[said.index("| run") :])
    stages = plans.ALL[1:] if name != "large teacher" else plans.ALL[2:4]
    assert [row[1] for row in rows] == ["all", *stages] and "to do" in said
    assert all(row[0] == name for row in rows) and float(rows[0][2]) > 0 < float(rows[0][3])
    plans.main(line)  # is resumed: nothing is left to do
    assert rows_of(capsys.readouterr().out) == rows


def test_plans_leaves_out_a_run_without_its_files(workspace, capsys):
    plans.main("--folder runs --quick --only sst2".split())
    assert "sst2: left out, since --sst2 is not given" in capsys.readouterr().out


def test_sliders(workspace, capsys):
    make_student_config(workspace / "student_model", layers=2)
    make_toy_teacher(workspace / "teacher_model", layers=4)
    sliders.main(
        "--teacher teacher_model --student student_model --vectors 1_pre_data/glove.6B.100d.txt "
        "--moves 1 --text film".split()
    )
    pictures = {row[0].split(",")[0] for row in rows_of(capsys.readouterr().out)}
    assert pictures == {"attention", "margins", "mapping", "masking", "augmentation"}


def test_corpora(workspace, capsys):
    corpus = "1_pre_data/documents.txt"
    line = f"--corpus {corpus} --vocabulary teacher_model/vocab.txt --workers 1 --output c.md"
    for number in (1, 2):
        corpora.main(line.split())
        rows = rows_of((workspace / "c.md").read_text(encoding="utf-8"))
        assert len(rows) == number and rows[-1][0] == "documents.txt" and rows[-1][2] == "36"


@pytest.mark.slow
def test_clusters(workspace, tmp_path, capsys):
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster") as started:
        clusters.main(
            "--corpus 1_pre_data/documents.txt --vocabulary teacher_model/vocab.txt --rounds 1 "
            f"--scheduler {started.address}".split()
        )
    text = capsys.readouterr().out
    steps = "read and tokenise", "write one epoch"
    ways = clusters.DASK, clusters.OWN
    assert [row[:2] for row in rows_of(text)] == [[step, way] for step in steps for way in ways]
    assert "; 2 workers, " in text


def test_augmentation_labels(workspace, capsys):
    make_toy_teacher(workspace / "teacher_model/SST-2", classifier=True)
    augmentation_labels.main("--workspace . --seeds 1 2 --p 1 --threads 1".split())
    rows = rows_of(capsys.readouterr().out)
    assert [row[0] for row in rows] == [
        "unchanged rows",
        "masked LM",
        "word vectors",
        "random words",
    ]
    assert rows[0][1] == "100.0"


@pytest.mark.parametrize("real", sampled([False, True], default=[True]))
def test_with_and_without_teacher(real, workspace, capsys, monkeypatch):
    stages = "general_distill finetune_teacher task_distill_mid task_distill_out baseline".split()
    sets = " ".join(f"--set {stage}.max_steps=2" for stage in stages)
    monkeypatch.setattr(
        with_and_without_teacher, "REAL", {f"{stage}.max_steps": 2 for stage in stages}
    )
    line = f"--workspace runs --seeds 1 --profile smoke --threads 1 {sets}"
    monkeypatch.setenv("TINYBERT_WORKSPACE", "")
    for folder in ("runs", "runs/seed_1"):
        (workspace / folder).mkdir()
        for name in ("teacher_model", "student_model"):
            (workspace / folder / name).symlink_to(workspace / name)
        (workspace / folder / "1_pre_data").mkdir()
        (workspace / folder / "1_pre_data/glove.6B.100d.txt").symlink_to(
            workspace / "1_pre_data/glove.6B.100d.txt"
        )
        if not real:
            (workspace / folder / "SST-2").symlink_to(workspace / "SST-2")
    if real:
        line += " --data_dir SST-2 --corpus 1_pre_data/documents.txt"
    with_and_without_teacher.main(line.split())
    text = capsys.readouterr().out
    rows = rows_of(text[text.index("| accuracy") :])
    assert [row[0] for row in rows] == [
        "teacher",
        "student",
        "undistilled",
        "retention",
        "student - undistilled",
    ]
    with_and_without_teacher.main(f"{line} --summary".split())
    assert capsys.readouterr().out.strip() in text


# Builders and measurements


def test_build_notebooks(tmp_path, capsys):
    build_notebooks.main(["--only", "0", "--output", str(tmp_path)])
    made = sorted(path.name for path in tmp_path.glob("*.ipynb"))
    assert made == [f"{source.stem}.ipynb" for source in build_notebooks.sources()]
    assert sorted(path.name for path in (tmp_path / "zh").iterdir()) == made
    assert len(capsys.readouterr().out.splitlines()) == len(made)


def test_build_exercises(tmp_path, monkeypatch, capsys):
    sources = build_exercises.sources()[:2]
    monkeypatch.setattr(build_exercises, "sources", lambda: sources)
    for name in ("EXERCISES", "SOLUTIONS"):
        monkeypatch.setattr(build_exercises, name, tmp_path / name)
    build_exercises.main()
    assert len(list(tmp_path.rglob("*.ipynb"))) == len(capsys.readouterr().out.splitlines()) == 4


TEXTS = {
    "en": "the king and the queen\nthe man and the woman\na good film\na bad film\n" * 3,
    "zh": "label\ttext\n1\t房间很好。早餐很差！\n0\t房间很差。早餐很好！\n",
}


@pytest.mark.parametrize("language, name", [("en", "text.txt"), ("zh", "train.tsv")])
@pytest.mark.parametrize("characters", [False, True])
def test_build_vectors(language, name, characters, tmp_path, capsys):
    (tmp_path / name).write_text(TEXTS[language], encoding="utf-8")
    output = tmp_path / "vectors.txt"
    line = f"--text {tmp_path / name} --output {output} --language {language} --width 2 --check"
    build_vectors.main([*line.split(), *(["--characters"] if characters else [])])
    words, vectors = build_vectors.read_vectors(output)
    assert vectors.shape == (len(words), 2) and ("king" if language == "en" else "很") in words
    said = capsys.readouterr().out
    assert f"{len(words)} words" in said and "right first " in said
    assert said.count("\n") > len(build_vectors.PROBES[language].split())


def test_measure_teacher(workspace, capsys):
    make_bert_folder(workspace / "other", layers=1, width=8)
    history = History(workspace / "history.jsonl")
    for step in range(1, 4):
        history.add(step=step, loss=5.0 / step, dev={"accuracy": 0.1, "perplexity": 9.0})
    measure_teacher.main(
        "--models teacher_model other --text 1_pre_data/documents.txt SST-2/dev.tsv --held_out 2 "
        "--passages 6 --threads 1 --curve curve.png history.jsonl".split()
    )
    assert (workspace / "curve.png").read_bytes().startswith(b"\x89PNG")
    scores, gaps = capsys.readouterr().out.split("\n\n| sentence")
    assert [row[0] for row in rows_of(scores)] == ["1_pre_data/documents.txt", "SST-2/dev.tsv"]
    assert len([line for line in gaps.splitlines() if "…" in line]) == 20
    assert "of 20, among the first five in" in gaps


def test_make_teacher(workspace, capsys):
    """A RoBERTa as transformers saves it, which alone is enough for a run."""
    sizes = "--layers 2 --width 16 --heads 2 --vocab_size 320 --profile smoke"
    assert make_teacher.main(f"--output_dir mine {sizes}".split()) == 0
    saved = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in (workspace / "mine").iterdir()} == saved
    model = AutoModelForSequenceClassification.from_pretrained(workspace / "mine")
    assert model.config.model_type == "roberta" and model.config.type_vocab_size == 1
    assert {name.split(".")[0] for name in model.state_dict()} == {"roberta", "classifier"}
    pieces = AutoTokenizer.from_pretrained(workspace / "mine").tokenize("the film was")
    assert pieces[0].startswith(make_teacher.SPACE)
    for place in (workspace / "student_model").iterdir():
        place.unlink()
    ran = call(f"{RUN} --task_teacher mine")
    assert ran.code == 0 and "(roberta, 2 layers × " in ran.out, ran.err


# Fuzzing


@pytest.fixture
def atheris(monkeypatch):
    """In place of the fuzzer: it gives a reader its seeds, and the same cut short."""
    fake = types.ModuleType("atheris")
    fake.instrument_imports = lambda include: nullcontext()

    def set_up(arguments, once):
        fake.arguments, fake.once = arguments, once

    def run():
        seeds = [path.read_bytes() for path in sorted(fake.corpus.iterdir())]
        for content in (*seeds, *(seed[: len(seed) // 2] for seed in seeds), b"\xff\xfe\0"):
            fake.once(content)

    fake.Setup, fake.Fuzz = set_up, run
    monkeypatch.setitem(sys.modules, "atheris", fake)
    return fake


@pytest.mark.parametrize("name", fuzz.SEEDS)
def test_fuzz_one_reader(name, atheris, tmp_path):
    atheris.corpus = tmp_path / name
    fuzz.fuzz(name, 1, tmp_path)
    assert "-max_total_time=1" in atheris.arguments
    assert len(list(atheris.corpus.iterdir())) == len(fuzz.SEEDS[name])
    assert len((tmp_path / "words.txt").read_text().splitlines()) == len(fuzz.WORDS)


@pytest.mark.parametrize("crash", ["", "vocab.txt"])
def test_fuzz_all_readers(crash, monkeypatch, capsys, tmp_path):
    said = "cov: 7 ft: 9 corp: 3\nstat::number_of_executed_units: 50\n"

    def run(command, **_):
        name = command[command.index("--reader") + 1]
        return types.SimpleNamespace(returncode=int(name == crash), stdout=said)

    monkeypatch.setattr(fuzz.subprocess, "run", run)
    assert fuzz.main(["--minutes", "0.1", "--folder", str(tmp_path)]) == int(bool(crash))
    lines = capsys.readouterr().out
    good = "50 executions, 7 edges, 9 features, 3 inputs kept"
    assert lines.count(good) == len(fuzz.SEEDS) - bool(crash) and ("CRASH" in lines) == bool(crash)
