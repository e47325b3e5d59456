# %% [markdown]
# # 09 · Chinese
#
# **Claim: Chinese BERT reads characters, but augmentation should replace words, and masking should mask words.** Chinese is written without spaces
# between words. The stages are the same as for English; only augmentation and masking need to know where words begin. Here you see what happens without
# this knowledge.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · **09 Chinese** · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | cut | a sentence into characters as BERT does, and into words as a segmenter does |
# | work out | which of two segmentations of a sentence is more probable |
# | compare | replacing and masking characters with replacing and masking words |
# | run | all stages on Chinese reviews, and predict new sentences with the student |
#
# About 3 minutes. Reads `ChnSentiCorp/`, and the sub-folders `zh/` of `teacher_model/` and `1_pre_data/`; writes sub-folders called `zh` or
# `ChnSentiCorp`; your earlier results are left unchanged. You need not read Chinese: what matters is translated. If no font on your computer has
# Chinese characters, pictures show □ and a note.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import random
from collections import Counter

import numpy as np
import pandas as pd

from tinybert_lite import run_all, undistilled

workspace, settings = lessons.setup(task="ChnSentiCorp")

# %% [markdown]
# The task's name, `ChnSentiCorp` (taken from a well-known collection of reviews), is the only setting: it determines the language, and the language
# determines the folders. If no teacher is missing, the next cell prints nothing.

# %%
lessons.ensure(workspace, settings, "data_augmentation")

# %% [markdown]
# ## Characters are the pieces
#
# 这家酒店不便宜，但是床很舒服。 *This hotel is not cheap, but the bed is comfortable.* These are ten words, comma and full stop included. Into how many pieces does
# the teacher's tokenizer split them?

# %%
lessons.predict("pieces", "How many word pieces has the sentence?", "pieces")

# %% [markdown]
# Without spaces a whole clause would be one word, which is in no vocabulary. So BERT's tokenizer first puts a space before and after every Chinese
# character. Latin script does not change: `wifi` remains one word.

# %%
from tinybert_lite.data.tokens import words
from tinybert_lite.models.tokenizers import load_tokenizer


def parted(text):
    blanks = (f" {c} " if "\u4e00" <= c <= "\u9fff" or not c.isalnum() else c for c in text)
    return "".join(blanks).lower().split()


tokenizer = load_tokenizer(workspace.vocabulary)
text = "这家酒店不便宜，但是床很舒服。"
assert parted("房间有WiFi，信号好。") == words(tokenizer, "房间有WiFi，信号好。")
assert parted(text) == tokenizer.tokenize(text)
lessons.reveal("pieces", len(parted(text)))
" ".join(tokenizer.tokenize(text))

# %% [markdown]
# A few thousand characters are enough for nearly every text. But while a rare English word is split into smaller pieces, down to its letters, a
# character has no smaller pieces. A character that is not in the vocabulary becomes `[UNK]`, *unknown*, and all unknown characters are the same for the
# model. Here 膝 of 膝盖, *knee*, is lost. How often does that happen?

# %%
from tinybert_lite.data.tables import read_table

reviews = {
    split: read_table(workspace.data_file(split), workspace.task).rows
    for split in ("train", "dev", "test")
}
found = Counter(piece for row in reviews["test"] for piece in tokenizer.tokenize(row.text_a))
print(" ".join(tokenizer.tokenize("桌子没有膝盖高。")))
pd.Series(
    {
        "pieces in the vocabulary": len(tokenizer),
        "pieces in the test reviews": found.total(),
        "of them unknown": found["[UNK]"],
    }
).to_frame("characters")

