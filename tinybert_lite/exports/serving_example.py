"""python example.py "a text" "another one": each text's label and its probability. Needs onnxruntime, tokenizers and numpy, nothing else."""

import json
import sys

import numpy as np
import onnxruntime
import tokenizers

folder, texts = sys.path[0], sys.argv[1:]
said = json.load(open(f"{folder}/labels.json", encoding="utf-8"))
rows = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json").encode_batch(
    texts
)  # cut to the model's length, and padded
ids, mask, types = (
    np.array([getattr(row, name) for row in rows]) for name in ("ids", "attention_mask", "type_ids")
)
logits = onnxruntime.InferenceSession(f"{folder}/model.onnx").run(
    None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
)[0]
shares = np.exp(logits - logits.max(1, keepdims=True))
for text, row in zip(texts, shares / shares.sum(1, keepdims=True)):
    print(said["labels"][row.argmax()], f"{row.max():.4f}", text, sep="\t")
