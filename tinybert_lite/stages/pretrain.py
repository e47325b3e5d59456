"""Before stage 1, if there is no teacher: pre-train one on plain text by masked LM.

Reads text (the task's rows, a corpus) and word vectors, or a BERT and its vocabulary to continue
from; writes a teacher, a model folder. The vocabulary is learnt from the text, and whole words are
masked. Unlike BERT (Devlin et al. 2019): no next-sentence prediction, a new mask in every epoch,
word embeddings initialised from word vectors, and position embeddings from sine waves.
"""

from functools import partial
from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig

from tinybert_lite.data.batches import Batches, Examples
from tinybert_lite.data.corpora import numbered, read_corpora
from tinybert_lite.data.corpus import TokenisedCorpus, gather_text, read_documents
from tinybert_lite.data.masked_lm import Masked, packed
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.data.vocabulary import build_vocabulary
from tinybert_lite.method import initial_weights
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import MaskedLm
from tinybert_lite.models.loading import LoadedModel
from tinybert_lite.models.saving import save_model_folder, save_safetensors, save_weights
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.evaluation import masked_lm_scores
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.system.console import say
from tinybert_lite.system.outputs import scratch


def new_bert(job: Job, text: Path, folder: Path) -> LoadedModel:
    """Make a BERT with random weights, for the given vocabulary or one learnt from the text.

    folder: where a learnt vocabulary is written.
    """
    options, vectors = job.options, job.reads.get("vectors")
    if "vocabulary" in job.reads:
        tokenizer = load_tokenizer(job.reads["vocabulary"], job.settings.lower_case)
    else:
        lines = (line for document in read_documents(text) for line in document)
        vocabulary = folder / "vocab.txt"
        build_vocabulary(lines, options.vocab_size, vocabulary, job.task.language)
        tokenizer = load_tokenizer(vocabulary, lower_case=True)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=options.hidden_size,
        num_hidden_layers=options.num_hidden_layers,
        num_attention_heads=options.num_attention_heads,
        intermediate_size=4 * options.hidden_size,
        max_position_embeddings=options.max_seq_length,
        classifier_head="huggingface",
        grown=True,  # pre-trained here on little text, so fine-tuned at a higher learning rate
    )
    model = Encoder(config, masked_lm=True)
    initial_weights.start_from_waves(model)
    known = vectors and initial_weights.start_from_vectors(
        model, tokenizer, WordVectors.read(vectors)
    )
    say(
        f"teacher: {options.num_hidden_layers} layers of width {options.hidden_size}, "
        f"{len(tokenizer)} word pieces, {known or 0} of them from word vectors"
    )
    return LoadedModel(model, tokenizer, folder, [])


def model_and_text(job: Job, folder: Path) -> tuple[LoadedModel, Examples, Examples | None]:
    """Return the model to train, its training sequences, and the held-out ones or None.

    folder: for temporary files of text and tokens.
    """
    options, language = job.options, job.task.language
    models = ("vectors", "model", "vocabulary")
    sources = [path for name, path in job.reads.items() if name not in models]
    train, test = folder / "train.txt", folder / "held_out.txt"
    gather_text(
        sources,
        job.task,
        options.held_out,
        train,
        test,
        lambda source: read_corpora([source], language, options.split_sentences),
        job.reads.get("train"),
    )
    if "model" in job.reads:
        loaded = job.load("model", masked_lm=True)
    else:
        loaded = new_bert(job, train, folder)
    initial_weights.extend_positions(loaded.model, options.max_seq_length)
    say(f"teacher: splitting {', '.join(path.name for path in sources)} into word pieces")

    def sequences(text: Path) -> Examples | None:
        if not text.stat().st_size:
            return None
        corpus = TokenisedCorpus.build(text, loaded.tokenizer, folder, language=language)
        length, short = options.max_seq_length, options.short_seq_prob
        return packed(corpus, loaded.tokenizer, length, short, job.session.seed)

    return loaded, sequences(train), sequences(test)


def work(job: Job) -> dict:
    options, folder, seed = job.options, job.folder, job.session.seed
    with scratch(folder) as place:
        loaded, examples, held_out = model_and_text(job, place)
    model, tokenizer = loaded.model, loaded.tokenizer
    parameters = sum(p.numel() for p in model.parameters())
    say(
        f"teacher: {parameters / 1e6:.1f} M parameters, {len(examples)} sequences, "
        f"{len(examples.ids)} tokens per epoch"
    )
    save_model_folder(model, tokenizer, folder)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = options.dropout
    measured = {}
    if held_out:
        held_out, batch_size = Masked(held_out, tokenizer, 0.15, seed), options.eval_batch_size
        evaluate = partial(masked_lm_scores, held_out=held_out, batch_size=batch_size)
        measured = {"evaluate": evaluate, "metric": "accuracy"}
    batches = Batches(
        lambda epoch: Masked(examples, tokenizer, options.masked_lm_prob, seed, epoch),
        options.train_batch_size,
        seed,
        rows=lambda epoch: len(examples),
    )
    metrics = job.train(model, MaskedLm(), batches, "pre-training the teacher", **measured)
    if options.half:
        save_safetensors(model, folder, torch.half)
    else:
        save_weights(model, folder)
    return {**metrics, "parameters": parameters}


def reads_of(ws, texts=(), model=None, vectors=None, vocabulary=None) -> dict[str, Path]:
    """Return what pre-training reads: given texts, or the workspace's training rows and corpora.

    model: a BERT to continue from, with its vocabulary; None makes a new BERT.
    """
    sources = {f"text {number}": path for number, path in enumerate(texts, 1)} or {
        "train": ws.data_file("train"),
        **numbered("corpus", ws.corpora),
    }
    if model:
        return {**sources, "model": model}
    start = {"vectors": vectors or ws.vectors, "vocabulary": vocabulary}
    return {**sources, **{name: path for name, path in start.items() if path}}


STAGE = Stage(
    "pretrain",
    "teacher, pre-trained on the corpus",
    reads=reads_of,
    folder=lambda ws: ws.grown_teacher,
    writes=MODEL_FILES,
    work=work,
    skip_reason=lambda ws: (
        "" if ws.teacher.path == ws.grown_teacher else f"there is a teacher: {ws.teacher.name}"
    ),
)
run = STAGE.run