# %% [markdown]
# ## Words without spaces
#
# A **segmenter** finds them, with a dictionary that says how frequent each word is. Take 研究生命起源, *to study the origin of life*: 研究 is *to study*, 生命
# *life*, 起源 *origin*. But 研究生 is *a graduate student*, and 命 alone is *fate*. If the longest word is taken first, the result is *graduate student,
# fate, origin*. It is better to take the segmentation with the largest product of word probabilities. With the probabilities below:
# $0.04 \cdot 0.03 \cdot 0.02 = 24 \cdot 10^{-6}$ against $0.01 \cdot 0.01 \cdot 0.02 = 2 \cdot 10^{-6}$, twelve times as much.

# %%
from tinybert_lite.data.chinese import segment

shares = {"研究": 0.04, "研究生": 0.01, "生": 0.01, "生命": 0.03, "命": 0.01, "起源": 0.02}


def reading(text):
    """The most probable one: (its probability, its words)."""
    if not text:
        return 1.0, []
    readings = [(0.0, [])]
    for word in filter(text.startswith, shares):
        probability, rest = reading(text[len(word) :])
        readings.append((shares[word] * probability, [word, *rest]))
    return max(readings)


assert abs(reading("研究生命起源")[0] - 24e-6) < 1e-12
assert reading("研究生命起源")[1] == segment("研究生命起源")

# %% [markdown]
# For segmentation the package uses a small optional package, `rjieba`, whose dictionary has about 350,000 words. It is needed for Chinese text only.
# Without it, a stage stops with this message:

# %%
import sys
from unittest.mock import patch

from tinybert_lite.system.errors import UserError

with patch.dict(sys.modules, rjieba=None):  # as if it were not installed
    try:
        segment(text)
    except UserError as error:
        print(error)

# %% [markdown]
# The same sentence as pieces and as words, in two alternating colours. Whatever the segmentation is, the words joined together are the text again.

# %%
assert "".join(segment(text)) == text


def colour(turn, word):
    return ("word", "next word")[turn % 2] if word.isalpha() else ""


rows = [
    [(c, colour(turn, word)) for turn, word in enumerate(segment(text)) for c in word],
    [(word, colour(turn, word)) for turn, word in enumerate(segment(text))],
]
colours = {"word": plots.TEACHER, "next word": plots.STUDENT}
plots.word_rows(rows, ["characters", "words"], colours)

# %% [markdown]
# **What you should see.** Fifteen characters, ten words with comma and full stop: 这家 *this*, 酒店 *hotel*, 不 *not*, 便宜 *cheap*, 但是 *but*, 床 *bed*, 很
# *very*, 舒服 *comfortable*. Most words have one character or two. A segmenter makes mistakes: in *the ping-pong bats* (乒乓球拍) *are sold out* (卖完了) it
# finds an *auction*, 拍卖. This has little effect, since the model still reads characters: words are needed only for replacing and masking.

# %%
" / ".join(segment("乒乓球拍卖完了"))

# %% [markdown]
# ## Augmentation replaces words
#
# As in notebook 01: a word that is *one* piece, here one character, is masked, and the teacher's masked language model proposes others. The candidates
# for a word of several characters are its nearest neighbours among word vectors (`1_pre_data/zh/`). Function words such as 不 are not replaced.

# %%
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.stages.data_augmentation import Augmenter
from tinybert_lite.models.loading import load_with_tokenizer

teacher, vectors = (
    load_with_tokenizer(workspace.teacher, masked_lm=True),
    WordVectors.read(workspace.vectors),
)
parts = teacher.model, tokenizer, vectors, settings.data_augmentation
by_word = Augmenter(*parts, language="zh")
(candidates,) = by_word.candidates([by_word.words(text)])
source = plots.sources(by_word, by_word.words(text))
pd.DataFrame(
    [(segment(text)[i], source[i], ", ".join(found[:6])) for i, found in candidates.items()],
    columns=["word", "source", "first candidates"],
)

# %% [markdown]
# Without segmentation each character is treated as a word and replaced on its own. Of a word of two characters, one is then kept and the other
# predicted.

