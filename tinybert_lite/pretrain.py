"""Pre-training a teacher from plain text: a vocabulary, then masked LM with whole-word masking (Devlin et al. 2019).

    python -m tinybert_lite.pretrain --text reviews.txt.xz brown.txt --output_dir my_bert --hidden_size 256 --vocab_size 8000

goes on where it was cut when called again. `--model_dir BERT` continues from a BERT's weights and vocabulary;
`--vocab_file` takes a vocabulary instead of learning one; `--language zh` hides the words of Chinese text whole. The shipped
teacher_model/classroom was made so; `run_all --teacher_model grow` makes a small one from the text at hand, as a lesson.
Unlike BERT's own: no next-sentence prediction, a new mask in every epoch, word embeddings that start from word vectors, positions from waves.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig

from tinybert_lite.cli import picked, run_settings, say_no_effect, training_parser
from tinybert_lite.data.batches import Batches
from tinybert_lite.data.corpus import TokenisedCorpus, gather_text, read_documents
from tinybert_lite.data.masked import Masked, packed
from tinybert_lite.data.tasks import find_task
from tinybert_lite.data.tokens import build_vocabulary, load_tokenizer
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.files import save_safetensors, save_weights
from tinybert_lite.engine.objectives import MaskedLm
from tinybert_lite.engine.train import Loop
from tinybert_lite.evaluate import masked_lm_scores
from tinybert_lite.foreign.corpora import given_sources, numbered, read_corpora
from tinybert_lite.models import LoadedBert, load_bert, local_folder, save_model_folder
from tinybert_lite.outputs import scratch
from tinybert_lite.runtime import command, say
from tinybert_lite.settings import Pretraining, Settings
from tinybert_lite.stage import MODEL_FILES, Session, Stage, StageResult
from tinybert_lite.workspace import Workspace


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


def start_from_waves(model: Bert, scale: float = 0.04, longest: float = 1000.0) -> None:
    """Position embeddings (P, D) begin as sines and cosines (Vaswani et al. 2017), so that neighbours are alike before anything is learnt.

    From random ones a small BERT stays for long where it guesses by frequency alone (dev/LOG.md has the figures).
    """
    table = model.bert.embeddings.position_embeddings.weight.data
    positions, width = table.shape
    waves = torch.arange(positions)[:, None] * torch.exp(-math.log(longest) * torch.arange(0, width, 2) / width)
    table[:, 0::2], table[:, 1::2] = scale * torch.sin(waves), scale * torch.cos(waves[:, :width // 2])


def new_bert(text: Path, vectors: Path | None, options: Pretraining, folder: Path, tokenizer=None, language: str = "en") -> LoadedBert:
    """A BERT of random weights, for this tokenizer or a vocabulary learnt from the text."""
    if tokenizer is None:
        build_vocabulary((line for document in read_documents(text) for line in document), options.vocab_size, folder / "vocab.txt", language)
        tokenizer = load_tokenizer(folder / "vocab.txt", lower_case=True)
    model = Bert(BertConfig(
        vocab_size=len(tokenizer), hidden_size=options.hidden_size, num_hidden_layers=options.num_hidden_layers,
        num_attention_heads=options.num_attention_heads, intermediate_size=4 * options.hidden_size,
        max_position_embeddings=options.max_seq_length, classifier_head="huggingface"), masked_lm=True)
    start_from_waves(model)
    known = start_from_vectors(model, tokenizer, WordVectors.read(vectors)) if vectors else 0
    say(f"teacher: {options.num_hidden_layers} layers of width {options.hidden_size}, {len(tokenizer)} word pieces, {known} of them from word vectors")
    return LoadedBert(model, tokenizer, folder, [])


def extend_positions(model: Bert, positions: int) -> None:
    """Give a model that has fewer so many positions, by repeating those it knows (as Longformer did, Beltagy et al. 2020).

    New ones drawn at random would first have to be learnt: what reads them guesses no better than before pre-training.
    """
    embeddings, known = model.bert.embeddings, model.config.max_position_embeddings
    if positions > known:
        table = embeddings.position_embeddings.weight.data
        embeddings.position_embeddings = nn.Embedding.from_pretrained(table.repeat(-(-positions // known), 1)[:positions], freeze=False)
        embeddings.register_buffer("position_ids", torch.arange(positions)[None], persistent=False)
        embeddings.register_buffer("token_type_ids", torch.zeros(1, positions, dtype=torch.long), persistent=False)
        model.config.max_position_embeddings = positions


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options: Pretraining = settings.pretrain
    sources = [path for name, path in reads.items() if name not in ("vectors", "model", "vocabulary")]
    length, language = options.max_seq_length, settings.task.language
    with scratch(folder) as place:
        train, test = place / "train.txt", place / "held_out.txt"
        gather_text(sources, settings.task, options.held_out, train, test, lambda source: read_corpora([source], language, options.split_sentences))
        given = load_tokenizer(reads["vocabulary"], settings.lower_case) if "vocabulary" in reads else None
        bert = (load_bert(reads["model"], settings.lower_case, masked_lm=True) if "model" in reads
                else new_bert(train, reads.get("vectors"), options, place, given, language))
        extend_positions(bert.model, length)
        say(f"teacher: cutting {', '.join(path.name for path in sources)} into word pieces")
        examples, held = (packed(TokenisedCorpus.build(text, bert.tokenizer, place, language=language), bert.tokenizer, length, options.short_seq_prob, session.seed)
                          if text.stat().st_size else None for text in (train, test))
    model, parameters = bert.model, sum(p.numel() for p in bert.model.parameters())
    say(f"teacher: {parameters / 1e6:.1f} M parameters, {len(examples)} sequences, {len(examples.ids)} tokens an epoch")
    save_model_folder(model, bert.tokenizer, folder)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = options.dropout
    kept = Masked(held, bert.tokenizer, 0.15, session.seed) if held else None
    trained = Loop(
        model, MaskedLm(), Batches(lambda epoch: Masked(examples, bert.tokenizer, options.masked_lm_prob, session.seed, epoch), options.train_batch_size,
                                   session.seed, rows=lambda epoch: len(examples)),
        options, session.accelerator(), folder, identity=session.identity, label="pre-training the teacher", say=say,
        evaluate=(lambda model: masked_lm_scores(model, kept, options.eval_batch_size)) if kept else None, metric="accuracy",
    ).run()
    save_safetensors(model, folder, torch.half) if options.half else save_weights(model, folder)
    return {"steps": trained.steps, "resumed_from": trained.resumed_from, "parameters": parameters, "loss_terms": trained.last_terms}


def reads(ws: Workspace) -> dict[str, Path]:
    return {"train": ws.data_file("train"), **numbered("corpus", ws.corpora), "vectors": ws.vectors}


STAGE = Stage(
    "pretrain", "teacher, grown from the text at hand", reads=reads, folder=lambda ws: ws.grown_teacher,
    writes=MODEL_FILES, work=work,
    needless=lambda ws: "" if ws.teacher == ws.grown_teacher else f"there is one: {ws.teacher.name}",
)


def run(workspace: Workspace, settings: Settings, force: bool = False) -> StageResult:
    """Grow the workspace's teacher from the text at hand, where it has none."""
    return STAGE.run(workspace, settings, force)


