"""Before stage 1, where there is no teacher: pre-train one from plain text by masked LM.

Reads text (the task's rows, a corpus) and word vectors, or a BERT and its vocabulary to continue
from; writes a teacher, a model folder. The vocabulary is learnt from the text, whole words are
masked. Unlike BERT (Devlin et al. 2019): no next-sentence prediction, a new mask in every epoch,
word embeddings that start from word vectors, and positions that start from sines.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig

from tinybert_lite.data.batches import Batches, Examples
from tinybert_lite.data.corpora import numbered, read_corpora
from tinybert_lite.data.corpus import TokenisedCorpus, gather_text, read_documents
from tinybert_lite.data.masked import Masked, packed
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.data.vocabulary import build_vocabulary
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.objectives import MaskedLm
from tinybert_lite.method.starts import extend_positions, start_from_vectors, start_from_waves
from tinybert_lite.models.loading import LoadedBert, load_bert
from tinybert_lite.models.saving import save_model_folder, save_safetensors, save_weights
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.evaluation import masked_lm_scores
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Pretraining, Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.system.console import say
from tinybert_lite.system.outputs import scratch
from tinybert_lite.training.loop import Loop


def new_bert(
    text: Path,
    vectors: Path | None,
    options: Pretraining,
    folder: Path,
    tokenizer=None,
    language: str = "en",
) -> LoadedBert:
    """A BERT of random weights, for a tokenizer, or for a vocabulary learnt from the text."""
    if tokenizer is None:
        lines = (line for document in read_documents(text) for line in document)
        build_vocabulary(lines, options.vocab_size, folder / "vocab.txt", language)
        tokenizer = load_tokenizer(folder / "vocab.txt", lower_case=True)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.hidden_size,
        num_hidden_layers=options.num_hidden_layers,
        num_attention_heads=options.num_attention_heads,
        intermediate_size=4 * options.hidden_size,
        max_position_embeddings=options.max_seq_length,
        classifier_head="huggingface",
    )
    model = Bert(config, masked_lm=True)
    start_from_waves(model)
    known = start_from_vectors(model, tokenizer, WordVectors.read(vectors)) if vectors else 0
    say(
        f"teacher: {options.num_hidden_layers} layers of width {options.hidden_size}, "
        f"{len(tokenizer)} word pieces, {known} of them from word vectors"
    )
    return LoadedBert(model, tokenizer, folder, [])


def model_and_text(
    reads: dict[str, Path], place: Path, settings: Settings, session: Session
) -> tuple[LoadedBert, Examples, Examples | None]:
    """The BERT to train, its training sequences, and held-out ones where some are kept out."""
    options, language = settings.pretrain, settings.task.language
    models = ("vectors", "model", "vocabulary")
    sources = [path for name, path in reads.items() if name not in models]
    train, test = place / "train.txt", place / "held_out.txt"
    gather_text(
        sources,
        settings.task,
        options.held_out,
        train,
        test,
        lambda source: read_corpora([source], language, options.split_sentences),
    )
    if "model" in reads:
        bert = load_bert(reads["model"], settings.lower_case, masked_lm=True)
    else:
        vocabulary = reads.get("vocabulary")
        given = vocabulary and load_tokenizer(vocabulary, settings.lower_case)
        bert = new_bert(train, reads.get("vectors"), options, place, given, language)
    extend_positions(bert.model, options.max_seq_length)
    say(f"teacher: cutting {', '.join(path.name for path in sources)} into word pieces")

    def sequences(text: Path) -> Examples | None:
        if not text.stat().st_size:
            return None
        corpus = TokenisedCorpus.build(text, bert.tokenizer, place, language=language)
        return packed(
            corpus, bert.tokenizer, options.max_seq_length, options.short_seq_prob, session.seed
        )

    return bert, sequences(train), sequences(test)


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options, seed = settings.pretrain, session.seed
    with scratch(folder) as place:
        bert, examples, held_out = model_and_text(reads, place, settings, session)
    model, tokenizer = bert.model, bert.tokenizer
    parameters = sum(p.numel() for p in model.parameters())
    say(
        f"teacher: {parameters / 1e6:.1f} M parameters, {len(examples)} sequences, "
        f"{len(examples.ids)} tokens per epoch"
    )
    save_model_folder(model, tokenizer, folder)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = options.dropout
    evaluate = None
    if held_out:
        kept = Masked(held_out, tokenizer, 0.15, seed)
        evaluate = partial(masked_lm_scores, held_out=kept, batch_size=options.eval_batch_size)
    trained = Loop(
        model,
        MaskedLm(),
        Batches(
            lambda epoch: Masked(examples, tokenizer, options.masked_lm_prob, seed, epoch),
            options.train_batch_size,
            seed,
            rows=lambda epoch: len(examples),
        ),
        options,
        session.accelerator(),
        folder,
        identity=session.identity,
        label="pre-training the teacher",
        say=say,
        evaluate=evaluate,
        metric="accuracy",
    ).run()
    if options.half:
        save_safetensors(model, folder, torch.half)
    else:
        save_weights(model, folder)
    return {
        "steps": trained.steps,
        "resumed_from": trained.resumed_from,
        "parameters": parameters,
        "loss_terms": trained.last_terms,
    }


def reads_of(ws) -> dict[str, Path]:
    return {"train": ws.data_file("train"), **numbered("corpus", ws.corpora), "vectors": ws.vectors}


STAGE = Stage(
    "pretrain",
    "teacher, grown from the text at hand",
    reads=reads_of,
    folder=lambda ws: ws.grown_teacher,
    writes=MODEL_FILES,
    work=work,
    skip_reason=lambda ws: (
        "" if ws.teacher == ws.grown_teacher else f"there is one: {ws.teacher.name}"
    ),
)
run = STAGE.run
