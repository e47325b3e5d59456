"""A small teacher grown without a model hub, into `teacher_model/classroom/`.

A vocabulary is learnt, the word embeddings start from the word vectors, then masked LM on the text at hand.

    python -m tinybert_lite.run_all --only grow_teacher

It serves where no pre-trained BERT is at hand. It knows little: a real one teaches more.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import torch
from transformers import BertConfig

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.corpus import read_documents
from tinybert_lite.data.tasks import find_task, read_table
from tinybert_lite.data.tokens import SPECIAL_TOKENS, load_tokenizer
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.files import save_weights, weights_file
from tinybert_lite.engine.objectives import MaskedLm
from tinybert_lite.engine.train import Loop
from tinybert_lite.models import save_model_folder
from tinybert_lite.pregenerate_training_data import pregenerate, read_epoch
from tinybert_lite.runtime import say
from tinybert_lite.settings import Growing, Pregenerating, Settings
from tinybert_lite.stage import MODEL_FILES, Session, Stage, StageResult, stage_of
from tinybert_lite.workspace import Workspace


def build_vocabulary(text, size: int, path: Path) -> None:
    """Learn an uncased WordPiece vocabulary from lines of text; the same text gives the same bytes."""
    from tokenizers import BertWordPieceTokenizer

    learner = BertWordPieceTokenizer(lowercase=True)
    lines = [learner.normalizer.normalize_str(line) for line in text]
    letters = sorted(letter for letter, _ in Counter(c for line in lines for c in line if not c.isspace()).most_common(200))
    # The trainer would number the inner letters (##a, ##b, …) in the order of a hash, another one in each run.
    learner.train_from_iterator(lines, vocab_size=size, min_frequency=2, limit_alphabet=200, show_progress=False,
                                special_tokens=[*SPECIAL_TOKENS, *(f"##{letter}" for letter in letters)])
    pieces = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    path.write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8", newline="\n")


def gather_text(sources: list[Path], rows: list[str], target: Path, together: int = 8) -> None:
    """Write documents of `sources` and the task's training sentences (as documents of `together`) into one corpus."""
    with open(target, "w", encoding="utf-8", newline="\n") as file:
        for source in sources:
            file.writelines("\n".join(document) + "\n\n" for document in read_documents(source))
        file.writelines("\n".join(rows[start:start + together]) + "\n\n" for start in range(0, len(rows), together))


def lines_of(path: Path):
    for document in read_documents(path):
        yield from document


def start_from_vectors(model: Bert, tokenizer, vectors: WordVectors, scale: float = 0.04) -> int:
    """Begin with what the word vectors know: turn each known word's vector (d) into its embedding (D) by one random
    orthonormal map, which keeps cosines. Returns how many word pieces were found."""
    embeddings = model.bert.embeddings.word_embeddings.weight.data
    width, d = embeddings.shape[1], vectors.matrix.shape[1]
    if d > width:
        return 0
    turn = torch.linalg.qr(torch.randn(width, d))[0].T * scale * width**0.5
    known = [(i, vectors.place[piece]) for piece, i in tokenizer.get_vocab().items() if piece in vectors.place]
    pieces, rows = zip(*known) if known else ((), ())
    embeddings[list(pieces)] = torch.from_numpy(vectors.matrix[list(rows)]) @ turn
    return len(known)


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options: Growing = settings.grow_teacher
    task = find_task(settings.task)
    rows = [text for row in read_table(reads["train"], task).rows for text in (row.text_a, row.text_b) if text]
    say("teacher: no pre-trained BERT is at hand, so a small one is grown from the text here (masked LM); it will know little")
    with tempfile.TemporaryDirectory(dir=folder, prefix="grow-", ignore_cleanup_errors=True) as scratch:
        text, vocabulary = Path(scratch) / "text.txt", Path(scratch) / "vocab.txt"
        gather_text([reads["corpus"]], rows, text)
        build_vocabulary(lines_of(text), options.vocab_size, vocabulary)
        tokenizer = load_tokenizer(vocabulary, lower_case=True)
        # Each epoch masks anew. One segment a sequence: this teacher learns no next-sentence prediction.
        epochs = max(1, min(int(options.num_train_epochs + 0.999), 10))
        sequences = Pregenerating(epochs_to_generate=epochs, max_seq_len=options.max_seq_length, one_seq=True,
                                  masked_lm_prob=options.masked_lm_prob, do_whole_word_mask=True,
                                  max_predictions_per_seq=options.max_seq_length)
        counts = pregenerate(text, vocabulary, Path(scratch), sequences, session.seed, lower_case=True)
        model = Bert(BertConfig(
            vocab_size=len(tokenizer), hidden_size=options.hidden_size, num_hidden_layers=options.num_hidden_layers,
            num_attention_heads=options.num_attention_heads, intermediate_size=4 * options.hidden_size,
            max_position_embeddings=max(128, options.max_seq_length), classifier_head="huggingface"), masked_lm=True)
        known = start_from_vectors(model, tokenizer, WordVectors.read(reads["vectors"]))
        parameters = sum(p.numel() for p in model.parameters())
        say(f"teacher: {options.num_hidden_layers} layers of width {options.hidden_size}, {len(tokenizer)} word pieces ({known} start from word vectors), "
            f"{parameters / 1e6:.1f} M parameters, {counts[0]} sequences an epoch")
        batches = Batches(lambda epoch: read_epoch(Path(scratch), epoch, tokenizer, options.max_seq_length), options.train_batch_size,
                          session.seed, rows=lambda epoch: counts[epoch % len(counts)])
        save_model_folder(model, tokenizer, folder)
        trained = Loop(model, MaskedLm(), batches, options, session.accelerator(), folder, identity=session.identity,
                       label="growing the teacher", say=say).run()
    save_weights(model, folder)
    return {"steps": trained.steps, "resumed_from": trained.resumed_from, "parameters": parameters, "loss_terms": trained.last_terms}


def reads(ws: Workspace) -> dict[str, Path]:
    return {"train": ws.data_file("train"), "corpus": ws.corpus, "vectors": ws.vectors}


STAGE = Stage(
    "grow_teacher", "teacher, grown from the text at hand", reads=reads, folder=lambda ws: ws.grown_teacher,
    writes=MODEL_FILES, work=work,
    needless=lambda ws: "" if ws.teacher == ws.grown_teacher and (not weights_file(ws.teacher) or stage_of(ws.teacher) == "grow_teacher")
    else f"the teacher is {ws.teacher}",
)


def run(workspace: Workspace, settings: Settings, force: bool = False) -> StageResult:
    """Grow the workspace's teacher, where it has none, into `teacher_model/classroom/`."""
    return STAGE.run(workspace, settings, force)