@command
def main(argv: list[str]) -> None:
    parser = training_parser("pretrain", __doc__, learning_rate=1e-3, eval_step=500, save_every=200, eval_step_help="steps between two measurements on held-out text")
    add, fields = parser.add_argument, Pretraining()
    add("--text", required=True, nargs="+", help="files, folders or patterns of any of the kinds in docs/corpora.md, or a task's .tsv")
    add("--split_sentences", action="store_true", help="lines of plain text are paragraphs")
    add("--output_dir", required=True, type=Path)
    add("--model_dir", help="continue from this BERT: folder or hub name")
    add("--vocab_file", type=Path, help="a vocabulary, such as bert-base-chinese's (default: learnt from the text)")
    add("--vectors", type=Path, default=None, help="word vectors that word embeddings start from (default: the shipped ones)")
    add("--task_name", default="SST-2", help="whose columns a .tsv has")
    add("--language", choices=("en", "zh"), help="zh: Chinese (default: the task's)")
    add("--max_steps", type=int, default=0, help="optimizer steps at most")
    add("--half", action="store_true", help="write the weights in half precision")
    for name in ("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads", "masked_lm_prob", "short_seq_prob", "dropout", "held_out"):
        default = getattr(fields, name)
        add(f"--{name}", type=type(default), default=default)
    args = parser.parse_args(argv)
    sizes = ("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads", "vectors", "vocab_file") if args.model_dir else ()
    say_no_effect(argv, {"--do_eval": "pre-training measures on --held_out documents",
                         **({"--vocab_size": f"{args.vocab_file} has its own"} if args.vocab_file else {}),
                         **{f"--{name}": f"{args.model_dir} has its own" for name in sizes}})
    task = find_task(args.task_name)
    task = replace(task, language=args.language or task.language)
    sources = {f"text {number}": path for number, path in enumerate((path for name in args.text for path in given_sources([name])), 1)}
    start = {"model": local_folder(args.model_dir)} if args.model_dir else {"vectors": args.vectors or Workspace(Workspace.find().root, task).vectors}
    if args.vocab_file and not args.model_dir:
        start["vocabulary"] = args.vocab_file
    settings = run_settings(args, task, pretrain=picked(args, Pretraining))
    STAGE.execute({**sources, **start}, args.output_dir, settings)


if __name__ == "__main__":
    raise SystemExit(main())
