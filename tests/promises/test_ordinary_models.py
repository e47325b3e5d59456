"""Model folders as people have them: read as their makers meant it, or refused by the cause."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification, BertModel, BertTokenizer

from tests.makers import VOCABULARY, make_bert_folder, stock_bert, write_tsv
from tests.makers.commands import RUN, call, results_of, states
from tests.makers.families import make_family, tokenizer_of
from tests.makers.workspaces import make_student_config, make_toy_teacher, toy_rows
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.data.tokens import words
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_classifier, load_model, load_with_tokenizer
from tinybert_lite.system.errors import UserError


def as_transformers_saves(folder, **tokenizer):
    """Replace the tokenizer files by those of save_pretrained: no vocab.txt."""
    (folder / "vocab.txt").unlink(missing_ok=True)
    vocab = {piece: number for number, piece in enumerate(VOCABULARY)}
    BertTokenizer(vocab=vocab, **tokenizer).save_pretrained(folder)
    return folder


def edit(folder, name="config.json", **values):
    path = folder / name
    found = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**found, **values}))
    return folder


def state_of(folder):
    return torch.load(folder / "pytorch_model.bin", weights_only=True)


def store(folder, state):
    torch.save(state, folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def tuned(tmp_path):
    return make_toy_teacher(tmp_path / "tuned", classifier=True)


def test_a1_a_folder_without_vocab_txt_serves_every_stage(workspace):
    as_transformers_saves(workspace / "teacher_model")
    ran = call(RUN)
    assert ran.code == 0, ran.err
    for folder in ("3_general_distill", "5_task_distill_out", "teacher_model/SST-2"):
        assert (workspace / folder / "tokenizer.json").is_file()
        assert len((workspace / folder / "vocab.txt").read_text().splitlines()) == len(VOCABULARY)


def test_a2_added_tokens_are_whole_pieces_in_every_stage_and_export(workspace):
    folder = as_transformers_saves(workspace / "teacher_model")
    tokenizer = BertTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["[E1]", "covid19"])
    tokenizer.save_pretrained(folder)
    state = state_of(folder)
    for name in ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"):
        state[name] = torch.cat([state[name], 0.1 * torch.randn(2, state[name].shape[1])])
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    for name in ("cls.predictions.bias", "cls.predictions.decoder.bias"):
        if name in state:
            state[name] = torch.cat([state[name], torch.zeros(2)])
    store(edit(folder, vocab_size=len(VOCABULARY) + 2), state)
    assert call(RUN).code == 0
    ran = call("export --model 5_task_distill_out --format huggingface --output_dir out")
    assert ran.code == 0, ran.err
    for made in ("5_task_distill_out", "out"):
        found = load_with_tokenizer(workspace / made, projection="none").tokenizer
        ids = found("the [E1] covid19 film")["input_ids"]
        assert ids[2:4] == [len(VOCABULARY), len(VOCABULARY) + 1] and len(ids) == 6


def test_a3_a_lost_line_of_the_vocabulary_is_said(tuned, capsys):
    (tuned / "vocab.txt").write_text("\n".join(VOCABULARY[:50] + VOCABULARY[51:]) + "\n")
    load_with_tokenizer(tuned)
    said = capsys.readouterr().err
    assert f"holds {len(VOCABULARY) - 1} pieces" in said and f"vocab_size {len(VOCABULARY)}" in said


@pytest.mark.parametrize("flag", ["true", "false"])
def test_a5_and_a17_a_case_that_contradicts_the_folder_is_refused(tuned, flag):
    edit(tuned, "tokenizer_config.json", do_lower_case=flag == "false")
    with pytest.raises(UserError, match=f"--do_lower_case {flag} contradicts"):
        load_with_tokenizer(tuned, lower_case=flag == "true")


def test_a5_an_implausible_case_is_said_and_two_cases_are_refused(workspace, capsys):
    cased = make_toy_teacher(workspace / "cased", classifier=True)
    edit(cased, "tokenizer_config.json", do_lower_case=False)
    load_with_tokenizer(cased)
    assert "no piece with capital letters" in capsys.readouterr().err
    make_bert_folder(workspace / "student", layers=1, width=32, masked_lm=False)
    ran = call(f"{RUN} --task_teacher cased --student_model student --teacher_model teacher_model")
    assert ran.code == 2 and "different rules for case and accents" in ran.err


def test_a5_tokenizer_files_count_in_the_fingerprint(tuned):
    before = ModelFolder(tuned).fingerprint
    edit(tuned, "tokenizer_config.json", do_lower_case=True, strip_accents=False)
    assert ModelFolder(tuned).fingerprint != before


def test_a6_accents_chinese_and_renamed_tokens_are_honoured_and_kept(workspace):
    vocab = [*VOCABULARY, "café", "電"]
    folder = make_bert_folder(workspace / "accents", vocab=vocab, num_labels=2)
    edit(folder, "tokenizer_config.json", do_lower_case=True, strip_accents=False)
    edit(folder, "tokenizer_config.json", mask_token="[unused1]")
    found = load_with_tokenizer(folder).tokenizer
    assert found.tokenize("Café") == ["café"] and found.mask_token == "[unused1]"
    assert call(f"export --model {folder} --format classifier --output_dir out").code == 0
    again = load_with_tokenizer(workspace / "out").tokenizer
    assert again.tokenize("Café") == ["café"] and again.mask_token == "[unused1]"


def test_a7_one_segment_type_serves_pairs(workspace, capsys):
    folder = workspace / "teacher_model"
    state = state_of(folder)
    name = "bert.embeddings.token_type_embeddings.weight"
    store(edit(folder, type_vocab_size=1), {**state, name: state[name][:1]})
    rows = [(text, text, ("entailment", "not_entailment")[int(y)]) for text, y in toy_rows(24, 1)]
    rows = [(str(number), *row) for number, row in enumerate(rows)]
    for split in ("train", "dev"):
        write_tsv(
            workspace / "RTE" / f"{split}.tsv", rows, ("index", "sentence1", "sentence2", "label")
        )
    ran = call(f"{RUN} --task RTE")
    assert ran.code == 0 and "type_vocab_size is 1" in ran.err, ran.err


HEADS = {
    "another name": {"fc.weight": torch.zeros(2, 32), "fc.bias": torch.zeros(2)},
    "two layers": {
        "classifier.0.weight": torch.zeros(8, 32),
        "classifier.0.bias": torch.zeros(8),
        "classifier.3.weight": torch.zeros(2, 8),
        "classifier.3.bias": torch.zeros(2),
    },
    "a layer below the last": {
        "classifier.0.weight": torch.zeros(32, 32),
        "classifier.0.bias": torch.zeros(32),
        "classifier.1.weight": torch.zeros(2, 32),
        "classifier.1.bias": torch.zeros(2),
    },
}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("flag", ["--teacher_model", "--task_teacher"])
def test_a9_a_head_of_another_shape_is_named_before_anything_runs(workspace, kind, flag):
    folder = make_toy_teacher(workspace / "custom")
    state = {name: tensor for name, tensor in state_of(folder).items() if "cls." not in name}
    store(folder, state | HEADS[kind])
    ran = call(f"{RUN} {flag} custom")
    assert ran.code == 2 and min(HEADS[kind]) in ran.err and "holds no classifier of" in ran.err
    assert not (workspace / "1_pre_data/aug.tsv").exists()


def test_a9_a_classifier_without_its_pooler_is_refused(tuned):
    store(tuned, {name: t for name, t in state_of(tuned).items() if "pooler" not in name})
    with pytest.raises(UserError, match="a classifier but not the pooler"):
        load_model(tuned)


def three_classes(folder, **config):
    make_bert_folder(folder, num_labels=3)
    return edit(folder, **config)


def test_a10_label2id_alone_serves(tmp_path, capsys):
    words = ("entailment", "neutral", "contradiction")
    folder = three_classes(tmp_path, label2id={word: i for i, word in enumerate(words)})
    plain = load_model(folder)[0].output_layer.weight
    found = load_classifier(folder, TASKS["MNLI"]).model.output_layer.weight
    assert torch.equal(found, plain[[2, 0, 1]])
    assert "reordered" in capsys.readouterr().out


def test_a10_an_assumed_order_is_said(tmp_path, capsys):
    load_classifier(three_classes(tmp_path), TASKS["MNLI"])
    assert "in the order of these labels: LABEL_0 is contradiction" in capsys.readouterr().err


def test_a10_another_order_that_fits_far_better_is_named_in_every_profile(workspace):
    folder = make_toy_teacher(workspace / "turned", classifier=True)
    state = state_of(folder)
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name].flip(0)
    store(folder, state)
    ran = call(f"{RUN} --task_teacher turned --set finetune_teacher.allow_weak_teacher=true")
    assert ran.code == 2 and "fit the dev labels far better in the order 1, 0" in ran.err
    assert not (workspace / "1_pre_data/aug.tsv").exists()


def test_a11_a_tokenizer_that_cannot_be_read_is_named_by_its_class(tuned):
    edit(tuned, "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(UserError, match="BertJapaneseTokenizer"):
        load_with_tokenizer(tuned)


def test_a11_another_kind_of_tokenizer_beside_a_bert_serves(workspace):
    shutil.rmtree(workspace / "teacher_model")
    pieces = len(tokenizer_of("roberta"))
    stock_bert(vocab=range(pieces), pad_token_id=1).save_pretrained(workspace / "teacher_model")
    tokenizer_of("roberta").save_pretrained(workspace / "teacher_model")
    assert call(RUN).code == 0


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict"])
def test_a12_prefixes_and_wrappers_are_taken_off(tuned, prefix, wrapper):
    state = state_of(tuned)
    expected = load_model(tuned)[0].state_dict()
    changed = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    store(tuned, {wrapper: changed, "epoch": 3} if wrapper else changed)
    model, new = load_model(tuned)
    assert new == [] and all(torch.equal(expected[n], t) for n, t in model.state_dict().items())


@pytest.mark.parametrize("prefix", ["bert_model.", "auto_model.", "0.auto_model."])
def test_a12_an_encoder_alone_under_another_name(tmp_path, prefix):
    folder = make_bert_folder(tmp_path, masked_lm=False)
    expected = load_model(folder)[0].state_dict()
    state = {name.replace("bert.", prefix, 1): tensor for name, tensor in state_of(folder).items()}
    store(folder, state)
    assert all(torch.equal(expected[n], t) for n, t in load_model(folder)[0].state_dict().items())


def test_a12_a_lightning_checkpoint(tuned):
    state = {f"model.{name}": tensor for name, tensor in state_of(tuned).items()}
    torch.save({"state_dict": state, "epoch": 1, "global_step": 9}, tuned / "last.ckpt")
    (tuned / "pytorch_model.bin").unlink()
    assert load_model(tuned)[1] == []


def test_a12_names_of_another_model_are_shown(tuned):
    store(tuned, {"backbone.layer.weight": torch.zeros(2)})
    with pytest.raises(UserError, match="lacks bert.*holds backbone.layer.weight"):
        load_model(tuned)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a13_a_classifier_alone_is_enough(workspace, family):
    shutil.rmtree(workspace / "student_model")
    (workspace / "student_model").mkdir()
    make_family(workspace / "mine", family, "classifier")
    ran = call(f"{RUN} --task_teacher mine")
    assert ran.code == 0, ran.err
    assert states(ran.out)["finetune_teacher"] == "not needed"
    assert "candidates come from word vectors alone" in ran.out
    manifest = json.loads((workspace / "3_general_distill/manifest.json").read_text())
    assert manifest["inputs"]["teacher"]["path"] == str(workspace / "mine")
    aug = (workspace / "1_pre_data/aug.tsv").read_text().splitlines()
    assert len(aug) > 25, "words with vectors were replaced"


def test_a13_without_variants_no_candidates_are_announced(workspace):
    make_family(workspace / "mine", "roberta", "classifier")
    shutil.rmtree(workspace / "student_model")
    (workspace / "student_model").mkdir()
    ran = call(f"{RUN} --task_teacher mine --set data_augmentation.N=0 --dry-run")
    assert ran.code == 0 and "nearest word vectors" not in ran.out, ran.err


def test_a13_another_model_may_augment(workspace):
    make_family(workspace / "mine", "roberta", "classifier")
    shutil.rmtree(workspace / "student_model")
    (workspace / "student_model").mkdir()
    line = f"{RUN} --task_teacher mine --augmentation_model"
    assert call(f"{line} teacher_model").code == 0
    ran = call(f"{line} mine")
    assert ran.code == 2 and "--augmentation_model" in ran.err and "no masked-LM head" in ran.err


def test_a13_the_ancestor_of_a_fine_tuned_copy_stays_the_general_teacher(workspace):
    make_toy_teacher(workspace / "copy", classifier=True)
    ran = call(f"{RUN} --task_teacher copy")
    assert ran.code == 0 and "candidates come from word vectors alone" not in ran.out


def test_the_plan_remarks_on_long_rows_the_courses_corpus_and_a_teacher_at_chance(workspace):
    """An untrained teacher, rows that are cut, and the course's documents."""
    make_family(workspace / "given", "bert", "classifier")
    (workspace / "1_pre_data/documents.txt").unlink()
    with open(workspace / "SST-2/train.tsv", "a") as file:
        file.write(f"{'a ' * 20}\t1\n")
    flags = "--set task_distill_mid.max_seq_length=12 --set task_distill_out.max_seq_length=12"
    said = call(f"{RUN} --task_teacher given --dry-run {flags}").err
    assert "given: on the first 24 dev rows, dev accuracy" in said
    assert "% of the training rows have more than 12 tokens and are cut" in said
    assert "stages 2 and 3 read the course's documents" in said
    said = call(f"{RUN} --dry-run").err
    assert "are cut" not in said and "documents" not in said and "on the first" not in said