# %%
by_character = Augmenter(*parts, language="en")  # for which blanks and characters part words
variants = [("original", segment(text), segment(text))]
for name, augmenter in {"by character": by_character, "by word": by_word}.items():
    old = augmenter.words(text)
    (found,) = augmenter.candidates([old])
    for seed in range(2):
        rng = random.Random(seed)
        new = [
            rng.choice(found[i]) if i in found and rng.random() < 0.4 else old[i]
            for i in range(len(old))
        ]
        variants.append((name, old, new))
plots.word_rows(
    [[(b, "replaced" if a != b else "") for a, b in zip(old, new)] for _, old, new in variants],
    [name for name, *_ in variants],
    plots.REPLACED,
)

# %% [markdown]
# By word a variant consists of words, although it does not always make sense. By character it often does not consist of words, and 不, *not*, is
# replaced like any other character. How often is the result still a word? Take the words of two characters in some reviews, replace one character by
# one of its candidates, each with the same probability as for a variant, and look the result up in the list of the word vectors.

# %%
texts = [row.text_a for row in reviews["dev"][:20]]
guesses = by_character.candidates([by_character.words(text) for text in texts])
rng, made = random.Random(0), []
for one, found in zip(texts, guesses):
    place = 0
    for word in by_word.words(one):
        if len(word) == 2 and word in vectors.place:
            made += [rng.choice(found[place]) + word[1]] if place in found else []
            made += [word[0] + rng.choice(found[place + 1])] if place + 1 in found else []
        place += len(tokenizer.tokenize(word))
kept = np.mean([word in vectors.place for word in made])
print(f"{len(made)} halves replaced, {100 * kept:.0f} % of the results are words of the list")

# %% [markdown]
# By word it would be all of them, since the candidates come from that list.

# %% [markdown]
# ## Masking words
#
# To learn the language, a model predicts masked characters. 15 % of the characters are masked, so of a word of two characters usually only one. How
# well can it be predicted from the other? We can measure this without a model. Take the words of two characters in 100 documents, and store for each
# first character the most frequent second one. With this table, predict the second characters of the words in other documents.

# %%
lessons.predict("half", "How many of 100 second characters does the table guess?", "of 100")

# %% [markdown]
# For comparison, a prediction that does not use the first character: always the most frequent second character.

# %%
from tinybert_lite.data.corpus import read_documents


def of_two(documents):
    found = (word for document in documents for line in document for word in segment(line))
    return [word for word in found if len(word) == 2 and word.isalpha()]


documents = list(read_documents(workspace.corpus))
seen, others, second = of_two(documents[:100]), of_two(documents[100:]), {}
for word, _ in Counter(seen).most_common():
    second.setdefault(word[0], word[1])
commonest = Counter(word[1] for word in seen).most_common(1)[0][0]
half = np.mean([second.get(word[0]) == word[1] for word in others])
blind = np.mean([word[1] == commonest for word in others])
lessons.reveal("half", 100 * half)
pd.Series({"first half visible": half, "nothing visible": blind}).round(3).to_frame("guessed")

# %% [markdown]
# A simple table predicts that many. If a model can predict masked characters in this way, it need not use the sentence. So **whole-word masking** masks
# the characters of a word together or not at all. For that, stage 2 has to know which characters continue a word. It adds a mark, which no text can
# contain, to these characters when it tokenises, and removes the mark when it writes the sequences. The next cell adds the mark by hand and compares
# the result with the package's:

# %%
import tempfile
from pathlib import Path

from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.method.masking import INNER, mask_tokens


def marked(text):
    return [
        INNER * (i > 0) + piece
        for word in segment(text)
        for i, piece in enumerate(tokenizer.tokenize(word))
    ]


with tempfile.TemporaryDirectory() as folder:
    corpus = TokenisedCorpus.build(workspace.corpus, tokenizer, Path(folder), language="zh")
    pieces = corpus.pieces()
    lines = [[pieces[t] for t in corpus.sentence(i)] for i in range(100)]
