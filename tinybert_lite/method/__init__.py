"""The companion of the TinyBERT paper (Jiao et al. 2020, arXiv:1909.10351v5): one idea per file.

Read the files in this order:

1. `attention`      section 2.1, Eqs. 1 and 2: attention whose scores before the softmax can be read
   `encoder`        Eqs. 3 and 4: an encoder of any family whose one call gives hidden states,
                    scores and logits; `auto_models` makes it with transformers
2. `layer_mapping`  section 3.1: n = g(m), the teacher layer that student layer m learns from
3. `losses`         section 3.1, Eqs. 7 to 10: attention, hidden, embedding and prediction loss
4. `objectives`     section 3.1, Eqs. 5, 6 and 11: which losses a training step adds up
5. `initial_weights`  section 3.2, before general distillation: the weights of a new student
6. `sequences`, `masking`  section 3.2, general distillation: the training text, as BERT prepares it
7. `augmentation`   section 3.2, task-specific distillation: Algorithm 1, data augmentation
8. `quantization`   another paper, Q8BERT (Zafrir et al. 2019, arXiv:1910.06188): 8-bit weights

Symbols: B batch rows, L tokens, H heads, d_k width of a head, D width, K classes, V vocabulary,
M student layers, N teacher layers. Layers count from 1; 0 is the embedding output. "The original
code" is the public code of the paper's authors; a choice named "original" computes what it does.
No file here opens a path, prints, or reads a command line. docs/paper_map.md lists every equation
with its function, lesson and test.
"""