@pytest.mark.parametrize("shape", ["layers=1,width=8", "layers=2,width=16,heads=4,feed_forward=24"])
def test_a14_a_student_of_a_given_shape(workspace, shape):
    ran = call(
        f"{RUN} --student {shape} --set general_distill.heads=skip "
        f"--set task_distill_mid.heads=skip"
    )
    assert ran.code == 0, ran.err
    config = load_model(workspace / "5_task_distill_out")[0].config
    wanted = dict(part.split("=") for part in shape.split(","))
    assert config.hidden_size == int(wanted["width"])
    assert config.num_hidden_layers == int(wanted["layers"])
    assert config.num_attention_heads == int(wanted.get("heads", 2))
    assert results_of(workspace)["parameters"]["student"] > 0


@pytest.mark.parametrize(
    "argument, says",
    [
        ("layers=two", "layers=two"),
        ("depth=3", "depth=3"),
        ("layers=2,width=33", "not a multiple of the number of attention heads, 2"),
        ("layers=2,width=64", "not fewer than the teacher's"),
    ],
)
def test_a14_a_shape_that_does_not_fit_is_refused(workspace, argument, says):
    ran = call(f"{RUN} --student {argument}")
    assert ran.code == 2 and says in ran.err and len(ran.err.strip().splitlines()) == 1


