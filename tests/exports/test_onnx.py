"""The serving folder: PyTorch's logits from ONNX Runtime, in float32 and 8 bits.

In 8 bits by integer kernels; and by example.py, with three packages alone.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from transformers import BertConfig, BertForSequenceClassification

from tests.makers import config_values, make_bert_folder, random_batch
from tests.makers.checkpoints import LABELS, release_1
from tests.makers.commands import call, snapshot
from tests.makers.workspaces import make_toy_teacher, write_toy_data
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.exports import onnx_graph, onnx_nodes, onnx_runtime
from tinybert_lite.exports.formats import export
from tinybert_lite.exports.onnx_graph import INPUTS, onnx_bytes
from tinybert_lite.exports.onnx_runtime import int8_instructions, open_session, saturates
from tinybert_lite.exports.serving import Served, rms, unrounded
from tinybert_lite.exports.source import open_source, with_eight_bits
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import calibrate, quantize, weight_scale
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.saving import named_tensors, save_config, save_weights
from tinybert_lite.pipeline.prediction import Predictor
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.system.errors import UserError

LENGTHS = (
    [9, 4, 1],
    [1],
    [20],
    [3, 3],
    [64, 2, 31, 40],
    [7] * 5,
)  # of batches, most of them padded


def batches(types: int = 2):
    for number, lengths in enumerate(LENGTHS):
        batch = random_batch(lengths, longest=max(lengths) + 2 * (number == 3), seed=number)
        yield {
            name: batch[name] * (1 if name != "token_type_ids" else types - 1) for name in INPUTS
        }


def in_8_bits(model):
    """Calibrated on other rows."""
    return calibrate(
        quantize(model),
        [random_batch([30, 12, 9], seed=n) for n in range(20, 24)]
        if model.config.type_vocab_size > 1
        else [
            {
                **random_batch([30, 12, 9], seed=20),
                "token_type_ids": torch.zeros(3, 30, dtype=torch.long),
            }
        ],
    )


def small(tmp_path, bits=32, name="model", **config):
    """A folder of a small random classifier, and the model."""
    folder = make_bert_folder(tmp_path / name, **{"num_labels": 3, "masked_lm": False, **config})
    model = load_model(folder)[0].eval()
    if bits == 8:
        in_8_bits(model)
        save_config(model, folder)
        save_weights(model, folder)
    return folder, model


def run(model_bytes: bytes, batch) -> np.ndarray:
    return open_session(model_bytes, 1).run(
        ["logits"], {name: batch[name].numpy() for name in INPUTS}
    )[0]


CASES = [
    {},
    {"layers": 1},
    {"layers": 3, "heads": 4},
    {"hidden_act": "relu"},
    {"hidden_act": "silu"},
    {"hidden_act": "gelu_new"},
    {"type_vocab_size": 1},
    {"classifier_head": "relu"},
    {"classifier_head": "relu", "layers": 1, "num_labels": 2},
    {"num_labels": 1},
    {"layer_norm_eps": 0.1},
    {"width": 12, "heads": 1},
]


@torch.inference_mode()
@pytest.mark.parametrize("case", CASES, ids=str)
def test_float_logits_are_the_stock_classs(tmp_path, case):
    folder, model = small(tmp_path, **case)
    stock = BertForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", num_labels=case.get("num_labels", 3)
    ).eval()
    graph = onnx_bytes(model)
    for batch in batches(case.get("type_vocab_size", 2)):
        pooled = stock.bert(**batch).pooler_output
        expected = stock.classifier(
            torch.relu(pooled) if case.get("classifier_head") == "relu" else pooled
        )
        np.testing.assert_allclose(run(graph, batch), expected.numpy(), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("case", CASES, ids=str)
def test_8_bit_logits_are_pytorchs(tmp_path, case):
    """Except rows where a borderline value rounded the other way: these differ by no more than
    rounding moves."""
    _, model = small(tmp_path, 8, **case)
    graph, exact = onnx_bytes(model), unrounded(model)
    found, expected, unquantized = (
        np.concatenate([answer(batch) for batch in batches(case.get("type_vocab_size", 2))])
        for answer in (
            lambda batch: run(graph, batch),
            lambda batch: model(batch, logits=True).logits.numpy(),
            lambda batch: exact(batch, logits=True).logits.numpy(),
        )
    )
    apart = np.abs(found - expected).max(1)
    assert (apart < 1e-5).mean() > 0.8 and apart.max() < 3 * np.abs(unquantized - expected).max()
    assert rms(unquantized - expected) > 1e-3, "nothing was rounded, so nothing was tested"


@torch.inference_mode()
@pytest.mark.parametrize("bits", [32, 8])
def test_a_runtime_without_any_kernels_of_its_own_reads_it(tmp_path, bits):
    """ONNX's reference in NumPy, which knows the standard's operators and nothing else."""
    _, model = small(tmp_path, bits)
    batch = next(batches())
    found = ReferenceEvaluator(onnx.load_from_string(onnx_bytes(model))).run(
        ["logits"], {name: batch[name].numpy() for name in INPUTS}
    )[0]
    np.testing.assert_allclose(
        found, model(batch, logits=True).logits.numpy(), rtol=1e-4, atol=1e-5
    )


def nodes_and_constants(graph: bytes):
    found = onnx.load_from_string(graph)
    return found, {
        constant.name: numpy_helper.to_array(constant) for constant in found.graph.initializer
    }


@pytest.mark.parametrize("bits", [32, 8])
def test_the_graph_is_the_standards_with_every_number_where_it_belongs(tmp_path, bits):
    _, model = small(tmp_path, bits, layers=3)
    found, constants = nodes_and_constants(onnx_bytes(model))
    assert {node.domain for node in found.graph.node} == {""} and [
        (o.domain, o.version) for o in found.opset_import
    ] == [("", 20)]
    assert [
        [d.dim_param for d in value.type.tensor_type.shape.dim] for value in found.graph.input
    ] == [["batch", "length"]] * 3
    linear, tables = 6 * 3 + 2, 3
    kinds = Counter(node.op_type for node in found.graph.node)
    assert kinds["Gemm"] == linear and kinds["LayerNormalization"] == 2 * 3 + 1
    of_kind = Counter(
        array.dtype.name
        for name, array in constants.items()
        if array.ndim and name.startswith(("bert.", "classifier."))
    )
    assert of_kind == (
        {"float32": 2 * linear + tables + 14}
        if bits == 32
        else {"int8": linear + tables, "int32": linear, "float32": 14}
    )
    if bits == 8:
        assert kinds["QuantizeLinear"] == 4 * 3 + 3, (
            "the input of Q, K and V is rounded once, and [CLS] of the last layer apart; "
            "so are the pooler's and the classifier's inputs"
        )
        assert kinds["DequantizeLinear"] == kinds["QuantizeLinear"] + 2 * linear + tables
        values = named_tensors(model)
        for name in constants.keys() & values.keys():
            parameter = values[name]
            if constants[name].dtype == np.int8:
                assert (
                    np.abs(
                        constants[name] * constants[f"{name}.scale"] - parameter.detach().numpy()
                    ).max()
                    <= constants[f"{name}.scale"] * 0.5001
                )
            elif constants[name].dtype == np.int32:
                weight, of_input = (
                    f"{name.removesuffix('bias')}weight",
                    float(values[name.removesuffix("bias") + "input_range"]) / 127,
                )
                assert constants[f"{name}.scale"] == pytest.approx(
                    of_input * constants[f"{weight}.scale"], rel=1e-6
                )


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for bits in (32, 8):
        folder, model = small(tmp_path, bits, name=str(bits))
        assert onnx_bytes(model) == onnx_bytes(model) == onnx_bytes(load_model(folder)[0].eval())


def test_8_bits_are_nearly_four_times_smaller_embeddings_included():
    """A TinyBERT4 with BERT's vocabulary; nothing is run."""
    size = config_values(
        4, 312, 12, range(30_522), intermediate_size=1200, max_position_embeddings=512
    )
    model = Encoder(BertConfig(**size, classifier_head="huggingface"), num_labels=2)
    whole = len(onnx_bytes(model))
    for name, buffer in quantize(model).named_buffers():
        if name.endswith("input_range"):
            buffer.fill_(1.0)
    assert whole / len(onnx_bytes(model)) > 3.95


