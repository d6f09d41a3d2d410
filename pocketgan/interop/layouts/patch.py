"""PatchGAN discriminators of GAN Compression, CycleGAN and pix2pix."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from pocketgan.interop.layouts.base import Recognised, settled
from pocketgan.networks import PatchSpec

KINDS = ("patch",)
_CONVOLUTION = re.compile(r"model\.(\d+)\.weight")


def names(spec: PatchSpec) -> dict[str, str]:
    found = {"layers.0.conv": "model.0", f"layers.{spec.layers + 1}.conv": f"model.{3 * spec.layers + 2}"}
    for k in range(1, spec.layers + 1):
        found |= {f"layers.{k}.conv": f"model.{3 * k - 1}", f"layers.{k}.norm": f"model.{3 * k}"}
    return found


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    state, told = settled(state)
    found = [match for key, tensor in state.items() if tensor.ndim == 4 and (match := _CONVOLUTION.fullmatch(key))]
    layers = len(found) - 2
    if layers < 1 or sorted(int(match[1]) for match in found) != [0, *(3 * k + 2 for k in range(layers + 1))]:
        return None
    first = state["model.0.weight"]
    spec = PatchSpec(
        in_channels=first.shape[1],
        width=first.shape[0],
        layers=layers,
        norm="batch" if "model.3.running_mean" in state else "instance",
    )
    return Recognised(spec, assumptions=told, state=state)
