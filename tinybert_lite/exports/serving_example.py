"""python example.py "a text" "another one": each text's label and its probability."""

import json
import sys

import numpy as np
import onnxruntime
import tokenizers  # nothing else is needed

folder, texts = sys.path[0], sys.argv[1:]
with open(f"{folder}/labels.json", encoding="utf-8") as file:
    said = json.load(file)
rows = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json").encode_batch(texts)
names = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
batch = {name: np.array([getattr(row, own) for row in rows]) for name, own in names.items()}
logits = onnxruntime.InferenceSession(f"{folder}/model.onnx").run(None, batch)[0]
shares = np.exp(logits - logits.max(1, keepdims=True))
for text, row in zip(texts, shares / shares.sum(1, keepdims=True)):
    print(said["labels"][row.argmax()], f"{row.max():.4f}", text, sep="\t")
