"""Pre-training a teacher: packing, masking anew, held-out text, half precision, continuing, and the
shipped one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig

from tests.makers import SPECIAL, VOCABULARY, config_values, make_bert_folder, write_tsv
from tests.makers.commands import call
from tests.makers.workspaces import make_toy_teacher, write_toy_corpus, write_toy_vectors
from tinybert_lite.data.corpus import TokenisedCorpus, gather_text, plain, read_documents
from tinybert_lite.data.masked_lm import IGNORED, Masked, packed
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import find_task
from tinybert_lite.data.tokens import encode
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.data.vocabulary import build_vocabulary
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.initial_weights import start_from_vectors, start_from_waves
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.saving import save_safetensors
from tinybert_lite.models.weights import read_weights
from tinybert_lite.pipeline.workspace import SHIPPED
from tinybert_lite.stages.evaluation import masked_lm_scores
from tinybert_lite.training.history import read_history

CLS, SEP, UNK, MASK = (SPECIAL.index(token) for token in ("[CLS]", "[SEP]", "[UNK]", "[MASK]"))
SST2 = find_task("SST-2")


@pytest.fixture
def corpus(tmp_path):
    return write_toy_corpus(tmp_path / "corpus.txt", documents=10, sentences=8)


@pytest.fixture
def tokenised(corpus, tokenizer, tmp_path):
    (tmp_path / "tokens").mkdir()
    return TokenisedCorpus.build(corpus, tokenizer, tmp_path / "tokens")


def rows_of(examples) -> list[list[int]]:
    return [
        examples.ids[start:end].tolist() for start, end in zip(examples.starts, examples.starts[1:])
    ]


def whole_document(tokenised, number: int) -> list[int]:
    return [token for place in tokenised.document(number) for token in tokenised.sentence(place)]


@pytest.mark.parametrize("max_length, short", [(40, 0.0), (40, 0.5), (9, 0.0), (128, 1.0)])
def test_packing_loses_nothing_and_mixes_no_documents(tokenised, tokenizer, max_length, short):
    rows = rows_of(packed(tokenised, tokenizer, max_length, short, seed=3))
    assert all(row[0] == CLS and row[-1] == SEP and 3 <= len(row) <= max_length for row in rows)
    rows = iter(rows)
    for number in range(len(tokenised)):
        left = whole_document(tokenised, number)
        while left:
            part = next(rows)[1:-1]
            assert left[: len(part)] == part
            left = left[len(part) :]
    assert next(rows, None) is None


def test_a_row_is_as_full_as_whole_sentences_allow(tokenised, tokenizer):
    rows, place = rows_of(packed(tokenised, tokenizer, 40, 0.0, seed=3)), 0
    for number in range(len(tokenised)):
        sentences = [tokenised.sentence(s) for s in tokenised.document(number)]
        while sentences:
            row = [token for token in rows[place][1:-1]]
            while sentences and row[: len(sentences[0])] == sentences[0]:
                row, sentences = row[len(sentences[0]) :], sentences[1:]
            assert not row, "a sentence that would fit whole was cut"
            assert not sentences or len(rows[place]) + len(sentences[0]) > 40
            place += 1


@pytest.fixture
def masked(tokenised, tokenizer):
    return Masked(packed(tokenised, tokenizer, 40, 0.1, seed=3), tokenizer, 0.3, seed=5)


def test_a_mask_depends_on_seed_epoch_and_row_alone(masked, tokenised, tokenizer):
    alone, among = masked.batch(np.array([4])), masked.batch(np.array([7, 4, 0]))
    length = int(alone["attention_mask"].sum())
    for name in ("input_ids", "targets"):
        assert torch.equal(alone[name][0, :length], among[name][1, :length])
    for seed, epoch in ((5, 1), (6, 0)):
        other = Masked(masked.examples, tokenizer, 0.3, seed, epoch).batch(np.array([4]))
        assert not torch.equal(alone["targets"], other["targets"])


def test_targets_are_the_pieces_that_stood_there_and_all_else_is_as_it_was(masked):
    rows = np.arange(len(masked))
    batch, original = masked.batch(rows), masked.examples.batch(rows)["input_ids"]
    chosen = batch["targets"] != IGNORED
    assert torch.equal(batch["targets"][chosen], original[chosen]) and torch.equal(
        batch["input_ids"][~chosen], original[~chosen]
    )
    real = batch["attention_mask"].bool()
    assert not chosen[~real].any() and 0.2 < chosen.sum() / real.sum() < 0.35
    assert 0.7 < (batch["input_ids"][chosen] == MASK).float().mean() < 0.9


def test_words_are_hidden_whole_and_unknown_ones_are_no_target(tokenizer, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(
        "filming filmly zzz\nfilming [UNK] filming\n\nfilmest [UNK] filming\n", encoding="utf-8"
    )
    examples = packed(TokenisedCorpus.build(text, tokenizer, tmp_path), tokenizer, 32, 0.0, seed=0)
    for epoch in range(20):
        masked = Masked(examples, tokenizer, 0.4, 1, epoch)
        batch, original = masked.batch([0, 1]), examples.batch([0, 1])["input_ids"]
        assert not (batch["targets"] == UNK).any()
        hidden = batch["targets"] != IGNORED
        inner = torch.tensor(
            [[VOCABULARY[piece].startswith("##") for piece in row] for row in original.tolist()]
        )
        assert torch.equal(hidden[:, 1:][inner[:, 1:]], hidden[:, :-1][inner[:, 1:]]), (
            "a piece was hidden without its word"
        )


def test_held_out_documents_are_in_the_one_corpus_or_the_other(corpus, tmp_path):
    rows = write_tsv(
        tmp_path / "train.tsv",
        [("a good film .", "1"), ("a bad film .", "0")] * 6,
        ["sentence", "label"],
    )
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    gather_text([corpus, rows], SST2, 4, train, test)
    documents, learnt, kept = (list(read_documents(path)) for path in (corpus, train, test))
    assert kept == [documents[3], documents[7]]
    assert learnt == [d for i, d in enumerate(documents) if i not in (3, 7)] + [
        ["a good film .", "a bad film ."] * 4,
        ["a good film .", "a bad film ."] * 2,
    ]
    gather_text([corpus], SST2, 0, train, test)
    assert list(read_documents(train)) == documents and not test.stat().st_size


def test_wikitexts_marks_are_resolved():
    assert (
        plain("about 0 @.@ 7 or 1 @,@ 200 , well @-@ known <unk> s")
        == "about 0.7 or 1,200 , well-known [UNK] s"
    )


def test_scores_are_those_of_a_loop_over_the_places(tokenised, tmp_path):
    bert = load_with_tokenizer(make_bert_folder(tmp_path / "bert"), masked_lm=True)
    held = Masked(packed(tokenised, bert.tokenizer, 32, 0.1, seed=3), bert.tokenizer, 0.3, seed=5)
    right, losses = [], []
    for row in range(len(held)):
        batch = held.batch([row])
        logits = bert.model.eval()(
            batch, masked_lm=torch.ones_like(batch["targets"], dtype=torch.bool)
        ).masked_lm
        for place, target in enumerate(batch["targets"][0].tolist()):
            if target != IGNORED:
                right.append(int(logits[place].argmax()) == target)
                losses.append(-math.log(logits[place].softmax(-1)[target].item()))
    found = masked_lm_scores(bert.model, held, batch_size=4)
    assert found["accuracy"] == pytest.approx(sum(right) / len(right)) and found[
        "perplexity"
    ] == pytest.approx(math.exp(np.mean(losses)), rel=1e-4)


def test_half_precision_weights_open_here_and_in_the_stock_classes(bert_folder, tmp_path):
    bert = load_with_tokenizer(bert_folder, masked_lm=True)
    save_safetensors(bert.model, bert_folder, torch.half)
    (bert_folder / "pytorch_model.bin").unlink()
    again, new = load_model(bert_folder, masked_lm=True)
    for name, tensor in bert.model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float()), name
    stock = AutoModelForMaskedLM.from_pretrained(bert_folder, dtype=torch.float32).eval()
    batch = encode(["the good film was long"], None, bert.tokenizer, 16).batch([0])
    with torch.inference_mode():
        ours = again.eval()(batch, masked_lm=batch["attention_mask"].bool()).masked_lm
        assert new == [] and torch.allclose(ours, stock(**batch).logits[0], atol=1e-5)


def test_the_same_text_gives_the_same_vocabulary(corpus, tmp_path):
    lines = [line for document in read_documents(corpus) for line in document] + [
        "Café au lait",
        "Ünïcode",
    ]
    for name in ("one", "two"):
        build_vocabulary(iter(lines), 120, tmp_path / name)
    pieces = (tmp_path / "one").read_text(encoding="utf-8").splitlines()
    assert pieces == (tmp_path / "two").read_text(encoding="utf-8").splitlines()
    assert (
        pieces[:5] == SPECIAL
        and len(set(pieces)) == len(pieces) <= 120
        and "##e" in pieces
        and "é" not in pieces
    )


def test_embeddings_that_start_from_vectors_keep_their_cosines(tmp_path):
    torch.manual_seed(0)
    bert, vectors = (
        load_with_tokenizer(make_bert_folder(tmp_path / "bert"), masked_lm=True),
        WordVectors.read(write_toy_vectors(tmp_path / "glove.txt")),
    )
    before = bert.model.body.embeddings.word_embeddings.weight.detach().clone()
    assert start_from_vectors(bert.model, bert.tokenizer, vectors) > 5
    after = bert.model.body.embeddings.word_embeddings.weight.detach()
    vocab = bert.tokenizer.get_vocab()
    known = [piece for piece in vocab if piece in vectors.place]
    wanted = torch.nn.functional.normalize(
        torch.from_numpy(vectors.matrix[[vectors.place[piece] for piece in known]])
    )
    found = torch.nn.functional.normalize(after[[vocab[piece] for piece in known]])
    assert torch.allclose(found @ found.T, wanted @ wanted.T, atol=1e-5)
    others = [i for piece, i in vocab.items() if piece not in vectors.place]
    assert torch.equal(before[others], after[others])


COMMAND = (
    "pretrain --text corpus.txt --max_seq_length 32 --device cpu --threads 1 --learning_rate 1e-3"
)
SMALL = (
    "--vocab_size 150 --hidden_size 16 --num_hidden_layers 1 --num_attention_heads 2 "
    "--vectors glove.txt"
)


@pytest.fixture
def place(corpus, tmp_path, monkeypatch):
    write_toy_vectors(tmp_path / "glove.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_plain_text_to_a_folder_that_hugging_face_opens(place):
    ran = call(
        f"{COMMAND} {SMALL} --output_dir new --num_train_epochs 3 --held_out 5 --eval_step 4 --half"
    )
    assert ran.code == 0, ran.err
    assert {path.name for path in (place / "new").iterdir()} == {
        "config.json",
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
        "manifest.json",
        "history.jsonl",
        ".lock",
    }
    events = read_history(place / "new/history.jsonl")
    assert [set(event["dev"]) for event in events if "dev" in event][0] == {
        "accuracy",
        "perplexity",
    } and events[0]["masked_lm"] > events[-2].get("masked_lm", 0)
    model, tokenizer = (
        AutoModelForMaskedLM.from_pretrained(place / "new"),
        AutoTokenizer.from_pretrained(place / "new"),
    )
    assert (
        model.config.hidden_dropout_prob == 0.1 and len(tokenizer) == model.config.vocab_size <= 150
    )


def test_a_berts_weights_and_vocabulary_are_gone_on_from(place):
    raw = make_toy_teacher(place / "raw")
    ran = call(
        f"{COMMAND} --model_dir raw --output_dir on --max_steps 1 --dropout 0 --learning_rate 1e-12"
    )
    assert ran.code == 0, ran.err
    assert (place / "on/vocab.txt").read_text(encoding="utf-8") == (raw / "vocab.txt").read_text(
        encoding="utf-8"
    )
    before, after = (
        read_weights(raw / "pytorch_model.bin"),
        read_weights(place / "on/pytorch_model.bin"),
    )
    assert all(torch.allclose(after[name], before[name], atol=1e-6) for name in after)


def test_more_positions_than_a_bert_has_repeat_those_it_has(place):
    raw = make_toy_teacher(place / "raw")  # of 64 positions
    assert (
        call(
            f"{COMMAND} --model_dir raw --output_dir long --max_steps 1 --learning_rate 1e-12 "
            "--max_seq_length 150"
        ).code
        == 0
    )
    name = "bert.embeddings.position_embeddings.weight"
    before, (model, new) = (
        read_weights(raw / "pytorch_model.bin")[name],
        load_model(place / "long", masked_lm=True),
    )
    assert new == [] and model.config.max_position_embeddings == 150
    assert torch.allclose(model.state_dict()[f"auto.{name}"], before.repeat(3, 1)[:150], atol=1e-6)
    batch = {
        key: torch.ones(1, 150, dtype=torch.long)
        for key in ("input_ids", "attention_mask", "token_type_ids")
    }
    stock = AutoModelForMaskedLM.from_pretrained(place / "long").eval()
    with torch.inference_mode():
        assert torch.allclose(
            model.eval()(batch, masked_lm=torch.ones(1, 150, dtype=torch.bool)).masked_lm,
            stock(**batch).logits[0],
            atol=1e-4,
        )


@pytest.mark.parametrize(
    "more, said",
    [
        ("--vectors nowhere.txt", ["nowhere.txt"]),
        ("--dropout 2", ["dropout=2"]),
        ("--text nowhere.txt", ["nowhere.txt is missing"]),
    ],
)
def test_a_mistake_is_one_sentence(place, more, said):
    make_toy_teacher(place / "raw")
    ran = call(f"{COMMAND} --output_dir new {more}")
    assert ran.code == 2 and "Traceback" not in ran.err and all(word in ran.err for word in said), (
        ran.err
    )
    assert not (place / "new/.scratch-0").exists()


def test_text_that_is_left_from_a_killed_run_is_made_anew(place):
    (place / "new/.scratch-0/one").mkdir(parents=True)
    (place / "new/.scratch-0/one/train.txt").write_text("half", encoding="utf-8")
    assert call(f"{COMMAND} {SMALL} --output_dir new --max_steps 1").code == 0
    assert not (place / "new/.scratch-0").exists()


# The shipped teacher ------------------------------------------------------------------------------

CLASSROOM = SHIPPED / "teacher_model/classroom"


def test_the_shipped_teacher_is_what_its_card_says():
    bert = load_with_tokenizer(CLASSROOM, masked_lm=True)
    config = bert.model.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (6, 256, 4)
    assert 7_500 <= len(bert.tokenizer) <= 8_500 and bert.new_parts == []
    assert (CLASSROOM / "model.safetensors").stat().st_size < 25e6
    card = (CLASSROOM / "README.md").read_text(encoding="utf-8")
    assert all(
        word in card
        for word in (
            "Large Movie Review",
            "Brown",
            "WikiText-2",
            "SST-2",
            "python -m tinybert_lite.pretrain",
            "Limits",
        )
    )


def test_it_guesses_words_of_sentences_it_has_not_read(tokenizer):
    """The classroom test sentences: a third of all masked pieces; always guessing the most frequent
    one gets a twentieth.
    """
    bert = load_with_tokenizer(CLASSROOM, masked_lm=True)
    examples = encode(
        [row.text_a for row in read_table(SHIPPED / "SST-2/test.tsv", SST2).rows],
        None,
        bert.tokenizer,
        64,
    )
    found = masked_lm_scores(bert.model, Masked(examples, bert.tokenizer, 0.15, seed=1), most=300)
    assert found["accuracy"] > 0.3 and found["perplexity"] < 100


def test_positions_begin_as_waves_that_tell_near_from_far():
    """By a loop over the formula, and by what it is for: a place is most like its neighbours, and
    like none by chance.
    """
    model = Encoder(BertConfig(**config_values(layers=1, width=16, heads=2)))
    start_from_waves(model, scale=0.5, longest=1000.0)
    table = model.body.embeddings.position_embeddings.weight.data
    for place in (0, 1, 37):
        for pair in range(8):
            angle = place / 1000 ** (2 * pair / 16)
            assert table[place, 2 * pair].item() == pytest.approx(0.5 * math.sin(angle), abs=1e-6)
            assert table[place, 2 * pair + 1].item() == pytest.approx(
                0.5 * math.cos(angle), abs=1e-6
            )
    alike = torch.nn.functional.cosine_similarity(table[20], table, dim=1)
    assert alike[19] > alike[18] > alike[15] and alike[21] > alike[25] and alike.argmax() == 20


def test_the_chinese_teacher_is_what_its_card_says():
    folder = SHIPPED / "teacher_model/zh/classroom"
    bert, card = (
        load_with_tokenizer(folder, masked_lm=True),
        (folder / "README.md").read_text(encoding="utf-8"),
    )
    config = bert.model.config
    assert (
        config.num_hidden_layers,
        config.hidden_size,
        config.num_attention_heads,
        config.max_position_embeddings,
    ) == (4, 192, 4, 128)
    assert f"{len(bert.tokenizer):,} word pieces" in card and not bert.new_parts
    assert f"{sum(p.numel() for p in bert.model.parameters()) / 1e6:.1f} million" in card
    assert f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f} MB" in card
    batch = bert.tokenizer(["房间很干[MASK]，服务很好。"], return_tensors="pt")
    at = batch["input_ids"] == bert.tokenizer.mask_token_id
    with torch.inference_mode():
        best = bert.model.eval()(batch, masked_lm=at).masked_lm.topk(3).indices[0]
    assert "净" in bert.tokenizer.convert_ids_to_tokens(best.tolist())
