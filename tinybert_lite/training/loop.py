"""The one training loop: teacher growing and fine-tuning, general and task distillation all hand it an objective."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.losses import Sizes
from tinybert_lite.method.quantization import follow_ranges
from tinybert_lite.system.command import stop_requests
from tinybert_lite.system.console import progress
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import HISTORY
from tinybert_lite.training.history import History, read_history, stuck
from tinybert_lite.training.saved_states import Checkpoints
from tinybert_lite.training.schedule import schedule


@dataclass
class Trained:
    steps: int
    seconds: float
    resumed_from: int = 0
    best_score: float | None = None
    last_terms: dict[str, float] = field(default_factory=dict)


@dataclass
class Loop:
    """Train `model` on `batches` towards `objective`.

    evaluate(model) → the dev scores, the one named `metric` decides; on_best(model, scores) is called whenever it is
    the highest yet, whatever its sign, and at least once. on_epoch(model, n) after each epoch. `folder` takes
    history.jsonl and saved states: a run with the same `identity` goes on from the newest. Ctrl-C saves one and stops.
    `finished`: the model is good as it is, so that nothing is amiss where its loss does not fall.
    """

    model: Bert
    objective: Callable
    batches: object
    settings: object
    accelerator: Accelerator
    folder: Path | None = None
    identity: str = ""
    label: str = "training"
    evaluate: Callable | None = None
    metric: str = ""
    on_best: Callable | None = None
    on_epoch: Callable | None = None
    finished: bool = False
    say: Callable = print
    _done: int = 0
    _best: float | None = None
    _terms: dict = field(default_factory=dict)
    _history: History = None

    def run(self) -> Trained:
        settings, accelerator = self.settings, self.accelerator
        started, resumed_from = time.perf_counter(), self._prepare()
        total, epoch_starts = self._steps()
        self._total = total
        if resumed_from:
            self.say(f"{self.label}: going on from saved step {resumed_from} of {total}")
        self._network.train()
        bar = progress(None, self.label, total)
        bar.update(self._done)
        said = time.perf_counter()
        with stop_requests() as stop_requested:
            for epoch, at_end, rows, (share, parts) in self._remaining(epoch_starts):
                self._terms = self._step(share, parts, rows)
                bar.update(1)
                every = settings.logging_step
                if (
                    (self._done % every == 0)
                    if every
                    else (bar.disable and time.perf_counter() - said > 10)
                ):
                    said = time.perf_counter()
                    self.say(
                        f"{self.label}: step {self._done} of {total}, loss {sum(self._terms.values()):.4f}"
                    )
                if at_end and self.on_epoch and accelerator.is_main_process:
                    self.on_epoch(self.model, epoch + 1)
                if self.evaluate and (
                    at_end or settings.eval_step and self._done % settings.eval_step == 0
                ):
                    self._evaluate(epoch + 1)
                if settings.save_every and (
                    self._done % settings.save_every == 0 or self._done == total
                ):
                    self._save()
                if self._any(stop_requested()):
                    self._save()
                    self.say(
                        f"{self.label}: stopped after step {self._done} of {total}; the same command or cell goes on from there"
                    )
                    raise KeyboardInterrupt
        bar.close()
        if found := stuck(
            read_history(self.folder / HISTORY) if self._writes and not self.finished else []
        ):
            self.say(
                f"warning: {self.label}: {found}; the learning rate ({settings.learning_rate:g}) may be too low or too high, or what it reads is not what it should be"
            )
        accelerator.wait_for_everyone()
        return Trained(
            self._done,
            time.perf_counter() - started,
            resumed_from,
            self._best,
            {name: float(value) for name, value in self._terms.items()},
        )

    def _remaining(self, epoch_starts: list[int]) -> Iterator[tuple]:
        """The steps from here on: epoch, whether it ends with this step, the batch's rows, and what `_parts` makes of them."""
        for epoch, start in enumerate(epoch_starts):
            end = min(
                self._total,
                epoch_starts[epoch + 1] if epoch + 1 < len(epoch_starts) else self._total,
            )
            if self._done < end:
                examples, batches = self.batches.epoch(epoch)
                here = batches[self._done - start : end - start]
                for number, (rows, parts) in enumerate(
                    ahead((rows, self._parts(examples, rows)) for rows in here), 1
                ):
                    yield epoch, number == len(here), rows, parts

    def _any(self, here: bool) -> bool:
        """Whether it is so in any process: all have to stop after the same step."""
        if self.accelerator.num_processes == 1:
            return here
        return bool(
            self.accelerator.reduce(
                torch.tensor(float(here), device=self.accelerator.device), "sum"
            )
        )

    def _steps(self) -> tuple[int, list[int]]:
        """All optimizer steps, and the step each epoch starts at."""
        epochs, starts, total = self.settings.num_train_epochs, [], 0
        for epoch in range(math.ceil(epochs)):
            starts.append(total)
            total += math.ceil(self.batches.steps(epoch) * min(1, epochs - epoch))
        return min(total, self.settings.max_steps or total), starts

    def _prepare(self) -> int:
        s, device = self.settings, self.accelerator.device
        self.model.to(device)
        if getattr(self.objective, "teacher", None) is not None:
            self.objective.teacher.to(device)
        self._optimizer = torch.optim.AdamW(
            _decay_groups(self.model, s.weight_decay),
            lr=s.learning_rate,
            eps=1e-6,
            fused=device.type in ("cpu", "cuda"),
        )
        self._checkpoints = self.folder and Checkpoints(self.folder, s.keep_last, self.say)
        state = self._checkpoints.newest(self.identity) if self.folder else None
        if state:
            self.model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._done, self._best, self._terms = state["step"], state["best"], state["terms"]
            if self._scaler and state["scaler"]:
                self._scaler.load_state_dict(state["scaler"])
        self._network, self._optimizer = self.accelerator.prepare(self.model, self._optimizer)
        self._history = History(
            self.folder / HISTORY if self._writes else None, state["lines"] if state else 0
        )
        if state:
            torch.set_rng_state(state["rng"])
            if device.type == "cuda":
                torch.cuda.set_rng_state_all(state["cuda_rng"])
        if self.accelerator.num_processes > 1:  # each draws a dropout of its own
            torch.manual_seed(
                torch.initial_seed() + 1000 * self._done + self.accelerator.process_index
            )
        return self._done

    @property
    def _writes(self) -> bool:
        return self.folder is not None and self.accelerator.is_main_process

    @property
    def _scaler(self):
        """Of the loss, in fp16 alone, whose small gradients would else become 0: doubled now and then, halved after an overflow."""
        return self.accelerator.scaler

    def _save(self) -> None:
        if not self._writes:
            return
        cuda = torch.cuda.get_rng_state_all() if self.accelerator.device.type == "cuda" else []
        self._checkpoints.save(
            self._done,
            {
                "identity": self.identity,
                "step": self._done,
                "best": self._best,
                "lines": self._history.lines,
                "terms": self._terms,
                "model": self.model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "rng": torch.get_rng_state(),
                "cuda_rng": cuda,
                "scaler": self._scaler.state_dict() if self._scaler else None,
            },
        )

    def _parts(self, examples, rows) -> tuple[float, list[dict[str, torch.Tensor]]]:
        """This process's rows of a global batch in `gradient_accumulation_steps` parts, and their weight: 0 where there are
        more processes than rows, and one takes part with a row of another's."""
        mine = rows[self.accelerator.process_index :: self.accelerator.num_processes]
        share = 1.0 if len(mine) else 0.0
        mine = mine if len(mine) else rows[:1]
        parts = max(1, min(self.settings.gradient_accumulation_steps, len(mine)))
        return share, [examples.batch(mine[i::parts]) for i in range(parts)]

    def _step(
        self, share: float, batches: list[dict[str, torch.Tensor]], rows
    ) -> dict[str, torch.Tensor]:
        """One optimizer step on one global batch: all parts, over all processes."""
        accelerator, s, total = self.accelerator, self.settings, self._total
        # Counted before they are on the device, where counting would wait for it.
        sizes = self._global_sizes(
            sum((self.objective.sizes(b) for b in batches if share), Sizes(0, 0, 0))
        )
        for group in self._optimizer.param_groups:
            group["lr"] = s.learning_rate * schedule(s, self._done, total)
        sums: dict[str, torch.Tensor] = {}
        for i, batch in enumerate(map(self._on_device, batches)):
            with (
                accelerator.autocast(),
                _sync_last(accelerator, self._network, i == len(batches) - 1),
            ):
                terms = {
                    name: value * share
                    for name, value in self.objective(self._network, batch, sizes).items()
                }
                # Processes average their gradients; the sizes are global already, so undo the mean.
                accelerator.backward(sum(terms.values()) * accelerator.num_processes)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach()
        sums = {name: accelerator.reduce(value, "sum") for name, value in sums.items()}
        norm = accelerator.clip_grad_norm_(self._network.parameters(), s.max_grad_norm)
        loss, norm = torch.stack(
            (sum(sums.values()).float(), norm.float())
        ).tolist()  # the one wait for the device
        overflow = (
            self._scaler is not None and math.isfinite(loss) and self._scaler.get_scale() > 1
        )  # then the optimizer skips the step
        if not math.isfinite(loss + norm) and not overflow:
            raise UserError(self._diverged(loss, norm, rows))
        self._optimizer.step()
        follow_ranges(self.model)
        self._optimizer.zero_grad(set_to_none=True)
        self._done += 1
        every = max(1, total // 200)
        if self._done % every == 0 or self._done in (1, total):
            self._history.add(
                step=self._done,
                lr=self._optimizer.param_groups[0]["lr"],
                loss=loss,
                **({"grad_norm": norm} if math.isfinite(norm) else {}),
                **{name: float(value) for name, value in sums.items()},
            )
        return sums

    def _diverged(self, loss: float, norm: float, rows) -> str:
        saved = self._checkpoints.files() if self.folder else []
        kept = f"the last good state is {saved[0].name}" if saved else "no state was saved before"
        what = (
            f"the loss became {loss}"
            if not math.isfinite(loss)
            else f"the gradient's length became {norm}"
        )
        return (
            f"{self.label}: {what} at step {self._done + 1}, on rows {', '.join(map(str, sorted(rows)[:5]))}{' …' if len(rows) > 5 else ''} "
            f"(from 0); {kept}; lower the learning rate ({self.settings.learning_rate:g}) or look at these rows"
        )

    def _on_device(self, batch: dict) -> dict:
        return {
            name: value.to(self.accelerator.device, non_blocking=True)
            for name, value in batch.items()
        }

    def _global_sizes(self, sizes: Sizes) -> Sizes:
        if self.accelerator.num_processes == 1:
            return sizes
        return Sizes(
            *self.accelerator.reduce(sizes.tensor(self.accelerator.device), "sum").tolist()
        )

    def _evaluate(self, epoch: int) -> None:
        rng = torch.get_rng_state()
        scores = self.evaluate(self.model)
        torch.set_rng_state(rng)
        self._network.train()
        self._history.add(step=self._done, epoch=epoch, dev=scores)
        self.say(
            f"{self.label}: step {self._done} of {self._total}, dev "
            + ", ".join(f"{k} {v:.4f}" for k, v in scores.items())
        )
        if self._best is None or scores[self.metric] > self._best:
            self._best = scores[self.metric]
            if self.on_best and self.accelerator.is_main_process:
                self.on_best(self.model, scores)


def ahead(items: Iterator, most: int = 2) -> Iterator:
    """The same items, made in the background while earlier ones are in use."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(most))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item


def _sync_last(accelerator, network, last: bool):
    """Processes exchange gradients once a step, after its last part."""
    import contextlib

    return contextlib.nullcontext() if last else accelerator.no_sync(network)


def _decay_groups(model: Bert, weight_decay: float) -> list[dict]:
    """Weight decay for matrices; not for biases and LayerNorm, which are the vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
