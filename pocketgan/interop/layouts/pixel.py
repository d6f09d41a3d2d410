"""Pixel discriminators of GAN Compression, CycleGAN and pix2pix."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pocketgan.interop.layouts.base import Recognised, settled
from pocketgan.networks.discriminators import PixelSpec

KINDS = ("pixel",)


def names(spec: PixelSpec) -> dict[str, str]:
    return {"layers.0.conv": "net.0", "layers.1.conv": "net.2", "layers.1.norm": "net.3", "layers.2.conv": "net.5"}


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    state, told = settled(state)
    first, last = state.get("net.0.weight"), state.get("net.5.weight")
    if first is None or last is None or first.shape[2:] != (1, 1):
        return None
    spec = PixelSpec(
        in_channels=first.shape[1],
        width=len(first),
        norm="batch" if "net.3.running_mean" in state else "instance",
    )
    return Recognised(spec, assumptions=told, state=state)
