"""Reading the golden cases: numbers made by the official systems."""

import json
import os
from pathlib import Path

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
        return self.tensors[f"input.{name}"].float()

    def starting(self, prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


def cases(family: str, matches=lambda name: True) -> list[Path]:
    """The cases of a family, by file name; none where the golden data are absent."""
    return sorted(path for path in (GOLDEN / family).glob("*.json") if matches(path.stem))


def probe(like: torch.Tensor) -> torch.Tensor:
    """The fixed weights with which the golden gradients were taken."""
    i = torch.arange(like.numel())
    return (((37 * i + 11) % 17) / 8 - 1).to(like.dtype).reshape(like.shape)