def lfs(folder):
    (folder / "pytorch_model.bin").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 438007537\n"
    )


def nan(folder):
    state = state_of(folder)
    state["bert.pooler.dense.bias"][0] = torch.nan
    store(folder, state)


def three(folder):
    state = state_of(folder)
    store(
        folder,
        {**state, "classifier.weight": torch.zeros(3, 32), "classifier.bias": torch.zeros(3)},
    )


def odd_layers(folder):
    make_student_config(folder.parent / "student_model", layers=2, width=16, heads=2)
    shutil.rmtree(folder)
    make_bert_folder(folder, layers=3, width=32, num_labels=2)


def odd_heads(folder):
    make_student_config(folder.parent / "student_model", layers=1, width=18, heads=3)


@pytest.mark.parametrize(
    "damage, says",
    [
        (lfs, ["Git LFS pointer", "git lfs pull"]),
        (nan, ["bert.pooler.dense.bias holds NaN"]),
        (three, ["3 outputs", "but 2 are needed"]),
        (odd_layers, ["(3)", "(2)", "--set general_distill.mapping=top"]),
        (odd_heads, ["attention heads, 3 and 2", "--set general_distill.heads=skip"]),
    ],
)
@pytest.mark.parametrize("dry", ["", "--dry-run"])
def test_a15_and_a18_a_teacher_that_cannot_serve_is_found_at_the_plan(workspace, damage, says, dry):
    folder = make_toy_teacher(workspace / "mine", classifier=True)
    damage(folder)
    ran = call(f"{RUN} --teacher_model teacher_model --task_teacher mine {dry}")
    if damage in (odd_layers,):
        ran = call(f"{RUN} --task_teacher mine {dry}")
    assert ran.code == 2 and all(part in ran.err for part in says), ran.err
    assert not (workspace / "1_pre_data/aug.tsv").exists()


