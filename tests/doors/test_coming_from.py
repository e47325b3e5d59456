"""docs/coming_from.md is held against the commands: what it says they take, they take, with the
defaults it says.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
import sys
from collections import defaultdict
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from tests.makers import config_values, random_batch, stock_bert, write_vocabulary
from tinybert_lite.models.loading import load_model
from tinybert_lite.pipeline.profiles import profile

DOCS = Path(__file__).parents[2] / "docs"
PAGE, RECIPE = DOCS / "coming_from.md", DOCS / "mindspore_checkpoints.md"

# The original scripts' options with their defaults, from huawei-noah/Pretrained-Language-Model,
# TinyBERT/*.py; ... where one is required.
REQUIRED, OFF = ..., False
TRAINING = {
    "--max_seq_length": 128,
    "--do_eval": OFF,
    "--do_lower_case": OFF,
    "--train_batch_size": 32,
    "--learning_rate": 5e-5,
    "--weight_decay": 1e-4,
    "--wd": 1e-4,
    "--num_train_epochs": 3.0,
    "--warmup_proportion": 0.1,
    "--no_cuda": OFF,
    "--seed": 42,
    "--gradient_accumulation_steps": 1,
    "--data_url": "",
}
ORIGINAL = {
    "data_augmentation": {
        "--pretrained_bert_model": REQUIRED,
        "--glove_embs": REQUIRED,
        "--glue_dir": REQUIRED,
        "--task_name": REQUIRED,
        "--N": 30,
        "--M": 15,
        "--p": 0.4,
    },
    "pregenerate_training_data": {
        "--train_corpus": REQUIRED,
        "--output_dir": REQUIRED,
        "--bert_model": REQUIRED,
        "--do_lower_case": OFF,
        "--do_whole_word_mask": OFF,
        "--reduce_memory": OFF,
        "--num_workers": 1,
        "--epochs_to_generate": 3,
        "--max_seq_len": 128,
        "--short_seq_prob": 0.1,
        "--masked_lm_prob": 0.0,
        "--max_predictions_per_seq": 20,
        "--data_url": "",
        "--one_seq": OFF,
    },
    "general_distill": {
        **TRAINING,
        "--pregenerated_data": REQUIRED,
        "--teacher_model": REQUIRED,
        "--student_model": REQUIRED,
        "--output_dir": REQUIRED,
        "--reduce_memory": OFF,
        "--eval_batch_size": 8,
        "--local_rank": -1,
        "--fp16": OFF,
        "--continue_train": OFF,
        "--eval_step": 1000,
    },
    "task_distill": {
        **TRAINING,
        "--data_dir": REQUIRED,
        "--teacher_model": None,
        "--student_model": REQUIRED,
        "--task_name": REQUIRED,
        "--output_dir": REQUIRED,
        "--cache_dir": "",
        "--eval_batch_size": 32,
        "--aug_train": OFF,
        "--eval_step": 50,
        "--pred_distill": OFF,
        "--temperature": 1.0,
    },
}


class Found(BaseException):
    """Carries a command's parser out of its main."""


