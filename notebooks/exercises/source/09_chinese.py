# %% [markdown]
# # Exercises 09 · Chinese
#
# From words to characters and back, and what to hide. These go with the lesson [09 · Chinese](../09_chinese.ipynb), and need neither
# a model nor a run, nor the segmenter: its words are given. You need not read Chinese either.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import random

# %% [markdown]
# ## 9.1 · What continues a word
#
# *warm-up · 5 minutes · difficulty ●○○ · importance ●●○*
#
# BERT's pieces of Chinese text are characters, and nothing in 酒 and 店 says that they are one word, 酒店, *hotel*. So mark it: given the
# words of a sentence, say for each character whether it continues the word before it (True), or begins one (False).

# %% [solution continues]
def continues(words: list[str]) -> list[bool]:
    """For each character of the words, in order, whether it continues a word."""
    ### BEGIN SOLUTION
    return [place > 0 for word in words for place in range(len(word))]
    ### END SOLUTION

# %% [check continues: 1 point]
from tinybert_lite.classroom import check_chinese

check_chinese.continues(continues)
### BEGIN HIDDEN TESTS
check_chinese.continues(continues, seed=1)
### END HIDDEN TESTS

# %% [wrong: one flag per character, not per word]
def continues(words):
    return [len(word) > 1 for word in words]

# %% [wrong: True marks a character that continues a word, not one that begins it]
def continues(words):
    return [place == 0 for word in words for place in range(len(word))]

# %% [wrong: the first character of a word is False]
def continues(words):
    return [len(word) > 1 for word in words for _ in word]

# %% [wrong: every character after the first is True]
def continues(words):
    return [0 < place == len(word) - 1 for word in words for place in range(len(word))]

# %% [markdown]
# <details><summary>Hint</summary>
#
# Within a word only the character at place 0 begins it: go through the words, and through the places of each.
# </details>
#
# <details><summary>Why it matters</summary>
#
# It is all that whole-word masking needs to know of Chinese. In English the `##` of a piece says the same.
# </details>

# %% [markdown]
# ## 9.2 · Words as a text again
#
# *core · 10 minutes · difficulty ●●○ · importance ●○○*
#
# Augmentation replaces some words and writes the others down again, as a text. Chinese words stand side by side. But reviews of computers hold
# Latin words and numbers too, and `windows` `10` must not become `windows10`. So put one blank between two words if the last character of the first and
# the first character of the second both are letters or digits (`isalnum()`) that are not Chinese (below `"\u2e80"`), and nowhere else.

# %% [solution joined]
def joined(words: list[str]) -> str:
    """The words as a text."""
    ### BEGIN SOLUTION
    def latin(character):
        return character.isalnum() and character < "\u2e80"

    text = ""
    for word in words:
        text += f" {word}" if text and latin(text[-1]) and latin(word[0]) else word
    return text
    ### END SOLUTION

# %% [check joined: 2 points]
from tinybert_lite.classroom import check_chinese

check_chinese.joined(joined)
### BEGIN HIDDEN TESTS
check_chinese.joined(joined, seed=1)
### END HIDDEN TESTS

# %% [wrong: no space between Chinese words]
def joined(words):
    return " ".join(words)

# %% [wrong: two Latin words need a space between them]
def joined(words):
    return "".join(words)

# %% [wrong: no space between a Chinese and a Latin word]
def joined(words):
    text = ""
    for word in words:
        text += f" {word}" if text and word[0].isascii() and word[0].isalnum() else word
    return text

# %% [wrong: no space beside punctuation]
def joined(words):
    text = ""
    for word in words:
        text += f" {word}" if text and text[-1].isascii() and word[0].isascii() else word
    return text

# %% [wrong: a number and its neighbour need a space between them]
def joined(words):
    text = ""
    for word in words:
        text += f" {word}" if text and text[-1].isascii() and text[-1].isalpha() and word[0].isascii() and word[0].isalpha() else word
    return text

# %% [wrong: no space at either end]
def joined(words):
    text = ""
    for word in words:
        text += f"{word} " if word.isascii() and word.isalnum() else word
    return text + " "

# %% [wrong: no word is lost, added or moved]
def joined(words):
    return "".join(word for word in words if not word.isascii())