def test_a19_a_quantization_config_and_a_list_of_labels_are_no_hindrance(tuned, tmp_path):
    edit(tuned, quantization_config={"quant_method": "awq"}, id2label=["bad", "good"])
    ran = call(f"export --model {tuned} --format huggingface --output_dir {tmp_path / 'out'}")
    assert ran.code == 0, ran.err
    config = BertForSequenceClassification.from_pretrained(tmp_path / "out").config
    assert config.id2label == {0: "bad", 1: "good"} and not hasattr(config, "quantization_config")


def test_a19_the_key_of_an_unknown_activation_is_named(tuned):
    with pytest.raises(UserError, match="hidden_act 'GELU'"):
        load_model(edit(tuned, hidden_act="GELU"))


def test_shards_and_half_precision_are_read(tmp_path):
    model = BertModel(stock_bert().config).half()
    model.save_pretrained(tmp_path, max_shard_size="8KB")
    assert len([*tmp_path.glob("model-*.safetensors")]) > 1
    found = load_model(tmp_path)[0]
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.body.state_dict()[name], tensor.float())
    first = min(tmp_path.glob("model-*.safetensors"))
    save_file({n: t for n, t in [*load_file(first).items()][1:]}, first)
    with pytest.raises(UserError, match="lacks bert"):
        load_model(tmp_path)
    first.unlink()
    with pytest.raises(UserError, match="is missing, but an index"):
        load_model(tmp_path)