@cache
def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser that `python -m tinybert_lite.COMMAND` makes, without running the command."""

    def stop(parser, *_):
        raise Found(parser)

    main = importlib.import_module(f"tinybert_lite.{command}").main
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
        with pytest.raises(Found) as found:
            main([])
    return found.value.args[0]


def takes(command: str) -> set[str]:
    return {flag for action in parser_of(command)._actions for flag in action.option_strings}


def flags_in(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[A-Za-z][\w-]*", text)


def sections() -> list[SimpleNamespace]:
    """The page's headings, each with our command after its arrow, and the rows of the tables below
    it.
    """
    found, fenced = [SimpleNamespace(title="", command="", rows=[], prose=[], code=[])], ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        here = found[-1]
        if line.startswith("```"):
            fenced = "" if fenced else line.removeprefix("```") or "shell"
        elif fenced:
            here.code.append(line)
        elif line.startswith("#"):
            command = re.search(r"→ `(\w+)`", line)
            found.append(
                SimpleNamespace(
                    title=line.strip("# "),
                    command=command[1] if command else "",
                    rows=[],
                    prose=[],
                    code=[],
                )
            )
        elif line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 3 and not set(cells[0]) <= {"-"} and cells[1] != "ours":
                here.rows.append(SimpleNamespace(theirs=cells[0], ours=cells[1], remark=cells[2]))
        else:
            here.prose.append(line)
    return found


def promised() -> dict[str, set[str]]:
    """The flags that the page says each of our commands takes; a command named alone has none."""
    found = defaultdict(set)
    for section in sections():
        for line in section.code:
            if command := re.match(r"python -m tinybert_lite\.(\w+)", line):
                found[command[1]] |= {*flags_in(line)}
        for row in section.rows:
            for span in re.findall(r"`([^`]+)`", row.ours):
                if span.startswith("--"):
                    assert section.command, f"{section.title}: {row.ours} belongs to no command"
                    found[section.command] |= {*flags_in(span)}
            if row.ours == "same" and section.command:
                found[section.command] |= {*flags_in(row.theirs)}
        for text in (*section.prose, *(f"{row.ours} {row.remark}" for row in section.rows)):
            for span in re.findall(r"`([^`]+)`", text):
                command = re.match(r"(?:python -m tinybert_lite\.)(\w+)|(\w+)(?= --)", span)
                name = command and (command[1] or command[2])
                if name and name != "torchrun":
                    found[name] |= {*flags_in(span)}
    return found


@pytest.mark.parametrize("command", sorted(promised()))
def test_our_commands_take_the_flags_that_the_page_says(command):
    missing = sorted(promised()[command] - takes(command))
    assert not missing, f"python -m tinybert_lite.{command} has no {', '.join(missing)}"


@pytest.mark.parametrize(
    "line",
    [
        line
        for section in sections()
        for line in section.code
        if line.startswith("python -m tinybert_lite.")
    ],
    ids=lambda line: line.split(".")[1][:40],
)
def test_a_line_to_start_with_is_a_whole_one(line):
    command, *rest = shlex.split(line.removeprefix("python -m tinybert_lite."))
    parser_of(command).parse_args(rest)  # an unknown, missing or impossible argument exits


def test_settings_that_the_page_names_exist():
    assignments = re.findall(r"--set (\S+?=[^\s`]+)", PAGE.read_text(encoding="utf-8"))
    assert assignments
    profile("classroom").override(assignments)


def test_every_remark_says_which_kind_it_is():
    for section in sections():
        for row in section.rows:
            if row.ours == "–":
                assert row.remark.startswith(("not here", "not needed")), row
            else:
                assert row.ours and not row.remark.startswith("not "), row


# The original four --------------------------------------------------------------------------------


def rows_of(command: str) -> list[SimpleNamespace]:
    return next(
        section.rows for section in sections() if section.title == f"`{command}.py` → `{command}`"
    )


@pytest.mark.parametrize("command", ORIGINAL)
def test_every_option_of_the_original_is_on_the_page_and_no_other(command):
    listed = {flag for row in rows_of(command) for flag in flags_in(row.theirs)}
    assert listed == {*ORIGINAL[command]}


@pytest.mark.parametrize(
    "command, flag",
    [
        (command, flag)
        for command in ORIGINAL
        for row in rows_of(command)
        if row.ours == "same"
        for flag in flags_in(row.theirs)
    ],
)
def test_an_option_of_the_original_is_taken_with_the_default_that_the_page_says(command, flag):
    parser, default = parser_of(command), ORIGINAL[command][flag]
    line = [
        word
        for name, value in ORIGINAL[command].items()
        if value is REQUIRED and name != flag
        for word in (name, "x")
    ]
    value = "x" if default in (REQUIRED, None) else str(default)
    given = parser.parse_args([*line, flag, *([] if default is OFF else [value])])
    action = next(action for action in parser._actions if flag in action.option_strings)
    found = getattr(given, action.dest)
    assert str(found[0] if isinstance(found, list) else found) == (
        "True" if default is OFF else value
    )
    row = next(
        row for row in rows_of(command) if row.ours == "same" and flag in flags_in(row.theirs)
    )
    if default is not REQUIRED and "no effect" not in row.remark:
        assert (action.default != default) == row.remark.startswith("other default"), (
            f"{flag}: {default} there, {action.default} here, {row.remark!r}"
        )


# The recipe for a MindSpore checkpoint ------------------------------------------------------------


def mindspore_names(state: dict, prefix: str, tiny: str) -> dict[str, torch.Tensor]:
    """A stock BERT's tensors under the names of the port's src/tinybert_model.py."""
    found = {}
    for name, tensor in state.items():
        if name.startswith("classifier."):
            found[name.replace("classifier", f"{prefix}dense_1")] = tensor
            continue
        kind = "gamma" if name.endswith("weight") else "beta"
        last = name.rsplit(".", 1)[1]
        if "pooler" in name:
            new = f"dense.{last}"
        elif name.startswith("bert.embeddings."):
            new = (
                f"{tiny}bert_embedding_"
                + {
                    "word_embeddings": "lookup.embedding_table",
                    "token_type_embeddings": "postprocessor.embedding_table",
                    "position_embeddings": "postprocessor.full_position_embeddings",
                    "LayerNorm": f"postprocessor.layernorm.{kind}",
                }[name.split(".")[2]]
            )
        else:
            _, _, _, number, *part, _ = name.split(".")
            new = (
                f"{tiny}bert_encoder.layers.{number}."
                + {
                    "attention.self.query": f"attention.attention.query_layer.{last}",
                    "attention.self.key": f"attention.attention.key_layer.{last}",
                    "attention.self.value": f"attention.attention.value_layer.{last}",
                    "attention.output.dense": f"attention.output.dense.{last}",
                    "attention.output.LayerNorm": f"attention.output.layernorm.{kind}",
                    "intermediate.dense": f"intermediate.{last}",
                    "output.dense": f"output.dense.{last}",
                    "output.LayerNorm": f"output.layernorm.{kind}",
                }[".".join(part)]
            )
        found[f"{prefix}bert.{new}"] = tensor
    return found


@pytest.mark.parametrize("prefix, tiny", [("bert.", ""), ("bert.", "tiny"), ("", "")])
def test_the_recipe_makes_a_model_folder_of_a_mindspore_checkpoint(
    tmp_path, monkeypatch, prefix, tiny
):
    stock = stock_bert(
        BertForSequenceClassification,
        num_labels=2,
        layers=2,
        hidden_act="gelu_new",
        layer_norm_eps=1e-7,
    )
    stored = {
        name: SimpleNamespace(asnumpy=partial(np.array, value.detach().numpy()))
        for name, value in mindspore_names(stock.state_dict(), prefix, tiny).items()
    }
    monkeypatch.setitem(
        sys.modules, "mindspore", SimpleNamespace(load_checkpoint=lambda path: stored)
    )
    monkeypatch.chdir(tmp_path)
    write_vocabulary(tmp_path / "student")
    config = config_values(
        layers=2, hidden_act="gelu_new", layer_norm_eps=1e-7, classifier_head="relu"
    )
    Path("student/config.json").write_text(json.dumps(config), encoding="utf-8")
    recipe = re.search(r"```python\n(.*?)```", RECIPE.read_text(encoding="utf-8"), re.DOTALL)[1]
    exec(compile(recipe, str(RECIPE), "exec"), {})
    model, new = load_model(Path("student"), num_labels=2)
    model.eval()
    batch = random_batch([7, 12])
    with torch.no_grad():
        found = model(batch, logits=True).logits
        pooled = stock.bert(
            batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]
        ).pooler_output
        wanted = stock.classifier(torch.relu(pooled))  # the port's head
    assert not new and torch.allclose(found, wanted, atol=1e-6)
