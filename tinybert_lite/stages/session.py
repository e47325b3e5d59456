"""The device, precision, seed and threads of one run of a stage."""

from __future__ import annotations

from dataclasses import dataclass

from tinybert_lite.stages.settings import Settings
from tinybert_lite.system import processes
from tinybert_lite.system.device import Device, choose_device
from tinybert_lite.system.machine import seed_everything, set_threads


@dataclass(frozen=True)
class Session:
    """What a stage's work needs besides its inputs; only states of this identity are resumed."""

    device: Device
    seed: int
    threads: int
    identity: str = ""

    @classmethod
    def open(cls, settings: Settings, identity: str = "", device: Device | None = None) -> Session:
        """Set threads and seeds, and connect several processes.

        Raises UserError for a device or precision that this machine does not have.
        """
        threads = set_threads(settings.threads)
        seed_everything(settings.seed)
        device = device or choose_device(settings.device, settings.precision)
        processes.join(device.name)
        return cls(device, settings.seed, threads, identity)

    def accelerator(self):
        """Make an Accelerator for this device and precision.

        Accelerate keeps one state per process; that of an earlier stage with another device or
        precision is reset.
        """
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState

        name, precision = self.device.name, self.device.precision
        if AcceleratorState._shared_state and processes.count() == 1:
            state = AcceleratorState()
            if (state.device.type, state.mixed_precision) != (name, precision):
                AcceleratorState._reset_state(reset_partial_state=True)
        return Accelerator(
            cpu=name == "cpu",
            mixed_precision=precision,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