def test_a_tokenizer_json_with_padding_and_truncation_changes_nothing(workspace):
    tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(VOCABULARY)})
    tokenizer.backend_tokenizer.enable_padding(length=40, pad_token="[PAD]")
    tokenizer.backend_tokenizer.enable_truncation(6)
    folder = workspace / "teacher_model"
    (folder / "vocab.txt").unlink()
    tokenizer.save_pretrained(folder)
    line = (
        "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --bert_model "
        "teacher_model --epochs_to_generate 1 --max_seq_len 32 --output_dir out"
    )
    assert call(line).code == 0
    rows = [json.loads(row) for row in (workspace / "out/epoch_0.json").read_text().splitlines()]
    assert rows and not any("[PAD]" in row["tokens"] for row in rows)
    assert max(len(row["tokens"]) for row in rows) > 20


def test_a8_a_hole_in_the_vocabulary_shifts_no_piece(workspace):
    """A piece twice: its first line has no piece, and all pieces below keep their numbers."""
    place = VOCABULARY.index("the")
    vocab = [*VOCABULARY[:place], "film", *VOCABULARY[place:]]
    (workspace / "hole").mkdir()
    (workspace / "hole/vocab.txt").write_text("\n".join(vocab) + "\n")
    (workspace / "text.txt").write_text("the film was good\n\nthe plot was bad\n")
    line = (
        "pregenerate_training_data --train_corpus text.txt --vocab_file hole/vocab.txt "
        "--epochs_to_generate 1 --max_seq_len 32 --masked_lm_prob 0 --output_dir out"
    )
    assert call(line).code == 0
    words = {
        token
        for row in (workspace / "out/epoch_0.json").read_text().splitlines()
        for token in json.loads(row)["tokens"]
    }
    assert words == {"[CLS]", "[SEP]", *"the film was good plot bad".split()}


def test_sentences_of_byte_level_bpe_are_joined_with_a_blank(workspace):
    make_family(workspace / "mine", "roberta")
    line = (
        "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --bert_model mine "
        "--epochs_to_generate 1 --max_seq_len 48 --masked_lm_prob 0 --output_dir out"
    )
    assert call(line).code == 0
    for row in (workspace / "out/epoch_0.json").read_text().splitlines():
        tokens = json.loads(row)["tokens"]
        for last, token in zip(tokens, tokens[1:]):
            assert last != "Ġ." or token.startswith(("Ġ", "<")) or token in "0123456789"


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_a2_added_tokens_are_words_of_their_own_in_stage_1(tmp_path, family):
    folder = make_family(tmp_path, family)
    tokenizer = load_with_tokenizer(folder, masked_lm=True).tokenizer
    tokenizer.add_tokens(["<user>", "[URL]"])
    found = words(tokenizer, "the film <user> liked [URL].")
    assert {"<user>", "[URL]"} <= {*found} and "user" not in found


