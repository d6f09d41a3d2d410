"""Where and how things run: whatever is no part of a recipe, because it changes no numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from pocketgan.distributed import ALONE, World, world
from pocketgan.errors import SpecError, unknown


class Runtime(BaseModel):
    """The device, how often things are saved and logged, and where files lie.

    Attributes:
        device: 'auto' (the accelerator where there is one), 'cpu', 'cuda' or 'mps'.
        devices: how many of them share the work, on all machines together, each with a process of its own.
        checkpoint_seconds: how much work an interruption by force may cost, in seconds.
        log_steps: every so many steps the losses are logged. Odd, so that terms of every second step are seen.
        weights: files of weights of feature networks, by the network's name; others are found by `find_weights`.
        store: where stages are kept, for any number of runs; default in each run's own folder.
        storage: where candidates of a search are kept, for workers elsewhere; default a journal beside its stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = "auto"
    devices: int = 1
    checkpoint_seconds: float = 60.0
    log_steps: int = 25
    weights: dict[str, Path] = {}
    store: Path | None = None
    storage: str | None = None

    @property
    def place(self) -> torch.device:
        """The device on which every stage and verb computes. Raises `SpecError` where this machine has none."""
        device = device_named(self.device)
        if device.type == "cuda" and world().size > 1:
            return torch.device("cuda", world().local % torch.cuda.device_count())
        return device

    @property
    def world(self) -> World:
        """This process among those that share the work; alone where it is the work of one device."""
        return world() if self.devices > 1 else ALONE


def device_named(name: str) -> torch.device:
    """The device of a name. Raises `SpecError` where PyTorch cannot use it on this machine."""
    present: dict[str, Any] = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if name == "auto":
        return torch.device(next((each for each, there in present.items() if there()), "cpu"))
    if name in present and not present[name]():
        raise SpecError(f"this machine has no device {name} that PyTorch can use; choose --device cpu or auto")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise unknown("device", name, ("auto", "cpu", *present)) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory left: of the computer, or of its accelerator."""
    words = ("can't allocate memory", "out of memory")  # PyTorch's allocators of the CPU and of Apple's GPUs
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def synchronise(device: torch.device) -> None:
    """Wait until a device has computed all that it was given; before a clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
