"""python example.py "a text" "another one": each text's label and its probability. Needs onnxruntime, tokenizers and numpy, nothing else."""
import json
import sys

import numpy as np
import onnxruntime
import tokenizers

folder, texts = sys.path[0], sys.argv[1:]
with open(f"{folder}/labels.json", encoding="utf-8") as file:
    said = json.load(file)
tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")  # cuts to the model's length and pads
session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
if said.get("pair"):  # texts come in twos
    texts = list(zip(texts[::2], texts[1::2]))
rows = tokenizer.encode_batch(texts)
batch = {"input_ids": [row.ids for row in rows], "attention_mask": [row.attention_mask for row in rows], "token_type_ids": [row.type_ids for row in rows]}
logits = session.run(None, {name: np.array(numbers, np.int64) for name, numbers in batch.items()})[0]
for text, row in zip(texts, logits.astype(float)):
    if said["labels"]:
        probabilities = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        print(said["labels"][row.argmax()], f"{probabilities.max():.4f}", text, sep="\t")
    else:  # a number, in the labels' unit
        print(f"{row[0] * said['scale'] + said['offset']:.6g}", text, sep="\t")
