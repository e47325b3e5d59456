"""One run of a stage: what it reads, where it writes, its settings, and the machine."""

from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Objective
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import LoadedModel, load_classifier, load_with_tokenizer
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.console import say
from tinybert_lite.training.loop import Loop


@dataclass(frozen=True)
class Job:
    """The argument of a stage's work. `reads`: input name -> path; `folder`: where it writes."""

    stage: str
    reads: dict[str, Path | ModelFolder]
    folder: Path
    settings: Settings
    session: Session

    @property
    def task(self) -> Task:
        return self.settings.task

    @property
    def options(self):
        """The stage's own settings."""
        return getattr(self.settings, self.stage)

    @property
    def device(self) -> str:
        return self.session.device.name

    def load(self, name: str, **parts) -> LoadedModel:
        """Load the encoder of an input, by the input's name; `parts`: see `load_model`."""
        return load_with_tokenizer(self.reads[name], self.settings.lower_case, **parts)

    def classifier(self, name: str, projection: str = "none", **parts) -> LoadedModel:
        """Load an encoder with a classifier for the task's K classes; by default no projections."""
        return self.load(name, num_labels=self.task.num_labels, projection=projection, **parts)

    def finished(self, name: str) -> LoadedModel:
        """Load a finished classifier, with its outputs in the order of the task's labels."""
        return load_classifier(self.reads[name], self.task, self.settings.lower_case)

    def dev_set(self, tokenizer) -> DevSet:
        """Tokenise the dev files among the inputs."""
        length, batch_size = self.options.max_seq_length, self.options.eval_batch_size
        return DevSet(self.task, self.reads, tokenizer, length, batch_size)

    def train(
        self, model: Encoder, objective: Objective, batches: Batches, label: str, **more
    ) -> dict:
        """Train a model in the one training loop; return its metrics. `more`: see `Loop`."""
        trained = Loop(
            model,
            objective,
            batches,
            self.options,
            self.session.accelerator(),
            self.folder,
            identity=self.session.identity,
            label=label,
            packed=self.session.device.packed,
            say=say,
            **more,
        ).run()
        return {
            "steps": trained.steps,
            "resumed_from": trained.resumed_from,
            "loss_terms": trained.last_terms,
            **({} if trained.best_score is None else {"best_dev": trained.best_score}),
        }
