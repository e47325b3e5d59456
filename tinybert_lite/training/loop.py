"""The one training loop: every stage that trains passes it a model, batches and an objective."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.losses import Sizes
from tinybert_lite.method.quantization import follow_ranges
from tinybert_lite.system import processes
from tinybert_lite.system.command import stop_requests
from tinybert_lite.system.console import progress
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import HISTORY
from tinybert_lite.training import saved_states
from tinybert_lite.training.frozen import prepare_linears
from tinybert_lite.training.history import History, read_history, stuck
from tinybert_lite.training.optimizer import make_optimizer
from tinybert_lite.training.prefetch import ahead, ready
from tinybert_lite.training.schedule import epoch_bounds, schedule

Batch = dict[str, torch.Tensor | bool]  # "padded" is a bool


@dataclass
class Trained:
    """The result of a run; `last_terms` are the loss terms of its last step."""

    steps: int
    resumed_from: int = 0
    best_score: float | None = None
    last_terms: dict[str, float] = field(default_factory=dict)


@dataclass
class Loop:
    """Train `model` on `batches` to minimize `objective`.

    `objective(model, batch, sizes)` returns the terms of the loss, scalars by name; `sizes`
    are the numbers of rows, tokens and pairs of the global batch. `evaluate(model)` returns the dev
    scores; `on_best(model, scores)` is called whenever the score named `metric` is the highest so
    far, `on_epoch(model, n)` after epoch n, from 1. `folder` contains history.jsonl and saved
    states: a run of the same `identity` resumes from the newest. Ctrl-C saves a state and stops.
    `finished`: the model was trained before, so a loss that does not decrease gives no warning.
    `packed`: the objective's teacher computes with packed weights, see `prepare_linears`.

    Raises UserError if the loss or the gradient is not finite, before the weights change.
    """

    model: Encoder
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
    packed: bool = False
    say: Callable = print
    _done: int = 0  # steps
    _best: float | None = None
    _terms: dict = field(default_factory=dict)

    def run(self) -> Trained:
        self._prepare()
        if resumed_from := self._done:
            self.say(f"{self.label}: resumes from saved step {resumed_from} of {self._total}")
        self._network.train()
        bar = progress(None, self.label, self._total)
        bar.update(self._done)
        self._said = time.perf_counter()
        with stop_requests() as stop_requested:
            for epoch, at_end, rows, (share, parts) in self._remaining():
                self._terms = self._step(share, parts, rows)
                bar.update(1)
                self._after_step(epoch, at_end, in_terminal=not bar.disable)
                # All processes have to stop after the same step.
                if any(processes.summed([stop_requested()], self.accelerator.device)):
                    self._save()
                    self.say(
                        f"{self.label}: stopped after step {self._done} of {self._total}; "
                        "the same command or cell resumes from there"
                    )
                    raise KeyboardInterrupt
        bar.close()
        if self._writes and not self.finished and (found := stuck(read_history(self._log.path))):
            self.say(
                f"warning: {self.label}: {found}; the learning rate "
                f"({self.settings.learning_rate:g}) may be too low or too high, or the data wrong"
            )
        self.accelerator.wait_for_everyone()
        terms = {name: float(value) for name, value in self._terms.items()}
        return Trained(self._done, resumed_from, self._best, terms)

    def _prepare(self) -> None:
        """Place everything on the device, load the newest saved state, and count the steps."""
        accelerator, device = self.accelerator, self.accelerator.device
        self.model.to(device)
        if getattr(self.objective, "teacher", None) is not None:
            teacher = self.objective.teacher.to(device)
            prepare_linears(teacher, accelerator.mixed_precision, self.packed)
        self._network, self._optimizer = accelerator.prepare(
            self.model, make_optimizer(self.model, self.settings, device)
        )
        self._checkpoints = saved_states.Checkpoints(self.folder, self.settings.keep_last, self.say)
        state = self._checkpoints.newest(self.identity)
        if state:
            saved_states.restore(state, self.model, self._optimizer, accelerator)
            self._done, self._best, self._terms = state["step"], state["best"], state["terms"]
        path = self.folder / HISTORY if self._writes else None
        self._log = History(path, state["lines"] if state else 0)
        if accelerator.num_processes > 1:  # each process has its own dropout
            seed = torch.initial_seed() + 1000 * self._done + accelerator.process_index
            torch.manual_seed(seed)
        self._bounds = epoch_bounds(self.settings, self.batches.steps)
        self._total = self._bounds[-1]

    @property
    def _writes(self) -> bool:
        return self.folder is not None and self.accelerator.is_main_process

    @property
    def _pins(self) -> bool:
        return self.accelerator.device.type == "cuda"

    def _remaining(self) -> Iterator[tuple]:
        """Yield the remaining steps: epoch (from 0), whether the step is the last of its epoch, the
        row numbers of the global batch, and `_parts` of them."""
        for epoch, (start, end) in enumerate(pairwise(self._bounds)):
            if self._done < end:
                examples, batches = self.batches.epoch(epoch)
                here = batches[self._done - start : end - start]
                made = ahead((rows, self._parts(examples, rows)) for rows in here)
                for number, (rows, parts) in enumerate(made, 1):
                    yield epoch, number == len(here), rows, parts

    def _parts(self, examples, rows) -> tuple[float, list[Batch]]:
        """Return a weight and this process's rows as `gradient_accumulation_steps` batches.

        The weight is 1; it is 0 if there are more processes than rows and this process has none of
        its own, so that it repeats a row of another process."""
        mine = rows[self.accelerator.process_index :: self.accelerator.num_processes]
        share = float(len(mine) > 0)
        mine = mine if share else rows[:1]
        parts = max(1, min(self.settings.gradient_accumulation_steps, len(mine)))
        return share, [ready(examples.batch(mine[i::parts]), self._pins) for i in range(parts)]

    def _step(self, share: float, parts: list[Batch], rows) -> dict[str, torch.Tensor]:
        """Make one optimizer step on a global batch; return the terms of its loss."""
        settings, accelerator = self.settings, self.accelerator
        rate = settings.learning_rate * schedule(settings, self._done, self._total)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        terms = self._gradients(share, parts)
        norm = accelerator.clip_grad_norm_(self._network.parameters(), settings.max_grad_norm)
        # The only place in a step that waits for the device.
        waited = (sum(terms.values()), norm, *terms.values())
        loss, norm, *parts_of_loss = torch.stack([value.float() for value in waited]).tolist()
        scaler = accelerator.scaler  # fp16: skips a step that overflows and halves its scale
        overflow = scaler is not None and math.isfinite(loss) and scaler.get_scale() > 1
        if not math.isfinite(loss + norm) and not overflow:
            raise UserError(self._diverged(loss, norm, rows))
        self._optimizer.step()
        follow_ranges(self.model)
        self._optimizer.zero_grad(set_to_none=True)
        self._done += 1
        if self._done % max(1, self._total // 200) == 0 or self._done in (1, self._total):
            self._log.add(
                step=self._done,
                lr=rate,
                loss=loss,
                **({"grad_norm": norm} if math.isfinite(norm) else {}),
                **dict(zip(terms, parts_of_loss)),
            )
        return terms

    def _gradients(self, share: float, parts: list[Batch]) -> dict[str, torch.Tensor]:
        """Run forward and backward on all parts; return the loss terms of all processes."""
        accelerator, terms = self.accelerator, {}
        # Counted before they are on the device, where counting would wait for it.
        sizes = sum((self.objective.sizes(part) for part in parts if share), Sizes(0, 0, 0))
        sizes = Sizes(*processes.summed(astuple(sizes), accelerator.device))
        for number, part in enumerate(parts, 1):
            batch = send_to_device(part, accelerator.device, non_blocking=True)
            # Processes exchange gradients once per step, after its last part.
            last = number == len(parts)
            sync = contextlib.nullcontext() if last else accelerator.no_sync(self._network)
            with accelerator.autocast(), sync:
                found = self.objective(self._network, batch, sizes)
                found = {name: value * share for name, value in found.items()}
                # Processes average their gradients; the sizes are global already: undo the mean.
                accelerator.backward(sum(found.values()) * accelerator.num_processes)
            for name, value in found.items():
                terms[name] = terms.get(name, 0) + value.detach()
        return {name: accelerator.reduce(value, "sum") for name, value in terms.items()}

    def _diverged(self, loss: float, norm: float, rows) -> str:
        saved = self._checkpoints.files()
        kept = f"the last saved state is {saved[0].name}" if saved else "no state was saved before"
        loss_is_finite = math.isfinite(loss)
        what = f"the gradient's norm became {norm}" if loss_is_finite else f"the loss became {loss}"
        named = ", ".join(map(str, sorted(rows)[:5])) + " …" * (len(rows) > 5)
        return (
            f"{self.label}: {what} at step {self._done + 1}, on rows {named} (from 0); {kept}; "
            f"lower the learning rate ({self.settings.learning_rate:g}) or check these rows"
        )

    def _after_step(self, epoch: int, at_end: bool, in_terminal: bool) -> None:
        """Print, evaluate and save if the settings ask for it after this step."""
        s, done = self.settings, self._done
        since = time.perf_counter() - self._said
        if done % s.logging_step == 0 if s.logging_step else since > 10 and not in_terminal:
            self._said = time.perf_counter()
            loss = sum(self._terms.values())
            self.say(f"{self.label}: step {done} of {self._total}, loss {loss:.4f}")
        if at_end and self.on_epoch and self.accelerator.is_main_process:
            self.on_epoch(self.model, epoch + 1)
        if self.evaluate and (at_end or s.eval_step and done % s.eval_step == 0):
            self._evaluate(epoch + 1)
        if s.save_every and (done % s.save_every == 0 or done == self._total):
            self._save()

    def _evaluate(self, epoch: int) -> None:
        rng = torch.get_rng_state()
        scores = self.evaluate(self.model)
        torch.set_rng_state(rng)
        self._network.train()
        self._log.add(step=self._done, epoch=epoch, dev=scores)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.say(f"{self.label}: step {self._done} of {self._total}, dev {shown}")
        if self._best is None or scores[self.metric] > self._best:
            self._best = scores[self.metric]
            if self.on_best and self.accelerator.is_main_process:
                self.on_best(self.model, scores)

    def _save(self) -> None:
        if self._writes:
            state = {
                "identity": self.identity,
                "step": self._done,
                "best": self._best,
                "lines": self._log.lines,
                "terms": self._terms,
                **saved_states.captured(self.model, self._optimizer, self.accelerator),
            }
            self._checkpoints.save(self._done, state)