def test_onnx_runtime_makes_integer_kernels_of_it(tmp_path):
    _, model = small(tmp_path, 8)
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(model))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = (
        str(tmp_path / "optimized.onnx"),
        3,
    )
    onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), options, ["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QGemm"] == 6 * 2 + 2 and not kinds["Gemm"] and kinds["DequantizeLinear"] == 3, (
        "the looked-up rows of three tables alone become float again"
    )


def test_what_the_graph_cannot_say_is_refused(tmp_path, monkeypatch):
    for model, said in (
        (small(tmp_path, name="mish", hidden_act="mish")[1], "no activation 'mish', only gelu"),
        (
            quantize(small(tmp_path)[1]),
            "bert.encoder.layer.0.attention.self.query of this 8-bit model has no input range",
        ),
    ):
        with pytest.raises(UserError, match=said):
            onnx_bytes(model)
    monkeypatch.setattr(onnx_graph, "LARGEST_MESSAGE_BYTES", 1000)
    with pytest.raises(UserError, match="larger than 2 GB"):
        onnx_bytes(small(tmp_path)[1])


def adversarial(model, kind: str):
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                weight = layer.weight
                weight.copy_(
                    {
                        "alike": torch.full_like(weight, 0.7),
                        "below": torch.full_like(weight, -0.7),
                        "one pair": torch.zeros_like(weight).index_fill_(
                            1, torch.tensor([2, 3]), -5.0
                        ),
                        "halves": torch.full_like(weight, 63.5 / 127).index_fill_(
                            1, torch.tensor([0]), 1.0
                        ),
                        "random": weight * 10,
                    }[kind]
                )


