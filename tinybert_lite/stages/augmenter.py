"""The augmenter of stage 1 (paper, Algorithm 1), and the description that workers make it from."""

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.stop_words import STOP_WORDS
from tinybert_lite.data.tokens import encode, joiner, whole_words, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method import augmentation
from tinybert_lite.method.augmentation import Candidates, Place, is_word
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.settings import Augmenting
from tinybert_lite.training.frozen import prepare_linears


class Augmenter:
    """Find candidates for the words of many texts in few forward passes, and make variants."""

    def __init__(
        self,
        model,
        tokenizer,
        vectors: WordVectors,
        settings: Augmenting,
        device: str = "cpu",
        precision: str = "no",
        language: str = "en",
        reading=None,
        packed: bool = False,
    ):
        """reading: the tokenizer that splits texts into words, if it is not the model's own.

        precision, packed: see `prepare_linears`; the model can then compute in this way only."""
        self.reading = reading or tokenizer
        self.model = model and prepare_linears(model.eval().to(device), precision, packed)
        self.tokenizer, self.vectors = tokenizer, vectors
        self.settings, self.device, self.language = settings, device, language
        self.bf16 = precision == "bf16"
        self.join = joiner(self.reading, language)
        found = whole_words(tokenizer, language).items()
        usable = {i: word for i, word in found if self.may_stand_in(word)}
        # The candidates of a masked word, and their ids.
        self.usable = [*usable.values()]
        self.usable_ids = torch.tensor([*usable], dtype=torch.long, device=device)
        self.single_pieces = set(self.usable) if model else set()

    def words(self, text: str) -> list[str]:
        """Split a text into words, see `data.tokens.words`."""
        return words(self.reading, text, self.language)

    def may_stand_in(self, word: str) -> bool:
        """Whether a word may be a candidate: made of letters, and no Chinese function word.

        Function words fit nearly anywhere in Chinese and would replace better candidates.
        """
        return is_word(word) and not (self.language == "zh" and word in STOP_WORDS["zh"])

    def eligible(self, text_words: list[str]) -> list[int]:
        """List the indices of the words that may be replaced: made of letters, no stop words."""
        stop_words = STOP_WORDS.get(self.language, ())
        return [
            i
            for i, word in enumerate(text_words)
            if is_word(word) and word.lower() not in stop_words
        ]

    def candidates(self, texts: list[list[str]]) -> list[Candidates]:
        """Return for each text, a list of words, its eligible words' candidates: index -> words.

        Words without candidates are left out; with N = 0 there are none."""
        if not self.settings.N:
            return [{} for _ in texts]
        return augmentation.find_candidates(
            texts,
            self.eligible,
            self.single_pieces,
            lambda places: self._by_masked_lm(texts, places),
            lambda places: self._by_vectors(texts, places),
        )

    def _by_vectors(self, texts: list[list[str]], places: list[Place]) -> list[list[str]]:
        """Return the M nearest words for the word at each place; none if it has no vector."""
        words = [texts[t][place].lower() for t, place in places]
        near = self.vectors.neighbours(words, self.settings.M)
        return [[word for word in near.get(own, []) if self.may_stand_in(word)] for own in words]

    @torch.inference_mode()
    def _by_masked_lm(self, texts: list[list[str]], places: list[Place]) -> list[list[str]]:
        """Return the M most probable words for each place, which is masked in a copy of its text.

        context="original" (its older name is "pair"): the unmasked text is the second segment, as
        in the original code, so that the model can see the masked word.
        """
        found: list[list[str]] = [[] for _ in places]
        mask, read = self.tokenizer.mask_token, [self._read_part(text) for text in texts]
        seen = [(i, t, place) for i, (t, place) in enumerate(places) if place < len(read[t])]
        masked = [
            self.join([*read[t][:place], mask, *read[t][place + 1 :]]) for _, t, place in seen
        ]
        original = self.settings.context in ("original", "pair")
        whole = [self.join(read[t]) for _, t, _ in seen] if original else None
        # One more than M, since the word itself may be among them.
        k = min(self.settings.M + 1, len(self.usable))
        if not seen:
            return found
        examples = encode(masked, whole, self.tokenizer, self.settings.max_seq_length)
        for rows, batch in in_order(examples, self.settings.batch_size, similar=0.9):
            at = batch["input_ids"] == self.tokenizer.mask_token_id
            at &= at.cumsum(1) == 1  # a text may contain the word [MASK]: use the first one only
            kept = at.any(1).numpy()  # in a long text the masked place may be truncated
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
                scores = self.model(batch, masked_lm=at.to(self.device)).masked_lm
                scores = scores[:, self.usable_ids]
            for row, best in zip(rows[kept].tolist(), scores.topk(k, dim=-1).indices.tolist()):
                number, t, place = seen[row]
                options = dict.fromkeys(self.usable[i] for i in best)
                others = [word for word in options if word != texts[t][place]]
                found[number] = others[: self.settings.M]
        return found

    def _read_part(self, text: list[str]) -> list[str]:
        """Drop the words at the end that are beyond the model's longest input."""
        most = min(self.settings.max_seq_length, self.tokenizer.model_max_length)
        count = most  # a word has a token or more, but in Chinese a token may be two characters
        while count < len(text) and len(self.tokenizer.tokenize(self.join(text[:count]))) < most:
            count *= 2
        return text[:count]

    def variants(
        self, text_words: list[str], candidates: Candidates, rng: random.Random
    ) -> list[str]:
        """Make at most N different new texts, see `method.augmentation.draw_variants`."""
        return augmentation.draw_variants(
            text_words, candidates, rng, self.settings.N, self.settings.p, self.join
        )


@dataclass(frozen=True)
class Parts:
    """What an augmenter is made of, so that worker processes can make the same one."""

    folder: Path  # of the model
    vectors: Path
    options: Augmenting
    device: str
    precision: str
    packed: bool
    threads: int
    language: str
    lower_case: bool | None = None
    vocabulary: Path | None = None  # that splits texts into words, if not the model's own
    identity: str = ""  # of the contents of these files

    def augmenter(self) -> Augmenter:
        """Load them. Raises UserError, see `load_with_tokenizer` and `WordVectors.read`."""
        folder = ModelFolder(self.folder)
        if folder.has_masked_lm and self.options.N:
            found = load_with_tokenizer(folder, self.lower_case, masked_lm=True)
            model, tokenizer = found.model, found.tokenizer
        else:
            model, tokenizer = None, folder.tokenizer(self.lower_case)
        return Augmenter(
            model,
            tokenizer,
            WordVectors.read(self.vectors),
            self.options,
            self.device,
            self.precision,
            self.language,
            self.vocabulary and load_tokenizer(self.vocabulary, self.lower_case),
            self.packed,
        )


@lru_cache(maxsize=1)
def loaded(parts: Parts) -> Augmenter:
    """Return an augmenter that is made once per process."""
    return parts.augmenter()


forget_loaded = loaded.cache_clear
