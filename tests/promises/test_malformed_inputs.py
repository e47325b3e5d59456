"""Hundreds of damaged files: each is refused in one sentence that names it, results are unchanged.

The commands run in one process in a workspace where every stage has run, so that there are results.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import pickle
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from tests.makers import SPECIAL
from tests.makers.checkpoints import Touch
from tests.makers.commands import (
    AUGMENT,
    EVALUATE,
    FINETUNE,
    GENERAL,
    PREGENERATE,
    call,
    refused,
    snapshot,
)
from tests.makers.sampling import slow
from tests.makers.workspaces import lay_out, make_toy_teacher
from tinybert_lite.data.epochs import read_epoch
from tinybert_lite.data.tables import stream_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.models.configuration import SIZES
from tinybert_lite.models.folder import ModelFolder

TRAIN, DEV, TEST, VECTORS, CORPUS = (
    "SST-2/train.tsv",
    "SST-2/dev.tsv",
    "SST-2/test.tsv",
    "1_pre_data/glove.6B.100d.txt",
    "1_pre_data/documents.txt",
)
VOCABULARY, CASE = "teacher_model/vocab.txt", "teacher_model/tokenizer_config.json"
SEQUENCES, METRICS = "2_pregenerate_data/epoch_0.json", "2_pregenerate_data/epoch_0_metrics.json"
CONFIG, WEIGHTS, SAFETENSORS = (
    "student_model/config.json",
    "tuned/pytorch_model.bin",
    "tuned/model.safetensors",
)
PACKED = "corpus.txt.xz"
READ_BY = {
    TRAIN: AUGMENT,
    DEV: FINETUNE,
    TEST: EVALUATE,
    VECTORS: AUGMENT,
    CORPUS: PREGENERATE,
    PACKED: PREGENERATE.replace(CORPUS, PACKED),
    VOCABULARY: PREGENERATE,
    CASE: PREGENERATE,
    SEQUENCES: GENERAL,
    METRICS: GENERAL,
    CONFIG: GENERAL,
    WEIGHTS: EVALUATE,
    SAFETENSORS: EVALUATE,
}
RESULTS = (
    "1_pre_data",
    "2_pregenerate_data",
    "3_general_distill",
    "teacher_model/SST-2",
    "evaluated",
)
CURE = re.compile(
    r"[;:,] (save|check|fix|put|remove|write|fetch|take|use|run|add|give|break|make|name|"
    r"unpack|rename|is this|is it|"
    r"[\w-]+ (has|needs)|a student folder needs)\b"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace where every command has run."""
    root = lay_out(tmp_path_factory.mktemp("finished") / "workspace")
    make_toy_teacher(root / "tuned", classifier=True)
    (root / CASE).write_text('{"do_lower_case": true}', encoding="utf-8")
    (root / PACKED).write_bytes(lzma.compress((root / CORPUS).read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("TINYBERT_WORKSPACE", raising=False)
        for line in (AUGMENT, PREGENERATE, GENERAL, FINETUNE, EVALUATE):
            ran = call(line)
            assert ran.code == 0, ran.err
    return root


@pytest.fixture
def rooms(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(finished, tmp_path / "workspace"))
    monkeypatch.delenv("TINYBERT_WORKSPACE", raising=False)
    yield tmp_path / "workspace"
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "workspace")  # hundreds of them would fill the disk


# Damage that any text file can take: a function of the text and of a source of chance


def spliced(piece: bytes):
    def damage(text: str, draw: random.Random) -> bytes:
        place = draw.randrange(1, len(text))
        return text[:place].encode() + piece + text[place:].encode()

    return damage


def endless(text: str, draw: random.Random) -> bytes:
    lines = text.encode().splitlines(keepends=True)
    lines.insert(draw.randrange(len(lines) + 1), b"good film " * 1_000_000 + b"\n")
    return b"".join(lines)


ANY = {
    "UTF-16": lambda text, draw: text.encode("utf-16"),
    "UTF-16, big end first": lambda text, draw: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text, draw: text.encode("utf-16-le"),
    "UTF-32": lambda text, draw: text.encode("utf-32"),
    "UTF-32 without a mark": lambda text, draw: text.encode("utf-32-be"),
    "Latin-1": spliced("é ".encode("latin-1")),
    "a character cut in two": spliced("电".encode()[:2]),
    "half a surrogate pair": spliced(b"\xed\xa0\xbd"),
    "a letter in too many bytes": spliced(b"\xc1\xa1"),
    "NUL": spliced(b"\0"),
    "zeros at the end": lambda text, draw: text.encode() + bytes(4096),
    "zeros alone": lambda text, draw: bytes(len(text)),
    "a line of 10 MB": endless,
    "packed": lambda text, draw: gzip.compress(text.encode(), mtime=0),
    "chance": lambda text, draw: draw.randbytes(2000),
    "a web page": lambda text, draw: b"<!DOCTYPE html>\n<title>404</title>\n<p>Not found\n",
    "empty": lambda text, draw: b"",
    "blank lines": lambda text, draw: b"\n\r\n\n",
    "a mark alone": lambda text, draw: b"\xef\xbb\xbf",
}
HARMLESS = {(VECTORS, "Latin-1")}  # its word is left out and counted


# Damage to one kind of file: of a text, a function of its lines and of a row drawn by chance


def row(edit):
    """Change one row, never the first line."""

    def damage(lines: list[str], n: int) -> list[str]:
        return [*lines[:n], edit(lines[n]), *lines[n + 1 :]]

    return damage


def labels(old: str, new: str):
    return row(lambda line: re.sub(f"\t{old}$", f"\t{new}", line))


def every(edit):
    return lambda lines, n: [edit(line) for line in lines]


ONE_LABEL = every(lambda line: re.sub("\t[01]$", "\t1", line))
TABLE = {
    "no header": lambda lines, n: lines[1:],
    "a header alone": lambda lines, n: lines[:1],
    "a header in capitals": lambda lines, n: [lines[0].upper(), *lines[1:]],
    "commas": every(lambda line: line.replace("\t", ",")),
    "spaces for tabs": every(lambda line: line.replace("\t", "    ")),
    "quotes around all": every(lambda line: '"' + line.replace("\t", '"\t"') + '"'),
    "a column twice": lambda lines, n: [
        "sentence\tsentence\tlabel",
        *(f"x\t{line}" for line in lines[1:]),
    ],
    "no text": row(lambda line: re.sub("[^\t]+ [^\t]+", "", line)),
    "a text of spaces": row(lambda line: re.sub("[^\t]+ [^\t]+", "   ", line)),
    "a tab in a text": row(lambda line: line.replace(" ", "\t", 1)),
    "a tab at the end": row(lambda line: line + "\t"),
    "a line broken in two": row(lambda line: line.replace(" ", "\n", 1)),
    "a blank line": row(lambda line: "\n" + line),
    "an index twice": lambda lines, n: [
        "index\t" + lines[0],
        *(f"{min(number, n)}\t{line}" for number, line in enumerate(lines[1:])),
    ],
    "an id twice": lambda lines, n: [
        "id\t" + lines[0],
        *(f"{number % n}\t{line}" for number, line in enumerate(lines[1:])),
    ],
}
LABELLED = {
    "no label": labels("[01]", ""),
    "no field for the label": row(lambda line: line[: line.index("\t")]),
    "a word for a label": labels("[01]", "positive"),
    "a quoted label": labels("([01])", r'"\1"'),
    "a fraction for a label": labels("([01])", r"\1.0"),
    "an unknown label": labels("[01]", "2"),
    "a label below nothing": labels("[01]", "-1"),
    "an endless label": labels("[01]", "9" * 5000),
}
OTHER_TASKS = {  # a folder of the task's own, read by data_augmentation
    "STS-B": (
        "sentence1\tsentence2\tscore",
        "a film\ta movie\t{}",
        ["high", "nan", "inf", "-inf", "1e300", "3,5", "4.5.1", "", "five", "0x10"],
    ),
    "CoLA": (
        "gj04\t1\t\tgood film",
        "gj04\t{}\t\tbad film",
        ["2", "*", "", "0\t\tbad\tfilm", "0\t", "yes"],
    ),
    "RTE": (
        "index\tsentence1\tsentence2\tlabel",
        "1\ta film\ta movie\t{}",
        ["0", "1", "neutral", "Entailment", "", "entailment\tentailment"],
    ),
}
VECTOR_LINES = {
    "a number missing": row(lambda line: line.rsplit(" ", 1)[0]),
    "a word among the numbers": row(lambda line: line.rsplit(" ", 1)[0] + " film"),
    "no numbers": row(lambda line: line.split(" ")[0]),
    "not a number": row(lambda line: line.rsplit(" ", 1)[0] + " NaN"),
    "infinity": row(lambda line: line.rsplit(" ", 1)[0] + " -inf"),
    "too large for 32 bits": row(lambda line: line.rsplit(" ", 1)[0] + " 1e39"),
    "commas in numbers": every(lambda line: line.replace(".", ",")),
    "a blank line": row(lambda line: "\n" + line),
    "a count alone": lambda lines, n: ["400000 100"],
    "words alone": every(lambda line: line.split(" ")[0]),
}


def without_line(text: str):
    return lambda lines, n: [line for line in lines if line != text]


PIECES = {
    "spaces at the ends": every(lambda line: line + " "),
    "small special tokens": every(str.lower),
    "a column of counts": every(lambda line: line + "\t7"),
    "JSON": lambda lines, n: [json.dumps({line: number for number, line in enumerate(lines)})],
    **{f"no {token}": without_line(token) for token in SPECIAL},
}
DOCUMENTS = {
    "one document": lambda lines, n: [line for line in lines if line],
    "one document between blank lines": lambda lines, n: [
        "",
        "",
        *[line for line in lines if line],
        "",
        "",
    ],
    "spaces alone": every(lambda line: "   "),
}


def sequence(**values):
    """Change one line's fields; None takes a field away."""
    return row(
        lambda line: json.dumps(
            {
                name: value
                for name, value in (json.loads(line) | values).items()
                if value is not None
            }
        )
    )


JSON_LINES = {
    "cut short": row(lambda line: line[:-9]),
    "two on a line": row(lambda line: line + line),
    "a comma too many": row(lambda line: line + ","),
    "no object": row(lambda line: "[1, 2]"),
    "a number": row(lambda line: "7"),
    "a word": row(lambda line: '"film"'),
    "null": row(lambda line: "null"),
    "a blank line": row(lambda line: "\n" + line),
    "single quotes": row(lambda line: line.replace('"', "'")),
    "nested too deep": row(lambda line: "[" * 100_000),
    "no tokens": sequence(tokens=None),
    "no segments": sequence(segment_ids=None),
    "tokens as text": sequence(tokens="film"),
    "no token": sequence(tokens=[], segment_ids=[]),
    "tokens as numbers": sequence(tokens=[2, 3], segment_ids=[0, 0]),
    "tokens in lists": sequence(tokens=[["film"]], segment_ids=[0]),
    "an unknown token": sequence(tokens=["[CLS]", "Kino", "[SEP]"], segment_ids=[0, 0, 0]),
    "an endless token": sequence(tokens=["x" * 9999], segment_ids=[0]),
    "segments of another length": sequence(segment_ids=[0]),
    "segments as text": sequence(segment_ids="000"),
    "fewer lines than its metrics say": lambda lines, n: lines[:-1],
    "more lines than its metrics say": lambda lines, n: [*lines, lines[0]],
}
JSON_TEXTS = {
    "a list": "[]",
    "a word": '"text"',
    "cut short": '{"hidden_size": 16,',
    "a comment": "{} // as it should be",
    "nested too deep": '{"a":' * 100_000,
    "a name without quotes": "{a: 1}",
}
CASES = {
    "a word for a case": '{"do_lower_case": "yes"}',
    "a number for a case": '{"do_lower_case": 7}',
    "a list for a case": '{"do_lower_case": []}',
}
COUNTS = {
    "no count": '{"max_seq_len": 128}',
    "a word for a count": '{"num_training_examples": "many"}',
    "a fraction": '{"num_training_examples": 2.5}',
    "below nothing": '{"num_training_examples": -1}',
}
VALUES = [
    *((name, value) for name in SIZES for value in (0, -1, "two", 2.5, True, None, [16], 10**12)),
    ("model_type", "gpt2"),
    ("position_embedding_type", "relative_key"),
    ("is_decoder", True),
    ("add_cross_attention", True),
    ("chunk_size_feed_forward", 3),
    ("hidden_act", "gellu"),
    ("hidden_act", 7),
    ("hidden_dropout_prob", 1.5),
    ("hidden_dropout_prob", "much"),
    ("attention_probs_dropout_prob", float("nan")),
    ("layer_norm_eps", "small"),
    ("initializer_range", float("nan")),
    ("initializer_range", -0.5),
    ("pad_token_id", 10**9),
    ("pad_token_id", -7),
    ("num_attention_heads", 3),
    ("classifier_head", "tall"),
    ("id2label", "good"),
    ("to_dict", 1),
]


def torch_bytes(state, zipped: bool = True) -> bytes:
    torch.save(state, buffer := io.BytesIO(), _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def tensors(edit):
    """A weights file that differs in some tensors."""
    return lambda raw, draw: torch_bytes(edit(torch.load(io.BytesIO(raw), weights_only=True), draw))


def poisoned(value: float):
    def edit(state: dict, draw: random.Random) -> dict:
        tensor = state[draw.choice([name for name in state if name.startswith("bert.")])]
        tensor.view(-1)[draw.randrange(tensor.numel())] = value
        return state

    return tensors(edit)


def without(state: dict, draw: random.Random) -> dict:
    lost = draw.choice([name for name in state if name.startswith("bert.encoder")])
    return {name: tensor for name, tensor in state.items() if name != lost}


def misshapen(state: dict, draw: random.Random) -> dict:
    name = draw.choice([name for name in state if name.startswith("bert.encoder")])
    return state | {name: state[name][:-1].clone()}


BINARY = {
    **{f"cut short {n}": lambda raw, draw: raw[: draw.randrange(len(raw))] for n in range(6)},
    "its start lost": lambda raw, draw: raw[draw.randrange(1, 400) :],
    "empty": lambda raw, draw: b"",
    "a web page": lambda raw, draw: b"<html>not found</html>",
    "zeros": lambda raw, draw: bytes(5000),
    "chance": lambda raw, draw: draw.randbytes(5000),
    **{
        f"{value} {n}": poisoned(float(value)) for n in range(2) for value in ("nan", "inf", "-inf")
    },
    **{f"a tensor lost {n}": tensors(without) for n in range(2)},
    **{f"a tensor of another shape {n}": tensors(misshapen) for n in range(2)},
    "a layer too many": tensors(
        lambda state, draw: state | {"bert.encoder.layer.7.output.dense.bias": torch.zeros(32)}
    ),
    "a list": tensors(lambda state, draw: list(state.values())),
    "a dictionary inside": tensors(lambda state, draw: {"weights": state, "epoch": 3}),
    "a word for a tensor": tensors(lambda state, draw: state | {"note": "good"}),
    "a sparse tensor": tensors(lambda state, draw: state | {"extra": torch.eye(3).to_sparse()}),
    "a tensor of terabytes": tensors(
        lambda state, draw: state | {"extra": torch.zeros(1).expand(10**13)}
    ),
    "a tensor of nothing": tensors(
        lambda state, draw: state | {"extra": torch.empty(10**12, device="meta")}
    ),
}
HEADERS = {
    "a header longer than the file": (10**6, b"{}"),
    "a header of a lifetime": (2**63, b"{}"),
    "a header of 200 MB": (200_000_000, b"{}"),
    "no header": (0, b""),
    "a list for a header": (2, b"[]"),
    "a header that is no text": (3, b"\xff{}"),
    "a header nested too deep": (100_000, b"[" * 100_000),
    "a tensor outside the file": (
        63,
        b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}  ',
    ),
    "a tensor of terabytes": (
        75,
        b'{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4]}}  ',
    ),
}


def in_lines(damage):
    def change(raw: bytes, draw: random.Random) -> bytes:
        lines = raw.decode().removesuffix("\n").split("\n")
        return ("\n".join(damage(lines, draw.randrange(1, len(lines) - 1))) + "\n").encode()

    return change


def with_values(**values):
    return lambda raw, draw: json.dumps(json.loads(raw) | values).encode()


def of_text(damage):
    return lambda raw, draw: damage(raw.decode(), draw)


def packed(damage):
    return lambda raw, draw: lzma.compress(damage(lzma.decompress(raw).decode(), draw), preset=0)


def constant(content):
    return lambda raw, draw: content if isinstance(content, bytes) else content.encode()


def all_damage():
    """(file, kind, a function of its bytes and of a source of chance) for every malformed input."""
    for path in (TRAIN, DEV, TEST, VECTORS, CORPUS, VOCABULARY, CASE, SEQUENCES, METRICS, CONFIG):
        yield from ((path, kind, of_text(damage)) for kind, damage in ANY.items())
    yield from ((PACKED, kind, packed(damage)) for kind, damage in ANY.items())
    yield PACKED, "cut short", lambda raw, draw: raw[: draw.randrange(30, len(raw))]
    yield PACKED, "a byte changed", lambda raw, draw: raw[:60] + bytes([raw[60] ^ 255]) + raw[61:]
    yield PACKED, "not packed", lambda raw, draw: lzma.decompress(raw)
    for path, kinds in (
        (TRAIN, TABLE | LABELLED),
        (DEV, TABLE | LABELLED),
        (TEST, TABLE),
        (VECTORS, VECTOR_LINES),
        (VOCABULARY, PIECES),
        (CORPUS, DOCUMENTS),
        (SEQUENCES, JSON_LINES),
    ):
        yield from ((path, kind, in_lines(damage)) for kind, damage in kinds.items())
    for path, texts in (
        (CONFIG, JSON_TEXTS),
        (CASE, JSON_TEXTS | CASES),
        (METRICS, JSON_TEXTS | COUNTS),
    ):
        yield from ((path, kind, constant(text)) for kind, text in texts.items())
    yield from (
        (CONFIG, f"{name} {value!r}", with_values(**{name: value})) for name, value in VALUES
    )
    yield from ((WEIGHTS, kind, damage) for kind, damage in BINARY.items())
    yield from (
        (SAFETENSORS, kind, constant(length.to_bytes(8, "little") + header + bytes(8)))
        for kind, (length, header) in HEADERS.items()
    )
    yield SAFETENSORS, "another model's", constant(save({"weight": torch.zeros(3)}))
    yield from (
        (SAFETENSORS, kind, constant(content))
        for kind, content in (("empty", b""), ("a web page", b"<html>not found</html>"))
    )


DAMAGE = [damage for damage in all_damage() if damage[:2] not in HARMLESS]


def one_file_for_each_kind() -> set[tuple[str, str]]:
    """(file, kind): every kind of damage once, in turn in another of the files that can have it.

    Kinds that differ in a number alone count as one; of a setting two values are taken.
    """
    files, found = {}, set()
    for path, kind, _ in DAMAGE:
        files.setdefault(re.sub(r" \d$", "", kind), []).append((path, kind))
    for number, cases in enumerate(files.values()):
        found.add(cases[number % len(cases)])
    values = [(CONFIG, f"{name} {value!r}") for name, value in VALUES]
    kept = {values[number] for number in range(0, len(values), 3)}
    return found - set(values) | kept


DEFAULT = one_file_for_each_kind()


def refused_untouched(line: str, rooms: Path, *named: str) -> str:
    before = snapshot(*(rooms / folder for folder in RESULTS))
    said = refused(line, rooms, *named)
    assert len(said) < 600 and CURE.search(said), said
    assert snapshot(*(rooms / folder for folder in RESULTS)) == before
    return said


def test_there_are_enough_of_them():
    assert len(DEFAULT) >= 150 and {path for path, _ in DEFAULT} == {*READ_BY}
    assert len(DAMAGE) >= 200 and len({(path, kind) for path, kind, _ in DAMAGE}) == len(DAMAGE)


@pytest.mark.parametrize(
    "path, kind, damage",
    [
        pytest.param(*case, id=f"{case[0]}, {case[1]}", marks=() if case[:2] in DEFAULT else slow)
        for case in DAMAGE
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence_and_the_results_stay(
    rooms, path, kind, damage
):
    whole = (rooms / path).read_bytes() if (rooms / path).exists() else None
    content = damage(whole, random.Random(f"{path} {kind}"))
    assert content != whole
    (rooms / path).write_bytes(content)
    refused_untouched(READ_BY[path], rooms, path)


@pytest.mark.parametrize(
    "task, label", [(task, label) for task, (_, _, wrong) in OTHER_TASKS.items() for label in wrong]
)
def test_other_tasks_name_the_line_too(rooms, task, label):
    header, line, _ = OTHER_TASKS[task]
    (rooms / task).mkdir()
    (rooms / task / "train.tsv").write_text(f"{header}\n{line.format(label)}\n", encoding="utf-8")
    refused_untouched(AUGMENT.replace("SST-2", task), rooms, f"{task}/train.tsv, line 2")


@pytest.mark.parametrize("path", [TRAIN, DEV])
def test_rows_of_one_label_alone_are_refused(rooms, path):
    (rooms / path).write_bytes(in_lines(ONE_LABEL)((rooms / path).read_bytes(), random.Random(0)))
    refused_untouched(FINETUNE, rooms, path, "every row that is read has the label '1'")


@pytest.mark.parametrize(
    "path",
    [path for path in READ_BY if path not in (TEST, CASE, METRICS, CONFIG, WEIGHTS, SAFETENSORS)],
)  # those may be missing
def test_a_missing_file_and_a_folder_in_its_place_are_named(rooms, path):
    (rooms / path).unlink()
    if path != SEQUENCES:
        refused_untouched(READ_BY[path], rooms, path, "missing")
    (rooms / path).mkdir()
    refused(READ_BY[path], rooms, path)


@pytest.mark.parametrize("zipped", [True, False, None], ids=["zip", "older", "bare"])
@pytest.mark.parametrize(
    "line",
    [
        EVALUATE,
        GENERAL.replace("_model teacher_model", "_model tuned"),
        AUGMENT.replace("_model teacher_model", "_model tuned"),
    ],
    ids=["evaluation", "general_distill", "data_augmentation"],
)
def test_a_crafted_pickle_does_not_run(rooms, line, zipped):
    trap = Touch(str(rooms / "ran"))
    content = (
        pickle.dumps({"bert": trap}, protocol=2)
        if zipped is None
        else torch_bytes({"bert": trap}, zipped)
    )
    (rooms / WEIGHTS).write_bytes(content)
    assert "its pickle contains a call of" in refused_untouched(line, rooms, WEIGHTS)
    assert not (rooms / "ran").exists()


# What is not damage

VARIANTS = {
    "a mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "Windows line ends": lambda raw: raw.replace(b"\n", b"\r\n"),
    "no last line end": lambda raw: raw.removesuffix(b"\n"),
    "blank lines at the end": lambda raw: raw + b"\n\r\n",
    "all of it": lambda raw: b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n").removesuffix(b"\r\n"),
}


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize(
    "path, result",
    [
        (TRAIN, "1_pre_data/aug.tsv"),
        (VECTORS, "1_pre_data/aug.tsv"),
        (CORPUS, SEQUENCES),
        (VOCABULARY, SEQUENCES),
    ],
)
def test_marks_and_line_ends_change_no_result(rooms, path, result, kind):
    expected = (rooms / result).read_bytes()
    (rooms / path).write_bytes(VARIANTS[kind]((rooms / path).read_bytes()))
    (rooms / result).unlink()
    assert call(READ_BY[path]).code == 0
    assert (rooms / result).read_bytes() == expected


@pytest.mark.parametrize("kind", VARIANTS)
def test_marks_and_line_ends_change_no_sequence_and_no_configuration(rooms, tokenizer, kind):
    expected, config = (
        read_epoch(rooms / "2_pregenerate_data", 0, tokenizer, 128),
        ModelFolder(rooms / "student_model").config.to_dict(),
    )
    for path in (SEQUENCES, METRICS, CONFIG):
        (rooms / path).write_bytes(VARIANTS[kind]((rooms / path).read_bytes()))
    found = read_epoch(rooms / "2_pregenerate_data", 0, tokenizer, 128)
    assert all(
        (getattr(found, name) == getattr(expected, name)).all()
        for name in ("ids", "starts", "first")
    )
    assert ModelFolder(rooms / "student_model").config.to_dict() == config


def test_columns_in_another_order_change_no_result(rooms):
    def rows():
        return [
            (row.text_a, row.label)
            for row in stream_table(rooms / "1_pre_data/aug.tsv", TASKS["SST-2"]).rows
        ]

    expected = rows()
    lines = (rooms / TRAIN).read_text(encoding="utf-8").splitlines()
    turned = [
        "\t".join([str(n) if n else "index", *reversed(line.split("\t"))])
        for n, line in enumerate(lines)
    ]
    (rooms / TRAIN).write_text("\n".join(turned), encoding="utf-8")
    assert call(AUGMENT).code == 0
    assert rows() == expected