# %% [markdown]
# <details><summary>Hint</summary>
#
# Grow the text word by word, and before each word look at `text[-1]` and `word[0]`. A Chinese character is a letter for `isalnum()`
# as well, so ask for both properties.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Nobody writes blanks between Chinese words, and a model that reads them has met a mark that says nothing. Here BERT's tokenizer
# would drop them, but the file of augmented rows is read by people too.
# </details>

# %% [markdown]
# ## 9.3 · Hide words, not halves
#
# *stretch · 15 minutes · difficulty ●●● · importance ●●●*
#
# Hide at most `most` characters of a sentence, word by word: of a word all characters become `[MASK]`, or none. Take the words in random order. One that has more characters
# than may still be hidden is skipped, and a shorter one behind it may still fit. Punctuation, a word for which `isalpha()` is False, stays.

# %% [solution mask_words]
def mask_words(words: list[str], most: int, rng: random.Random) -> list[str]:
    """The characters of the words, those of some words replaced by [MASK]."""
    ### BEGIN SOLUTION
    order, hidden = list(range(len(words))), set()
    rng.shuffle(order)
    for i in order:
        if words[i].isalpha() and len(words[i]) <= most:
            hidden.add(i)
            most -= len(words[i])
    return ["[MASK]" if i in hidden else character for i, word in enumerate(words) for character in word]
    ### END SOLUTION

# %% [check mask_words: 3 points]
from tinybert_lite.classroom import check_chinese

check_chinese.mask_words(mask_words)
### BEGIN HIDDEN TESTS
check_chinese.mask_words(mask_words, seed=1)
### END HIDDEN TESTS

# %% [wrong: a word is masked whole or not at all]
def mask_words(words, most, rng):
    text = "".join(words)
    places = [i for i, character in enumerate(text) if character.isalpha()]
    hidden = rng.sample(places, most)
    return ["[MASK]" if i in hidden else character for i, character in enumerate(text)]

# %% [wrong: each character keeps its place]
def mask_words(words, most, rng):
    order, hidden = list(range(len(words))), set()
    rng.shuffle(order)
    for i in order:
        if words[i].isalpha() and len(words[i]) <= most:
            hidden.add(i)
            most -= len(words[i])
    return ["[MASK]" if i in hidden else word for i, word in enumerate(words)]

# %% [wrong: too many characters are masked]
def mask_words(words, most, rng):
    order, hidden, count = [i for i, word in enumerate(words) if word.isalpha()], set(), 0
    rng.shuffle(order)
    for i in order:
        if count < most:
            hidden.add(i)
            count += len(words[i])
    return ["[MASK]" if i in hidden else character for i, word in enumerate(words) for character in word]

# %% [wrong: punctuation is never masked]
def mask_words(words, most, rng):
    order, hidden = list(range(len(words))), set()
    rng.shuffle(order)
    for i in order:
        if len(words[i]) <= most:
            hidden.add(i)
            most -= len(words[i])
    return ["[MASK]" if i in hidden else character for i, word in enumerate(words) for character in word]

# %% [wrong: a word that is too long is skipped, and a shorter one still tried]
def mask_words(words, most, rng):
    order, hidden = [i for i, word in enumerate(words) if word.isalpha()], set()
    rng.shuffle(order)
    for i in order:
        if len(words[i]) > most:
            break
        hidden.add(i)
        most -= len(words[i])
    return ["[MASK]" if i in hidden else character for i, word in enumerate(words) for character in word]

# %% [wrong: every word can be masked]
def mask_words(words, most, rng):
    hidden = set()
    for i, word in enumerate(words):
        if word.isalpha() and len(word) <= most:
            hidden.add(i)
            most -= len(word)
    return ["[MASK]" if i in hidden else character for i, word in enumerate(words) for character in word]

# %% [wrong: characters that are not masked are unchanged]
def mask_words(words, most, rng):
    order, hidden = [i for i, word in enumerate(words) if word.isalpha()], set()
    rng.shuffle(order)
    for i in order:
        if len(words[i]) <= most:
            hidden.add(i)
            most -= len(words[i])
    return ["[MASK]" if i in hidden else "的" for i, word in enumerate(words) for character in word]

# %% [markdown]
# <details><summary>Hint</summary>
#
# Shuffle the *numbers* of the words, `order = list(range(len(words)))`, collect those to hide in a set, and let `most` shrink. Write the characters down at the end.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Of a word of two characters, the one that is left often gives away the one that is hidden. Hide both, and the sentence has to be read.
# </details>
