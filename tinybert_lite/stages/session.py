"""What every stage has in common: what it reads and writes, when it is up to date, and its manifest."""

from __future__ import annotations

from dataclasses import dataclass

from tinybert_lite.stages.settings import Settings
from tinybert_lite.system import processes
from tinybert_lite.system.device import Device, choose_device
from tinybert_lite.system.machine import seed_everything, set_threads


@dataclass(frozen=True)
class Session:
    """The machine as one stage sees it."""

    device: Device
    seed: int
    threads: int
    identity: str = ""

    @classmethod
    def open(cls, settings: Settings, identity: str = "") -> Session:
        threads = set_threads(settings.threads)
        seed_everything(settings.seed)
        device = choose_device(settings.device, settings.precision)
        processes.join(device.name)
        return cls(device, settings.seed, threads, identity)

    def accelerator(self):
        from accelerate import Accelerator, DistributedDataParallelKwargs

        return Accelerator(
            cpu=self.device.name == "cpu",
            mixed_precision=self.device.precision,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