@pytest.mark.parametrize("kind", ["alike", "below", "one pair", "halves", "random"])
@pytest.mark.parametrize("width", [16, 15])
def test_products_of_two_neighbours_fit_16_bits(tmp_path, monkeypatch, kind, width):
    """The sums of vpmaddubsw (without VNNI) for the largest inputs; not so without the rule."""

    def worst() -> int:
        _, constants = nodes_and_constants(onnx_bytes(model))
        matrices = [
            constants[f"{model.file_name(name)}.weight"].astype(int)
            for name, layer in model.named_modules()
            if isinstance(layer, torch.nn.Linear)
        ]
        pairs = [np.pad(k, ((0, 0), (0, k.shape[1] % 2))).reshape(len(k), -1, 2) for k in matrices]
        assert all(k.dtype == int and np.abs(k).max() <= 128 for k in matrices)
        return max(
            255 * max(p.clip(min=0).sum(2).max(), -p.clip(max=0).sum(2).min() - 1) for p in pairs
        )  # -32,768 fits, 32,768 does not

    _, model = small(tmp_path, width=width, heads=1)
    adversarial(model, kind)
    in_8_bits(model)
    assert worst() <= 32_767
    if kind != "halves":
        monkeypatch.setattr(
            "tinybert_lite.method.quantization.weight_scale",
            lambda weight, neighbours=False: weight_scale(weight),
        )
        assert worst() > 32_767


