"""The layouts of the official checkpoints: which of their tensors is which of ours.

GAN Compression, OMGD and CycleGAN/pix2pix share one layout for ResNet generators and PatchGANs.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pocketgan.networks import NetworkSpec, PatchSpec, ResnetSpec


def module_names(spec: NetworkSpec | PatchSpec, *, second: int = 6) -> dict[str, str]:
    """For each of our modules that holds tensors: its official name.

    `second`: the index of a residual block's second convolution, 6 in GAN Compression; 5 in CycleGAN/pix2pix files
    of networks without dropout.
    """
    if isinstance(spec, PatchSpec):
        names = {"layers.0.conv": "model.0", f"layers.{spec.layers + 1}.conv": f"model.{3 * spec.layers + 2}"}
        for k in range(1, spec.layers + 1):
            names |= {f"layers.{k}.conv": f"model.{3 * k - 1}", f"layers.{k}.norm": f"model.{3 * k}"}
        return names
    if isinstance(spec, ResnetSpec):
        first_up = 10 + spec.blocks
        layers = {
            "stem": 1,
            "down.0": 4,
            "down.1": 7,
            "up.0": first_up,
            "up.1": first_up + 3,
            "head": first_up + 7,
        }
        names = {f"{ours}.conv": f"model.{index}" for ours, index in layers.items()}
        names |= {f"{ours}.norm": f"model.{index + 1}" for ours, index in layers.items() if ours != "head"}
        for block in range(spec.blocks):
            inside = f"model.{10 + block}.conv_block"
            for ours, index in (("first", 1), ("second", second)):
                names[f"blocks.{block}.{ours}.conv"] = f"{inside}.{index}"
                names[f"blocks.{block}.{ours}.norm"] = f"{inside}.{index + 1}"
        return names
    raise NotImplementedError(type(spec).__name__)


def to_official(state: Mapping[str, Tensor], spec: NetworkSpec | PatchSpec, **options) -> dict[str, Tensor]:
    """Our state under the official keys."""
    names = module_names(spec, **options)
    return {_rename(key, names, _PARTS): tensor for key, tensor in state.items()}


def from_official(state: Mapping[str, Tensor], spec: NetworkSpec | PatchSpec, **options) -> dict[str, Tensor]:
    """An official state under our keys."""
    names = {theirs: ours for ours, theirs in module_names(spec, **options).items()}
    return {_rename(key, names, {v: k for k, v in _PARTS.items()}): tensor for key, tensor in state.items()}


#: inside a decomposed convolution
_PARTS = {"depthwise": "conv.0", "pointwise": "conv.2"}


def _rename(key: str, modules: Mapping[str, str], parts: Mapping[str, str]) -> str:
    module, _, tensor = key.rpartition(".")
    for inner, outer in parts.items():
        if module.endswith("." + inner) and module.removesuffix("." + inner) in modules:
            return f"{modules[module.removesuffix('.' + inner)]}.{outer}.{tensor}"
    return f"{modules[module]}.{tensor}"
