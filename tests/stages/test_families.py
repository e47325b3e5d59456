"""Whole runs with teachers of other families than BERT, as transformers saves them."""

import json
import os
import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.makers import power_cut_after
from tests.makers.commands import RUN, call, outcome, results_of, states
from tests.makers.families import make_family, tokenizer_of
from tinybert_lite.models.families import MATCHED_FAMILIES, STUDENT_IS_BERT, WITH_SCORES
from tinybert_lite.models.loading import load_with_tokenizer

# One of each mechanism: byte-level BPE without segments and a norm after the layers, SentencePiece,
# a configuration with names of its own, no scores.
BRIEF = ("modernbert", "xlm-roberta", "distilbert", "mpnet")
WITHOUT_CLASSIFIER = ("bert-generation",)


def chosen(families):
    slow = pytest.mark.slow
    return [family if family in BRIEF else pytest.param(family, marks=slow) for family in families]


@pytest.fixture
def alone(workspace):
    """The toy workspace without a teacher or a student of its own."""
    for name in ("teacher_model", "student_model"):
        shutil.rmtree(workspace / name)
    os.makedirs(workspace / "student_model")
    return workspace


@pytest.mark.parametrize(
    "family", chosen(family for family in MATCHED_FAMILIES if family not in WITHOUT_CLASSIFIER)
)
def test_all_stages_and_an_export_that_transformers_opens(alone, family):
    make_family(alone / "teacher", family)
    ran = call(f"{RUN} --teacher_model teacher --int8")
    assert ran.code == 0, ran.err
    left = {name for name, state in states(ran.out).items() if state != "to do"}
    assert left == {"pretrain"}
    student = load_with_tokenizer(alone / "5_task_distill_out", projection="none")
    expected = "bert" if family in STUDENT_IS_BERT else family
    assert student.model.config.model_type == expected
    assert student.tokenizer.get_vocab() == tokenizer_of(family).get_vocab()
    first = json.loads((alone / "4_task_distill_mid/history.jsonl").read_text().splitlines()[0])
    assert ("attention/1" in first) == (family in WITH_SCORES) and "hidden/2" in first
    results = results_of(alone)
    assert results["parameters"]["teacher"] > results["parameters"]["student"]
    rows = [line.split("\t") for line in (alone / "1_pre_data/aug.tsv").read_text().splitlines()]
    assert len(rows) > 25 and all(len(row) == 2 for row in rows)

    export = "export --model 5_task_distill_out --format huggingface --output_dir out"
    ran = call(export)
    assert ran.code == 0, ran.err
    tokenizer = AutoTokenizer.from_pretrained(alone / "out")
    stock = AutoModelForSequenceClassification.from_pretrained(alone / "out").eval()
    texts = ["the film was Good and the bank was long .", "dull"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        theirs = stock(**batch).logits
        types = batch.get("token_type_ids", torch.zeros_like(batch["input_ids"]))
        mine = {**batch, "token_type_ids": types}
        ours = student.model.eval()(mine, logits=True).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    ran = call(f"predict '{texts[0]}' {texts[1]}")
    said = [line.split("\t") for line in ran.out.splitlines()]
    for row, probabilities in zip(said, theirs.softmax(-1)):
        assert float(row[1]) == pytest.approx(float(probabilities.max()), abs=1e-3)


@pytest.mark.parametrize("family", chosen(MATCHED_FAMILIES))
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(alone, family):
    kind = "encoder" if family in WITHOUT_CLASSIFIER else "masked_lm"
    make_family(alone / "teacher", family, kind)
    stages = ("general_distill", "task_distill_mid", "task_distill_out")
    if family in WITHOUT_CLASSIFIER:
        stages = stages[:1]
    line = (
        f"{RUN} --teacher_model teacher --until {stages[-1]} --set data_augmentation.N=1"
        + "".join(f" --set {stage}.save_every=1" for stage in stages)
    )
    folders = ("3_general_distill", "4_task_distill_mid", "5_task_distill_out")[: len(stages)]
    assert call(line).code == 0
    whole = [outcome(alone / folder) for folder in folders]
    for folder in folders:
        shutil.rmtree(alone / folder)
    for _ in folders:
        with power_cut_after(2):
            call(line)
        stage = next(folder for folder in folders[::-1] if (alone / folder).is_dir())
        assert call(f"{line} --until {stages[folders.index(stage)]}").code == 0
    assert [outcome(alone / folder) for folder in folders] == whole