def test_words_are_the_runs_even_if_another_model_finds_their_candidates(workspace):
    make_family(workspace / "mine", "roberta", "classifier")
    shutil.rmtree(workspace / "student_model")
    (workspace / "student_model").mkdir()
    rows = [
        (f"The film was {'good' if i % 2 else 'bad'}, wasn't it?", str(i % 2)) for i in range(24)
    ]
    write_tsv(workspace / "SST-2/train.tsv", rows, ("sentence", "label"))
    assert call(f"{RUN} --task_teacher mine --augmentation_model teacher_model --only 1").code == 0
    lines = (workspace / "1_pre_data/aug.tsv").read_text().splitlines()[1:]
    assert len(lines) > 24 and all(", wasn't " in line or "wasn't it?" in line for line in lines)
    assert not any(" , " in line for line in lines)


def test_a_several_labels_classifier_and_an_unmerged_adapter_are_refused(tuned, tmp_path):
    edit(tuned, problem_type="multi_label_classification")
    with pytest.raises(UserError, match="several labels, but SST-2 has one per row"):
        load_classifier(tuned, TASKS["SST-2"])
    state = state_of(edit(tuned, problem_type="regression"))
    assert load_classifier(tuned, TASKS["SST-2"]).new_parts == []
    name = "bert.encoder.layer.0.attention.self.query"
    store(tuned, {**state, f"{name}.lora_A.default.weight": torch.zeros(2, 32)})
    with pytest.raises(UserError, match="adapter that is not merged.*merge_and_unload"):
        load_model(tuned)
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="holds an adapter only"):
        load_model(tmp_path / "alone")


def test_no_problem_type_of_a_teacher_reaches_the_student(workspace):
    edit(workspace / "teacher_model", problem_type="regression")
    assert call(f"{RUN} --until 3").code == 0
    assert "problem_type" not in json.loads(
        (workspace / "3_general_distill/config.json").read_text()
    )


@pytest.mark.parametrize(
    "values",
    [
        {"pad_token_id": None},
        {"attn_implementation": "flash_attention_2", "return_dict": False},
        {"output_attentions": True, "output_hidden_states": False},
    ],
)
def test_settings_of_another_program_are_no_hindrance(tmp_path, values):
    folder = edit(make_family(tmp_path, "roberta", "classifier"), **values)
    found = load_with_tokenizer(folder)
    batch = found.tokenizer(["the film", "bad"], padding=True, return_tensors="pt")
    batch["token_type_ids"] = torch.zeros_like(batch["input_ids"])
    assert found.model.eval()(batch, logits=True, scores=[1]).logits.shape == (2, 2)


@pytest.mark.parametrize(
    "shape", ["layers=²", "width=99999999998", "layers=100000", "layers=2,layers=4"]
)
def test_a_shape_beyond_all_bounds_is_refused_at_once(workspace, shape):
    ran = call(f"{RUN} --student {shape} --dry-run")
    assert ran.code == 2 and "--student" in ran.err


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 438\n")


def not_a_number(path):
    state = load_file(path)
    state["classifier.out_proj.bias"][0] = torch.nan
    save_file(state, path, metadata={"format": "pt"})


@pytest.mark.parametrize("damage, says", [(pointer, "git lfs pull"), (not_a_number, "NaN")])
def test_a15_a_teacher_of_the_prediction_layer_alone_is_opened_at_the_plan(workspace, damage, says):
    damage(make_family(workspace / "mine", "roberta", "classifier") / "model.safetensors")
    ran = call(f"{RUN} --teacher_model teacher_model --task_teacher mine --dry-run")
    assert ran.code == 2 and says in ran.err, ran.err


def test_evaluate_asks_a_teacher_that_reads_other_pieces_in_its_own_words(workspace):
    make_bert_folder(workspace / "student", layers=1, num_labels=2, masked_lm=False)
    make_family(workspace / "mine", "roberta", "classifier")
    ran = call(
        "evaluate --data_dir SST-2 --task_name sst-2 --student_model student "
        "--teacher_model mine --device cpu"
    )
    assert ran.code == 0 and "agreement = " in ran.out, ran.err
