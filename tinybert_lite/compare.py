"""Print the distillation losses of a student and a teacher on one batch, for debugging.

    python -m tinybert_lite.compare --teacher_model DIR --student_model DIR --batch FILE.npz \
        --padding reference

It needs no vocabulary. It prints one flat JSON object to standard output, and remarks to standard
error.
"""

import argparse
import json
from pathlib import Path

from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.loading import load_model
from tinybert_lite.pipeline.comparison import compare, read_batch
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.compare", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--teacher_model", required=True, help="model folder or hub name")
    add("--student_model", required=True, help="model folder or hub name")
    add(
        "--batch",
        required=True,
        type=Path,
        help=".npz with input_ids, attention_mask, token_type_ids",
    )
    add(
        "--padding",
        choices=("exact", "reference"),
        default="exact",
        help="losses over real positions (exact), or over padding too as in the original code",
    )
    add("--temperature", type=float, default=1.0, help="t of Eq. 10")
    add(
        "--mapping", default="uniform", help="g(m): uniform, top, bottom or a list such as 3,6,9,12"
    )
    add(
        "--heads",
        choices=("match", "average", "skip"),
        default="match",
        help="if the numbers of attention heads differ: report an error, average groups of "
        "heads, or skip the attention loss",
    )
    args = parser.parse_args(argv)
    if args.temperature <= 0:
        raise UserError(f"--temperature {args.temperature:g}: use a number above 0")
    teacher, student = (
        load_model(local_folder(name))[0] for name in (args.teacher_model, args.student_model)
    )
    vocab_size, others = student.config.vocab_size, teacher.config.vocab_size
    if vocab_size != others:
        raise UserError(
            f"the vocabulary of {args.student_model} has {vocab_size} entries and that of "
            f"{args.teacher_model} has {others}; compare models with the same vocabulary"
        )
    most = min(model.max_tokens for model in (teacher, student))
    batch = read_batch(args.batch, vocab_size, most)
    options = args.mapping, args.padding, args.heads, args.temperature
    print(json.dumps(compare(student, teacher, batch, *options)))


if __name__ == "__main__":
    raise SystemExit(main())