@pytest.mark.parametrize(
    "flags, said",
    [
        ("flags\t: fpu avx2 avx512bw avx512_vnni avx_vnni amx_int8", "AMX int8"),
        ("flags\t: avx2 avx512bw avx512_vnni", "AVX512-VNNI"),
        ("flags : avx2 avx_vnni", "AVX-VNNI"),
        ("flags : avx2 avx512bw", "AVX512 without VNNI"),
        ("flags : sse2 avx2", "AVX2 without VNNI"),
        ("Features\t: fp asimd asimddp", "ARM dotprod"),
        ("Features\t: asimddp i8mm", "ARM i8mm"),
        ("flags : sse2", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_processors_int8_instructions_are_named(tmp_path, flags, said):
    if flags:
        (tmp_path / "cpuinfo").write_text(
            f"processor\t: 0\n{flags}\nbugs : avx2_is_no_bug amx_int8\n"
        )
    assert int8_instructions(tmp_path / "cpuinfo") == said


def test_a_processor_with_vnni_cuts_nothing_off(monkeypatch):
    if int8_instructions() in ("AMX int8", "AVX512-VNNI", "AVX-VNNI"):
        assert not saturates()

    class CutsOff:
        def run(self, _, feeds):
            return [np.full((4, 16), 64 // 2 * 32_767, np.int32)]

    monkeypatch.setattr(onnx_runtime, "open_session", lambda *_: CutsOff())
    assert saturates()


FILES = {"model.onnx", "tokenizer.json", "labels.json", "config.json", "example.py"}


@pytest.fixture
def finished(workspace):
    """A workspace with a finished student that knows its task, and its 8-bit copy."""
    folder = make_toy_teacher(workspace / "5_task_distill_out", classifier=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(
            {**config, "id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
        )
    )
    found = load_with_tokenizer(folder)
    calibrate(quantize(found.model), [random_batch([12, 9, 14], seed=n) for n in range(4)])
    (folder / "int8").mkdir()
    for name in ("vocab.txt",):
        (folder / "int8" / name).write_bytes((folder / name).read_bytes())
    save_config(found.model, folder / "int8")
    save_weights(found.model, folder / "int8")
    return folder


def example(folder: Path, *texts: str, python=sys.executable) -> list[list[str]]:
    ran = subprocess.run(
        [python, folder / "example.py", *texts],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        cwd=folder.parent,
    )
    return [line.split("\t") for line in ran.stdout.splitlines()]


TEXTS = ["the film was good and the house was long .", "the plot was bad", "a " * 300]


def test_the_finished_student_is_served_in_both_precisions_and_three_ways(finished):
    before = snapshot(finished)
    ran = call("export --format serving")
    assert (
        ran.code == 0
        and "the logits of model.onnx differ from PyTorch's by at most" in ran.out
        and "those of model.int8.onnx differ from the 8-bit model's by" in ran.out
    ), ran.err
    folder = finished / "serving"
    assert {path.name for path in folder.iterdir()} == FILES | {"model.int8.onnx"}
    assert {
        name: content for name, content in snapshot(finished).items() if "serving" not in name
    } == before
    assert json.loads((folder / "labels.json").read_text()) == {
        "labels": ["bad", "good"],
        "pair": False,
        "max_length": 64,
    }
    whole, *served = (
        Predictor(place, device="cpu", runtime=runtime)
        for place, runtime in ((finished, None), (folder, "onnx"), (folder, "int8"), (folder, None))
    )
    expected = whole.predict(TEXTS)
    assert [p.labels for p in served] == [["bad", "good"]] * 3
    np.testing.assert_allclose(served[0].predict(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(
        served[1].predict(TEXTS),
        Predictor(finished / "int8", device="cpu").predict(TEXTS),
        atol=5e-3,
    )
    np.testing.assert_array_equal(served[2].predict(TEXTS), served[1].predict(TEXTS))
    assert (served[1].predict(TEXTS) != served[0].predict(TEXTS)).any()
    for runtime in ("pytorch", "onnx", "int8"):
        ran = call(f"predict --runtime {runtime} --device cpu '{TEXTS[0]}' '{TEXTS[1]}'")
        assert ran.code == 0 and [line.split("\t")[0] for line in ran.out.splitlines()] == [
            "good",
            "bad",
        ], ran.err


def test_the_example_prints_what_predict_prints(finished):
    assert call("export --format serving").code == 0
    printed = example(finished / "serving", *TEXTS)
    expected = [
        line.split("\t")
        for line in call(
            "predict --student_model 5_task_distill_out/serving "
            + " ".join(f"'{text}'" for text in TEXTS)
        ).out.splitlines()
    ]
    assert [[said, text] for said, _, text in printed] == [
        [said, text] for said, _, text in expected
    ]
    assert [float(p) for _, p, _ in printed] == pytest.approx(
        [float(p) for _, p, _ in expected], abs=2e-3
    )
    imported = {
        line.split()[1]
        for line in (finished / "serving/example.py").read_text().splitlines()
        if line.startswith(("import", "from"))
    }
    assert imported == {"json", "sys", "numpy", "onnxruntime", "tokenizers"}


def test_the_example_has_a_dozen_lines(finished):
    assert call("export --format serving").code == 0
    assert (
        len(
            [
                line
                for line in (finished / "serving/example.py").read_text().splitlines()
                if line.strip()
            ]
        )
        <= 16
    )


def test_an_8_bit_copy_of_an_older_student_is_named(finished):
    finished.joinpath("int8/manifest.json").write_text(
        json.dumps({"inputs": {"student": {"sha256": "of another"}}}), encoding="utf-8"
    )
    ran = call("export --format serving")
    assert ran.code == 0 and "int8 was not made from the current weights of" in ran.err


def test_a_regression_and_a_task_of_pairs(finished, tmp_path):
    folder = make_bert_folder(
        tmp_path / "numbers", num_labels=1, masked_lm=False, label_offset=1000.0, label_scale=50.0
    )
    assert (
        call(f"export --model {folder} --format serving --output_dir {tmp_path / 'out'}").code == 0
    )
    expected = Predictor(folder, device="cpu").predict(TEXTS)
    np.testing.assert_allclose(Predictor(tmp_path / "out").predict(TEXTS), expected, rtol=1e-6)
    assert [float(said) for said, _ in example(tmp_path / "out", *TEXTS)] == pytest.approx(
        expected[:, 0].tolist(), rel=1e-5
    )
    assert "pair" not in json.loads((tmp_path / "out/labels.json").read_text()), (
        "nobody said whether texts come in twos"
    )
    pairs = make_bert_folder(finished / "RTE", num_labels=2, masked_lm=False)
    assert call("export --task rte --format serving").code == 0
    (said,) = example(pairs / "serving", "a river", "the bank")
    found = Predictor(pairs, device="cpu").predict(["a river"], ["the bank"])[0]
    assert float(said[1]) == pytest.approx(found.max(), abs=1e-4)


def test_an_8_bit_model_alone_and_the_originals_head(finished, tmp_path):
    ran = call(
        f"export --model {finished / 'int8'} --format serving --output_dir {tmp_path / 'out'}"
    )
    assert ran.code == 0 and {path.name for path in (tmp_path / "out").iterdir()} == FILES - {
        "model.onnx"
    } | {"model.int8.onnx"}, ran.err
    assert example(tmp_path / "out", TEXTS[0])[0][0] == "good"
    folder, _ = release_1(tmp_path / "relu")
    export(open_source(folder), "serving", tmp_path / "relu_out")
    np.testing.assert_allclose(
        Predictor(tmp_path / "relu_out").predict(TEXTS),
        Predictor(folder, device="cpu").predict(TEXTS),
        atol=1e-5,
    )
    assert Predictor(tmp_path / "relu_out").labels == list(LABELS.values())


def test_the_dev_score_is_the_same(finished, tmp_path):
    write_toy_data(tmp_path / "SST-2", dev=60)
    export(with_eight_bits(open_source(finished), finished / "int8"), "serving", tmp_path / "out")
    files = {split: tmp_path / "SST-2" / f"{split}.tsv" for split in ("train", "dev")}
    dev = DevSet(TASKS["SST-2"], files, load_with_tokenizer(finished).tokenizer, 128)
    for runtime, place in (("onnx", finished), ("int8", finished / "int8")):
        logits = Served(tmp_path / "out", runtime, threads=1).logits
        assert dev.scores_of(lambda name, logits=logits: logits(dev.parts[name], 16)) == dev(
            load_with_tokenizer(place).model
        ), runtime
    assert dev(load_with_tokenizer(finished).model)["accuracy"] > 0.9


def test_evaluate_scores_a_serving_folder_in_the_tasks_order_of_labels(finished, tmp_path):
    write_toy_data(tmp_path / "SST-2", dev=30)
    line = (
        f"evaluate --data_dir {tmp_path / 'SST-2'} --task_name sst-2 --device cpu --student_model "
    )
    other = tmp_path / "other"
    shutil.copytree(finished, other, ignore=lambda *_: ["int8"])
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(
        json.dumps({**config, "id2label": {"0": "1", "1": "0"}})
    )  # as a model whose words are turned round would have them
    for folder in (finished, other):
        assert (
            call(
                f"export --model {folder} --format serving "
                f"--output_dir {tmp_path / ('served' + folder.name)}"
            ).code
            == 0
        )
        ours, served = (
            call(line + str(place)) for place in (folder, tmp_path / ("served" + folder.name))
        )
        assert (
            ours.code == served.code == 0
            and ours.out.splitlines()[-1] == served.out.splitlines()[-1]
        ), served.err
    assert "accuracy = 0.0" in served.out, "the turned words were not turned back"
    ran = call(f"{line}{finished} --teacher_model {tmp_path / 'served5_task_distill_out'}")
    assert ran.code == 0 and "agreement = 1.0" in ran.out
    ran = call(f"{line}{tmp_path / 'servedother'} --runtime int8")
    assert ran.code == 2 and "model.int8.onnx is missing" in ran.err


def test_no_other_command_takes_a_serving_folder_for_a_model(finished):
    assert call("export --format serving").code == 0
    ran = call("export --model 5_task_distill_out/serving --format classifier --output_dir out")
    assert ran.code == 2 and "holds no weights" in ran.err
    with pytest.raises(UserError, match="bert_onnx' is not supported"):
        load_with_tokenizer(finished / "serving")


@pytest.mark.parametrize(
    "slip, named",
    [("number", "logits of model.onnx"), ("whole_numbers", "logits of model.int8.onnx")],
)
def test_what_answers_otherwise_is_not_left(finished, tmp_path, monkeypatch, slip, named):
    place, right = (
        (onnx_graph.Graph, onnx_graph.Graph.number)
        if slip == "number"
        else (onnx_nodes, onnx_nodes.whole_numbers)
    )
    monkeypatch.setattr(
        place,
        slip,
        (lambda graph, value: right(graph, value * 1.3 if 0 < value < 1 else value))
        if slip == "number"
        else lambda x, scale, bits=8: (right(x, scale, bits) * 0.8).to(
            torch.int8 if bits == 8 else torch.int32
        ),
    )
    with pytest.raises(
        UserError, match=f"out was not written: in the test export, the {named} .*differ from"
    ):
        export(
            with_eight_bits(open_source(finished), finished / "int8"), "serving", tmp_path / "out"
        )
    assert not list(tmp_path.glob("*out*"))


def other_labels(finished):
    config = json.loads((finished / "int8/config.json").read_text())
    (finished / "int8/config.json").write_text(
        json.dumps({**config, "id2label": {"0": "no", "1": "yes"}})
    )


def no_vocabulary(finished):
    (finished / "vocab.txt").unlink()


def body_alone(finished):
    make_bert_folder(finished)
    shutil.rmtree(finished / "int8")


REFUSED = {
    "another format of 8 bits": (
        None,
        "export --model {}/int8 --format classifier --output_dir out",
        ["int8 is an 8-bit model", "--format serving"],
    ),
    "Hugging Face's of 8 bits": (
        None,
        "export --model {}/int8 --format huggingface --output_dir out",
        ["int8 is an 8-bit model", "--format serving"],
    ),
    "8 bits of another format": (
        None,
        "export --format original --int8_model {}/int8",
        ["--int8_model works with --format serving only"],
    ),
    "8 bits that are none": (
        None,
        "export --format serving --int8_model {}",
        ["is not an 8-bit model", "tinybert_lite.quantize"],
    ),
    "8 bits twice": (
        None,
        "export --model {0}/int8 --format serving --output_dir out --int8_model {0}/int8",
        ["are both 8-bit models"],
    ),
    "8 bits of another model": (
        other_labels,
        "export --format serving",
        ["int8 has other labels or another vocabulary than"],
    ),
    "half": (
        None,
        "export --format serving --half",
        ["--half works with --format classifier only"],
    ),
    "no vocabulary": (
        no_vocabulary,
        "export --model {} --format serving --output_dir out",
        ["has no vocabulary"],
    ),
    "no classifier": (
        body_alone,
        "export --model {} --format serving --output_dir out",
        ["holds no classifier"],
    ),
    "nothing exported": (
        None,
        "predict --runtime int8 'a film'",
        [
            "5_task_distill_out/serving/model.int8.onnx is missing",
            "python -m tinybert_lite.export --format serving",
        ],
    ),
    "no serving folder": (
        None,
        "predict --runtime onnx --student_model {} 'a film'",
        ["model.onnx is missing", "python -m tinybert_lite.export --format serving"],
    ),
}


@pytest.mark.parametrize(
    "make, line, named", [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
def test_a_mistake_is_one_sentence_and_costs_nothing(finished, make, line, named):
    if make:
        make(finished)
    before = snapshot(finished.parent)
    ran = call(line.format(finished))
    errors = [said for said in ran.err.splitlines() if said.startswith("error:")]
    assert (
        ran.code == 2
        and len(errors) == 1
        and all(name in errors[0].replace("\\", "/") for name in named)
    ), ran
    assert snapshot(finished.parent) == before and not Path("out").exists()


@pytest.mark.parametrize(
    "file, content, said",
    [
        ("model.int8.onnx", b"nonsense", "cannot be opened by ONNX Runtime"),
        ("labels.json", b"{}", "labels.json is not what an export wrote"),
        ("labels.json", b"[", "not valid JSON"),
        ("tokenizer.json", b"{}", "tokenizer.json is missing or damaged"),
    ],
)
def test_a_damaged_serving_folder_is_said(finished, file, content, said):
    assert call("export --format serving").code == 0
    (finished / "serving" / file).write_bytes(content)
    ran = call("predict --runtime int8 'a film'")
    assert ran.code == 2 and said in ran.err and ran.err.count("error:") == 1, ran
    ran = call("export --format serving")
    assert ran.code == 2 and "exists and is not an unchanged export" in ran.err


def test_a_serving_folder_older_than_its_student_is_said(finished):
    assert (
        call("export --format serving").code == 0
        and "older" not in call("predict --runtime onnx 'a film'").err
    )
    later = (finished / "serving/model.onnx").stat().st_mtime + 10
    os.utime(finished / "pytorch_model.bin", (later, later))
    ran = call("predict --runtime onnx 'a film'")
    assert ran.code == 0 and "is older than" in ran.err


def test_without_the_packages_all_else_works_and_serving_says_what_to_install(
    finished, monkeypatch
):
    assert call("export --format serving").code == 0
    for package in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    for line in ("export --format serving", "predict --runtime onnx 'a film'"):
        ran = call(line)
        assert (
            ran.code == 2
            and 'python -m pip install -e ".[onnx]"' in ran.err
            and ran.err.count("error:") == 1
        )
    assert (
        call("export --format classifier").code == call("predict --device cpu 'a film'").code == 0
    )
    eager = [
        path
        for path in Path(onnx_graph.__file__).parents[1].rglob("*.py")
        if path.name != "serving_example.py"
        and re.search(r"^(import|from) onnx", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert not eager, "these fail to import where the packages are missing"


@pytest.mark.slow
def test_three_packages_in_an_environment_of_their_own_give_the_same_predictions(
    finished, tmp_path
):
    """A whole dev set, through the example, a few rows at a time."""
    assert call("export --format serving").code == 0
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "onnxruntime", "tokenizers", "numpy"],
        check=True,
    )
    assert subprocess.run(
        [python, "-c", "import torch"], check=False, capture_output=True
    ).returncode, "the environment is not its own"
    write_toy_data(tmp_path / "SST-2", dev=200)
    texts = [
        line.split("\t")[0] for line in (tmp_path / "SST-2/dev.tsv").read_text().splitlines()[1:]
    ]
    found = list(
        itertools.chain.from_iterable(
            example(finished / "serving", *texts[start : start + 50], python=python)
            for start in range(0, 200, 50)
        )
    )
    expected = list(
        Predictor(finished / "serving", runtime="int8").answers((text, None) for text in texts)
    )
    assert [(said, text) for said, _, text in found] == [
        (said, text) for (text, _), said, _ in expected
    ] and len(found) == 200
    whole = Predictor(finished, device="cpu").predict(texts)
    assert [said for said, _, _ in found] == [("bad", "good")[place] for place in whole.argmax(1)]
