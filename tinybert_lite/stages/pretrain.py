"""Pre-training a teacher from plain text: a vocabulary, then masked LM with whole-word masking (Devlin et al. 2019).

    python -m tinybert_lite.pretrain --text reviews.txt.xz brown.txt --output_dir my_bert --hidden_size 256 --vocab_size 8000

goes on where it was cut when called again. `--model_dir BERT` continues from a BERT's weights and vocabulary;
`--vocab_file` takes a vocabulary instead of learning one; `--language zh` hides the words of Chinese text whole. The shipped
teacher_model/classroom was made so; `run_all --teacher_model grow` makes a small one from the text at hand, as a lesson.
Unlike BERT's own: no next-sentence prediction, a new mask in every epoch, word embeddings that start from word vectors, positions from waves.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.corpora import numbered, read_corpora
from tinybert_lite.data.corpus import TokenisedCorpus, gather_text, read_documents
from tinybert_lite.data.masked import Masked, packed
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.data.vocabulary import build_vocabulary
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.objectives import MaskedLm
from tinybert_lite.models.loading import LoadedBert, load_bert
from tinybert_lite.models.saving import save_model_folder, save_safetensors, save_weights
from tinybert_lite.models.starts import extend_positions, start_from_vectors, start_from_waves
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.evaluation import masked_lm_scores
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Pretraining, Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage, StageResult
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
    """A BERT of random weights, for this tokenizer or a vocabulary learnt from the text."""
    if tokenizer is None:
        build_vocabulary(
            (line for document in read_documents(text) for line in document),
            options.vocab_size,
            folder / "vocab.txt",
            language,
        )
        tokenizer = load_tokenizer(folder / "vocab.txt", lower_case=True)
    model = Bert(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.hidden_size,
            num_hidden_layers=options.num_hidden_layers,
            num_attention_heads=options.num_attention_heads,
            intermediate_size=4 * options.hidden_size,
            max_position_embeddings=options.max_seq_length,
            classifier_head="huggingface",
        ),
        masked_lm=True,
    )
    start_from_waves(model)
    known = start_from_vectors(model, tokenizer, WordVectors.read(vectors)) if vectors else 0
    say(
        f"teacher: {options.num_hidden_layers} layers of width {options.hidden_size}, {len(tokenizer)} word pieces, {known} of them from word vectors"
    )
    return LoadedBert(model, tokenizer, folder, [])


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options: Pretraining = settings.pretrain
    sources = [
        path for name, path in reads.items() if name not in ("vectors", "model", "vocabulary")
    ]
    length, language = options.max_seq_length, settings.task.language
    with scratch(folder) as place:
        train, test = place / "train.txt", place / "held_out.txt"
        gather_text(
            sources,
            settings.task,
            options.held_out,
            train,
            test,
            lambda source: read_corpora([source], language, options.split_sentences),
        )
        given = (
            load_tokenizer(reads["vocabulary"], settings.lower_case)
            if "vocabulary" in reads
            else None
        )
        bert = (
            load_bert(reads["model"], settings.lower_case, masked_lm=True)
            if "model" in reads
            else new_bert(train, reads.get("vectors"), options, place, given, language)
        )
        extend_positions(bert.model, length)
        say(f"teacher: cutting {', '.join(path.name for path in sources)} into word pieces")
        examples, held = (
            packed(
                TokenisedCorpus.build(text, bert.tokenizer, place, language=language),
                bert.tokenizer,
                length,
                options.short_seq_prob,
                session.seed,
            )
            if text.stat().st_size
            else None
            for text in (train, test)
        )
    model, parameters = bert.model, sum(p.numel() for p in bert.model.parameters())
    say(
        f"teacher: {parameters / 1e6:.1f} M parameters, {len(examples)} sequences, {len(examples.ids)} tokens an epoch"
    )
    save_model_folder(model, bert.tokenizer, folder)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = options.dropout
    kept = Masked(held, bert.tokenizer, 0.15, session.seed) if held else None
    trained = Loop(
        model,
        MaskedLm(),
        Batches(
            lambda epoch: Masked(
                examples, bert.tokenizer, options.masked_lm_prob, session.seed, epoch
            ),
            options.train_batch_size,
            session.seed,
            rows=lambda epoch: len(examples),
        ),
        options,
        session.accelerator(),
        folder,
        identity=session.identity,
        label="pre-training the teacher",
        say=say,
        evaluate=(lambda model: masked_lm_scores(model, kept, options.eval_batch_size))
        if kept
        else None,
        metric="accuracy",
    ).run()
    save_safetensors(model, folder, torch.half) if options.half else save_weights(model, folder)
    return {
        "steps": trained.steps,
        "resumed_from": trained.resumed_from,
        "parameters": parameters,
        "loss_terms": trained.last_terms,
    }


def reads(ws) -> dict[str, Path]:
    return {"train": ws.data_file("train"), **numbered("corpus", ws.corpora), "vectors": ws.vectors}


STAGE = Stage(
    "pretrain",
    "teacher, grown from the text at hand",
    reads=reads,
    folder=lambda ws: ws.grown_teacher,
    writes=MODEL_FILES,
    work=work,
    needless=lambda ws: (
        "" if ws.teacher.path == ws.grown_teacher else f"there is one: {ws.teacher.name}"
    ),
)


def run(workspace, settings: Settings, force: bool = False) -> StageResult:
    """Grow the workspace's teacher from the text at hand, where it has none."""
    return STAGE.run(workspace, settings, force)
