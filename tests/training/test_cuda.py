"""On an NVIDIA GPU: the device chosen, what a step does there, and what it gives against the CPU.

`python tools/benchmarks/gpu_check.py` runs these tests with its measurements.
"""

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from tests.makers import make_bert_folder, power_cut_after
from tests.makers.loops import bert, loop, rows
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method.objectives import Intermediate, Labels, Prediction
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.stages.data_augmentation import Augmenter
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Augmenting, Training
from tinybert_lite.system.device import choose_device
from tinybert_lite.training.prefetch import ready

pytestmark = pytest.mark.cuda
GPU = "cuda"
SETTINGS = Training(learning_rate=1e-3, num_train_epochs=3, train_batch_size=4, save_every=2)


@pytest.fixture(autouse=True)
def other_tests_compute_on_the_cpu():
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def trained(kind, device, precision="float32", folder=None, dropout=0.0, seed=0):
    student = bert(1, dropout=dropout, num_labels=2, projection="per_layer", teacher_width=24)
    teacher = bert(2, layers=4, width=24, num_labels=2)
    objective = {
        "labels": lambda: Labels(),
        "intermediate": lambda: Intermediate(student, teacher),
        "prediction": lambda: Prediction(teacher),
    }[kind]()
    accelerator = Session(choose_device(device, precision), 0, 1).accelerator()
    torch.manual_seed(seed)
    result = loop(student, objective, SETTINGS, folder, accelerator=accelerator).run()
    return student, result


def test_a_gpu_is_chosen_with_bf16_where_it_has_it():
    device = choose_device()
    in_hardware = torch.cuda.is_bf16_supported(including_emulation=False)
    assert (device.name, device.precision) == (GPU, "bf16" if in_hardware else "fp16")


def test_batches_lie_in_pinned_memory():
    batch = ready(rows(4).batch(range(4)), pin=True)
    assert all(tensor.is_pinned() for name, tensor in batch.items() if name != "padded")


@pytest.mark.parametrize("kind", ["labels", "intermediate", "prediction"])
def test_training_takes_the_way_of_the_cpu(kind):
    """Twelve steps; a wrong loss or optimizer is far outside of these tolerances."""
    _, expected = trained(kind, "cpu")
    student, found = trained(kind, GPU)
    assert next(student.parameters()).device.type == GPU
    assert found.last_terms == pytest.approx(expected.last_terms, rel=1e-3)
    _, rounded = trained(kind, GPU, "bf16")
    assert rounded.last_terms == pytest.approx(expected.last_terms, rel=5e-2)
    assert rounded.last_terms != found.last_terms


def test_a_run_that_was_cut_goes_on_with_the_same_dropout(tmp_path):
    (tmp_path / "alone").mkdir()
    expected, _ = trained("labels", GPU, folder=tmp_path / "alone", dropout=0.3)
    with power_cut_after(7):
        trained("labels", GPU, folder=tmp_path, dropout=0.3)
    found, result = trained("labels", GPU, folder=tmp_path, dropout=0.3, seed=9)
    assert result.resumed_from == 6
    for mine, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_predictions_are_those_of_the_cpu():
    model = bert(1, num_labels=2).eval()
    expected = predict(model, rows())
    np.testing.assert_allclose(predict(model.to(GPU), rows()), expected, rtol=1e-4, atol=1e-5)


def test_candidates_are_those_of_the_cpu(tmp_path):
    found = load_with_tokenizer(make_bert_folder(tmp_path / "bert"), masked_lm=True)
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("good 1 0\ngreat 1 0.1\n", encoding="utf-8")
    texts = [["the", "film", "was", "good"], ["a", "dull", "story"]]
    cpu, gpu = (
        Augmenter(
            found.model, found.tokenizer, WordVectors.read(vectors), Augmenting(), name
        ).candidates(texts)
        for name in ("cpu", GPU)
    )
    assert cpu == gpu and cpu[0][1] and cpu[1][1]
