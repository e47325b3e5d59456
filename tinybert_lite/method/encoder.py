"""An encoder of any family whose one call gives hidden states, attention scores and logits.

Section 2.1, Eqs. 3 and 4. The model is the whole Auto model of transformers, called as it is; its
attention is `attention.scores_attention`. `models.families` lists the tested families.
"""

import inspect
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from tinybert_lite.method.attention import SCORES_ATTENTION, Scores
from tinybert_lite.method.auto_models import max_tokens_of, new_auto, output_layer_name


@dataclass
class Encoding:
    """The results of one forward pass."""

    hidden: list[Tensor]  # (B, L, D) each: of the embeddings (0) and of each layer that ran
    scores: dict[int, Tensor] = field(default_factory=dict)  # A: layer -> (B, H, L, L)
    projected: list[Tensor] | None = None  # H^S W_h of a student, (B, L, teacher's D), 0 … M
    logits: Tensor | None = None  # z: (B, K)
    masked_lm: Tensor | None = None  # (P, V) at the P chosen positions


class Encoder(nn.Module):
    """A transformers model with the projections that distillation needs.

    `auto` is the family's model: with a classifier of K = `num_labels` classes, with a masked-LM
    head, or the encoder alone. The projections W_h and W_e to `teacher_width` are ours:
    projection="per_layer" (the paper) has fit_denses.i.*, one for the embeddings and one for each
    layer; projection="original" (or the older word "shared") has fit_dense.*, one for all. Both
    have a bias, as in the original code; the paper's W_h and W_e have none.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        num_labels: int = 0,
        masked_lm: bool = False,
        projection: str | None = None,
        teacher_width: int = 0,
        auto: PreTrainedModel | None = None,
    ):
        """auto: a loaded model; without it one is made from `config`, with random weights."""
        super().__init__()
        self.auto = auto or new_auto(config, num_labels, masked_lm)
        self.config = config = self.auto.config
        self.fit_dense = self.fit_denses = None
        if projection in ("original", "shared"):
            self.fit_dense = nn.Linear(config.hidden_size, teacher_width)
        elif projection == "per_layer":
            self.fit_denses = nn.ModuleList(
                nn.Linear(config.hidden_size, teacher_width) for _ in range(self.layers + 1)
            )
        for module in filter(None, (self.fit_dense, self.fit_denses)):
            module.apply(self._initialise)
        body = self.body
        given = inspect.signature(body.forward).parameters
        # Whether the model distinguishes two segments.
        types = getattr(config, "type_vocab_size", 0) or 0
        self.has_segments = "token_type_ids" in given and types > 1
        # The name of the list of layers in the body, "" if there is no such list.
        lists = (name for name, part in body.named_modules() if isinstance(part, nn.ModuleList))
        names = (name for name in lists if len(body.get_submodule(name)) == self.layers)
        self._stack = next((name for name in names if name.endswith(("layer", "layers"))), "")
        inside = (self._stack, "embeddings", "pooler")
        self._norm_follows = self._stack != "" and any(
            "norm" in type(part).__name__.lower() and not name.startswith(inside)
            for name, part in body.named_modules()
        )

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=getattr(self.config, "initializer_range", 0.02))
            nn.init.zeros_(module.bias)

    @property
    def body(self) -> PreTrainedModel:
        """The encoder without heads, as AutoModel makes it."""
        return self.auto.base_model

    @property
    def layers(self) -> int:
        return self.config.num_hidden_layers

    @property
    def has_scores(self) -> bool:
        """Whether the family's attention scores can be stored; its hidden states always are."""
        return self.config._attn_implementation == SCORES_ATTENTION

    @property
    def has_masked_lm(self) -> bool:
        return type(self.auto).__name__.endswith("ForMaskedLM")

    @property
    def output_layer(self) -> nn.Linear | None:
        """The last layer of the classifier, with K outputs; None without a classifier."""
        if not type(self.auto).__name__.endswith("ForSequenceClassification"):
            return None
        return self.auto.get_submodule(output_layer_name(self.auto))

    @property
    def max_tokens(self) -> int:
        """The maximum of tokens in a row, see `max_tokens_of`."""
        return max_tokens_of(self.body)

    def file_name(self, name: str) -> str:
        """Return a parameter's name in model files: that in the family's models with a head."""
        if not name.startswith("auto."):
            return name
        name, prefix = name.removeprefix("auto."), self.auto.base_model_prefix
        return f"{prefix}.{name}" if self.auto is self.body else name

    def forward(
        self,
        batch: dict[str, Tensor],
        *,
        scores: Collection[int] = (),
        logits: bool = False,
        masked_lm: Tensor | None = None,
        last_layer: int | None = None,
    ) -> Encoding:
        """Encode a batch of input_ids, attention_mask and token_type_ids, (B, L) each.

        The batch may also say whether the mask has zeros ("padded", bool), as the training loop's.
        scores: the layers whose attention scores are wanted · logits: run the classifier ·
        masked_lm: bool (B, L), True at the P positions to predict · last_layer: run no layer above
        it; 0 returns the embeddings only.
        """
        wanted = Scores(scores)
        inputs = {**self.inputs(batch), "output_hidden_states": True}
        if self.has_scores:
            inputs["scores"] = wanted
        model = self.auto if logits or masked_lm is not None else self.body
        with self._layers_up_to(last_layer), self._head_reads(masked_lm):
            found = model(**inputs)
        hidden = list(found.hidden_states)[: None if last_layer is None else last_layer + 1]
        encoding = Encoding(hidden, dict(wanted))
        if self.fit_dense is not None:
            encoding.projected = [self.fit_dense(h) for h in hidden]
        elif self.fit_denses is not None:
            encoding.projected = [fit(h) for fit, h in zip(self.fit_denses, hidden)]
        if logits:
            encoding.logits = found.logits
        if masked_lm is not None:
            encoding.masked_lm = found.logits[0]
        return encoding

    def inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor | None]:
        """Return the family's inputs: its own padding id, and segments only if it has them."""
        ids, mask = batch["input_ids"], batch["attention_mask"]
        padded = batch.get("padded")
        if padded is None:  # on a GPU this question waits for everything that runs there
            padded = not (mask.is_meta or mask.all())
        if padded and (pad := self.config.pad_token_id):
            ids = ids.masked_fill(mask == 0, pad)
        inputs = {"input_ids": ids, "attention_mask": mask if padded else None}
        if self.has_segments:
            inputs["token_type_ids"] = batch["token_type_ids"]
        return inputs

    @contextmanager
    def _layers_up_to(self, last: int | None) -> Iterator[None]:
        """Leave out the layers above `last`; keep one more if a norm follows the last layer.

        That norm would change the state of layer `last`. A family whose layers are not in one list,
        such as ALBERT, runs all of them.
        """
        kept = self.layers if last is None else max(1, last + self._norm_follows)
        if not self._stack or kept >= self.layers:
            yield
            return
        parent, _, name = self._stack.rpartition(".")
        parent = self.body.get_submodule(parent)
        stack = getattr(parent, name)
        setattr(parent, name, stack[:kept])
        try:
            yield
        finally:
            setattr(parent, name, stack)

    @contextmanager
    def _head_reads(self, places: Tensor | None) -> Iterator[None]:
        """Pass the masked-LM head the last states at `places` only, (B, L, D) → (1, P, D)."""
        if places is None:
            yield
            return

        def choose(module, inputs, output):
            output.last_hidden_state = output.last_hidden_state[places][None]
            return output

        hook = self.body.register_forward_hook(choose)
        try:
            yield
        finally:
            hook.remove()