assert [marked(line) for document in documents for line in document][:100] == lines

# %% [markdown]
# Now mask those hundred sentences a few times, and count the words of several characters with a masked character: how many of them are only partly
# masked?


# %%
def half_visible(whole_words, draws=20):
    rng, hit, half = random.Random(0), 0, 0
    for tokens in lines * draws:
        _, places, _ = mask_tokens(tokens, rng, 0.15, 20, whole_words, ["书"])
        starts = [i for i, token in enumerate(tokens) if not token.startswith(INNER)]
        for start, end in zip(starts, [*starts[1:], len(tokens)]):
            hidden = sum(start <= place < end for place in places)
            hit += end - start > 1 and hidden > 0
            half += 0 < hidden < end - start
    return half / hit


halves = {"by character": half_visible(False), "by word": half_visible(True)}
assert halves["by word"] == 0
pd.Series(halves).round(2).to_frame("words hit that stay half-visible")

# %% [markdown]
# ## One setting to change
#
# The same sentence, masked by character and by word. Move the seed and the share (`probability`), and look for 酒店, *hotel*, and 舒服, *comfortable*:
# without *whole words* one character often remains visible. For the stage, write
# `settings.override(["pregenerate_training_data.do_whole_word_mask=true"])`. (The share shown below the draws is larger than the one you set, because
# it is a share of the pieces that may be chosen.)

# %%
widgets.masking_viewer(["[CLS]", *marked(text), "[SEP]"], pieces=["书", "月"], probability=0.3)

# %% [markdown]
# ## All stages on Chinese reviews
#
# 640 short reviews of hotels, books, computers and phones, half of them positive (1), written for this course. The teacher has four layers of width 192
# and was pre-trained on a little Chinese text; the student has two layers. In a terminal:
# `python -m tinybert_lite.run_all --task ChnSentiCorp --baseline`. Two settings are changed: stage 2 masks whole words, and the teacher is trained for
# ten epochs, since with so few rows an epoch has few steps. An undistilled student is trained for comparison.

# %%
lessons.predict("margin", "student minus undistilled student, in points of test accuracy")

# %% [markdown]
# This takes most of the three minutes. The dev score is printed during training:

# %%
settings = settings.override(
    [
        "pregenerate_training_data.do_whole_word_mask=true",
        "finetune_teacher.num_train_epochs=10",
    ]
)
stages = [*run_all.needed(workspace, "report"), undistilled.STAGE]
results = {stage.title: stage.run(workspace, settings) for stage in stages}
pd.Series({name: result.skipped or "ran" for name, result in results.items()}).to_frame(
    "ChnSentiCorp"
)

# %% [markdown]
# ## Results
#
# The next cell defines a function for the accuracy on both sets, the agreement with the teacher on test, and the cost.

# %%
from scipy.special import softmax

from tinybert_lite.models.cost import parameters_by_block
from tinybert_lite.data.tokens import encode
from tinybert_lite.stages.evaluation import predict

folders = {
    "teacher": workspace.task_teacher,
    "student": workspace.final_student,
    "undistilled": workspace.baseline,
}
models = {name: load_with_tokenizer(folder).model for name, folder in folders.items()}


def positive(texts):
    """Probability that a review is positive: a row a text, a column a model."""
    rows = encode(texts, None, tokenizer, settings.task_distill_out.max_seq_length)
    return pd.DataFrame(
        {name: softmax(predict(model, rows), 1)[:, 1] for name, model in models.items()}
    )


# %% [markdown]
# The table. The best step of each model was chosen on dev; the test set was not used for any choice.

# %%
table = pd.DataFrame(index=list(models))
for split in ("dev", "test"):
    says = positive([row.text_a for row in reviews[split]]) > 0.5
    gold = np.array([row.label == "1" for row in reviews[split]])
    table[split] = says.eq(gold, axis=0).mean()
