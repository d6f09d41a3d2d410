"""Reading the golden cases: numbers made by the official systems."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

GOLDEN = Path(
    os.environ.get("POCKETGAN_GOLDEN") or Path(__file__).resolve().parents[2].parent / "shared" / "golden"
)


class Case:
    """One golden case: its JSON, its tensors, its inputs as the networks take them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.json = json.loads(path.read_text())
        file = self.json.get("file")
        self.tensors = load_file(path.with_name(file)) if file else {}

    def __getitem__(self, key):
        return self.json[key]

    def state(self, network: str = "") -> dict[str, torch.Tensor]:
        """The official state dict of a network, in float32 (int64 counters as they are)."""
        if "formula" in self.json:
            return {key: formula(key, shape, **self["formula"]) for key, shape in self["state_keys"].items()}
        prefix = f"state.{network}." if network else "state."
        return {
            key.removeprefix(prefix): value.float() if value.is_floating_point() else value
            for key, value in self.tensors.items()
            if key.startswith(prefix)
        }

    def input(self, name: str) -> torch.Tensor:
        if f"input_u8.{name}" in self.tensors:
            return self.tensors[f"input_u8.{name}"].float() / 127.5 - 1
        if f"input_u8x4.{name}" in self.tensors:
            small = self.tensors[f"input_u8x4.{name}"].float() / 127.5 - 1
            return small.repeat_interleave(4, -2).repeat_interleave(4, -1)
        if f"input_onehot.{name}" in self.tensors:
            return self.tensors[f"input_onehot.{name}"].float()
        return self.tensors[f"input.{name}"].float()

    def inputs(self) -> dict[str, torch.Tensor]:
        """All inputs by name, in float64."""
        names = [key.partition(".")[2] for key in self.tensors if key.startswith("input")]
        return {name: self.input(name).double() for name in names}

    def results(self, kind: str) -> dict[str, tuple[int, torch.Tensor]]:
        """What is stored under `output`, `grad` ..., by name: the stride at which it was kept, and the values."""
        found = {}
        for key, value in self.tensors.items():
            head, _, name = key.partition(".")
            if head == kind or head.startswith(f"{kind}_sub"):
                found[name] = (int(head.removeprefix(f"{kind}_sub")) if head != kind else 1, value.double())
        return found

    def starting(self, prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


def formula(key: str, shape: list[int], *, prefix: str, gain: float) -> torch.Tensor:
    """A tensor of a case that stores no weights: see "Formula tensors" in the golden README."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    seed = zlib.crc32((prefix + key).encode())
    count = int(np.prod(shape))
    h = (np.arange(count, dtype=np.uint64) * 2654435761 + (seed * 40503 + 12345) % 2**32) % 2**32
    for shift, factor in ((16, 2246822519), (13, 3266489917)):
        h = (h ^ (h >> np.uint64(shift))) * np.uint64(factor) % 2**32
    signed = 2 * ((h ^ (h >> np.uint64(16))) / 2**32) - 1
    if key.endswith("running_var"):
        values = 1 + 0.5 * signed
    elif key.endswith("running_mean"):
        values = 0.2 * signed
    elif len(shape) >= 2:
        values = signed * gain * 3**0.5 * 2**0.5 / np.prod(shape[1:]) ** 0.5
    else:
        values = 1 + 0.2 * signed if key.endswith("weight") else 0.1 * signed
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def cases(family: str, matches=lambda name: True) -> list[Path]:
    """The cases of a family, by file name; none where the golden data are absent."""
    return sorted(path for path in (GOLDEN / family).glob("*.json") if matches(path.stem))


def probe(like: torch.Tensor) -> torch.Tensor:
    """The fixed weights with which the golden gradients were taken."""
    i = torch.arange(like.numel())
    return (((37 * i + 11) % 17) / 8 - 1).to(like.dtype).reshape(like.shape)