table["as the teacher"] = says.eq(says["teacher"], axis=0).mean()
table["parameters, millions"] = [
    sum(parameters_by_block(model).values()) / 1e6 for model in models.values()
]
lessons.reveal("margin", 100 * (table["test"]["student"] - table["test"]["undistilled"]))
table.round(3)

# %% [markdown]
# **What you should see.** The teacher is well above the 50 % of chance, the student is near the teacher with a fraction of the parameters, and the
# undistilled student is below both on test. On dev the undistilled student may look as good as the others: its score is the best of fifteen dev
# evaluations. On 160 reviews one standard error is nearly 3 points, so look at the order of the models and not at the decimals. In the smoke profile
# all of them are at chance level.

# %% [markdown]
# ## New sentences, and the word *not*
#
# 不 and 没 (*not*) reverse the meaning of a sentence, and each is a single character. Here are pairs of sentences that are in neither set.

# %%
asked = {
    "床很舒服。": "The bed is comfortable.",
    "床不舒服。": "The bed is not comfortable.",
    "房间不大，可是很干净。": "The room is not large, but clean.",
    "房间很大，可是不干净。": "The room is large, but not clean.",
    "买了一点也不后悔。": "I don't regret buying it at all.",
    "真后悔买了它。": "I really regret buying it.",
    "没有什么不满意的地方。": "There is nothing to be dissatisfied with.",
    "没有什么满意的地方。": "There is nothing to be satisfied with.",
}
answered = positive(list(asked)).round(2)
answered.insert(0, "in English", list(asked.values()))
answered.set_axis(list(asked))

# %% [markdown]
# **What you should see.** If both probabilities of a pair are on the same side of one half, the negation has no effect on the prediction; this is so in
# every pair. The models are right on most reviews because of single words such as *comfortable* or *regret*; they have not learnt the effect of 不
# before such a word from 640 reviews. The student makes the same mistakes as its teacher, with the same certainty, since it learns the teacher's
# predictions, right or wrong. Another loss does not help; a teacher that was pre-trained on more text does, or rows with negations.

# %% [markdown]
# ## A full run in Chinese
#
# | you want | you do |
# |---|---|
# | a real teacher | put the files of `bert-base-chinese` into `teacher_model/zh/`: 12 layers, so the student becomes TinyBERT with 4 layers of width 312 |
# | real reviews | `--task ChnSentiCorp --data_dir path/to/ChnSentiCorp`, where `train.tsv`, `dev.tsv` and `test.tsv` have the columns `label` and `text_a` |
# | pairs of sentences | `--task XNLI-zh --data_dir path/to/XNLI`, with the files as they were published |
# | rows of your own | `python -m tinybert_lite.own_data` with `--language zh` |
# | more text for stages 2 and 3 | put it into `1_pre_data/zh/documents.txt`, and word vectors beside it, as `glove*.txt` with the words that a segmenter finds |
# | a teacher made from your text | `python -m tinybert_lite.pretrain --language zh --text FILE … --output_dir DIR`; `--vocab_file` takes a vocabulary, `--model_dir` continues the training of a BERT |
# | stage 2 alone | `python -m tinybert_lite.pregenerate_training_data --language zh --do_whole_word_mask` with `--train_corpus`, `--bert_model` and `--output_dir` |
#
# Then `python -m tinybert_lite.run_all --task ChnSentiCorp --profile paper` runs the paper's settings in Chinese.

# %% [markdown]
# ## Summary
#
# BERT reads Chinese character by character, and distillation itself (attention scores, hidden states, predictions) is the same as for English. Words
# matter for replacing and masking: a word with one character replaced is often not a word, and one masked character of a word is often easy to predict.
# A segmenter finds the words; everything else follows from the language of the task.
#
# **Exercises:** [three exercises](exercises/09_chinese.ipynb).
#
# **Next:** a real BERT in `teacher_model/zh/`, and reviews, messages or pairs of your own.
