"""The layouts of SPADE's generators and discriminator, the same in NVlabs/SPADE and GAN Compression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from pocketgan.interop.layouts.base import Recognised, divided
from pocketgan.networks.multiscale import MultiscaleSpec
from pocketgan.networks.spade import MIDDLES, STREAM, UPS, Part, SpadeSpec, Upsampling
from pocketgan.networks.spec import Norm

KINDS = ("spade", "multiscale")

#: the official names of the activations that distillation compares
TAPS = {"head_0": "middle1", "G_middle_1": "middle3", "up_1": "up2"}

_BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4")
#: label classes (and edge map) of the data sets whose published networks start from 1/32 of the side
_NORMAL = {151: "ADE20K", 183: "COCO-Stuff", 184: "COCO-Stuff"}


def names(spec: SpadeSpec | MultiscaleSpec) -> dict[str, str]:
    """For each of our modules that holds tensors: its official name."""
    if isinstance(spec, MultiscaleSpec):
        return _discriminator_names(spec)
    found = {"stem": "fc", "head": "conv_img"}
    for i, theirs in enumerate(_BLOCKS[: len(spec.blocks)]):
        ours = f"middle.{i}" if i < MIDDLES else f"up.{i - MIDDLES}"
        for n in "01":
            found[f"{ours}.conv{n}"] = f"{theirs}.conv_{n}"
            found[f"{ours}.conv{n}.norm"] = f"{theirs}.conv_{n}.conv.1"
        norms = {"norm0": "norm_0", "norm1": "norm_1"}
        if i >= MIDDLES:
            found[f"{ours}.shortcut"] = f"{theirs}.conv_s"
            norms["norm_shortcut"] = "norm_s"
        for our_norm, their_norm in norms.items():
            inside, outside = f"{ours}.{our_norm}", f"{theirs}.{their_norm}"
            found[f"{inside}.norm"] = f"{outside}.param_free_norm"
            found[f"{inside}.shared"] = f"{outside}.mlp_shared.0"
            for part in ("gamma", "beta"):
                found[f"{inside}.{part}"] = f"{outside}.mlp_{part}"
                found[f"{inside}.{part}.norm"] = f"{outside}.mlp_{part}.conv.1"
    return found


def _discriminator_names(spec: MultiscaleSpec) -> dict[str, str]:
    found: dict[str, str] = {}
    for i in range(spec.scales):
        theirs = f"discriminator_{i}"
        found |= {f"scales.{i}.first": f"{theirs}.model0.0", f"scales.{i}.last": f"{theirs}.model{spec.layers}.0"}
        for k in range(1, spec.layers):
            layer = f"{theirs}.model{k}.0"
            found[f"scales.{i}.middle.{k - 1}.conv"] = f"{layer}.0" if spec.norm else layer
            found[f"scales.{i}.middle.{k - 1}.norm"] = f"{layer}.1"
    return found


def recognise(
    state: Mapping[str, Tensor],
    *,
    upsampling: Literal["normal", "more"] | None = None,
    separable_norm: Literal["instance", "none"] = "instance",
) -> Recognised | None:
    """A SPADE generator (full, mobile, for many widths or for one) or multi-scale discriminator; None for neither.

    `upsampling`: 'normal' and 'more' have the same tensors ('most' has more). `separable_norm`: the norm between
    the two parts of a decomposed convolution, where it has no tensors.
    """
    if "discriminator_0.model0.0.weight" in state:
        return _discriminator(state)
    if "fc.weight" in state and "head_0.norm_0.mlp_shared.0.weight" in state:
        return _generator(state, upsampling, separable_norm)
    return None


def _generator(
    state: Mapping[str, Tensor], upsampling: Upsampling | None, separable_norm: Literal["instance", "none"]
) -> Recognised:
    def out(conv: str) -> int:
        """Output channels of a convolution: plain, decomposed or with spectral norm."""
        found = [f"{conv}.{end}" for end in ("weight", "conv.2.weight", "weight_orig") if f"{conv}.{end}" in state]
        return len(state[found[0]])

    assumptions = []
    in_channels = state["fc.weight"].shape[1]
    if "up_4.conv_0.bias" in state:
        upsampling = "most"
    elif upsampling is None:
        upsampling = "normal" if in_channels in _NORMAL else "more"
        assumptions.append(f"upsampling={upsampling}: how small the first grid is")

    widths = [divided(out("fc"), STREAM)]
    for block in _BLOCKS[:MIDDLES]:
        widths.append(divided(out(f"{block}.conv_0"), STREAM))
        widths += [divided(out(f"{block}.norm_{n}.mlp_shared.0"), 2) for n in "01"]
    for block, factor in zip(_BLOCKS[MIDDLES : 8 if upsampling == "most" else 7], UPS, strict=False):
        widths += [divided(out(f"{block}.conv_{n}"), factor) for n in "01"]
        widths += [divided(out(f"{block}.norm_{n}.mlp_shared.0"), 2) for n in "01s"]

    gamma = "head_0.norm_0.mlp_gamma"
    separable: dict[Part, str] = {"modulation": f"{gamma}.conv.0.weight", "residual": "head_0.conv_0.conv.0.weight"}
    parts = tuple(part for part, key in separable.items() if key in state)
    inner: Norm | None = None if separable_norm == "none" else separable_norm
    if f"{gamma}.conv.1.running_mean" in state:
        inner = "batch"
    elif parts:
        assumptions.append(f"separable_norm={separable_norm}: the norm inside decomposed convolutions")
    spec = SpadeSpec(
        in_channels=in_channels,
        out_channels=len(state["conv_img.weight"]),
        widths=tuple(widths),
        upsampling=upsampling,
        separable=parts,
        separable_norm=inner,
        norm="batch" if "head_0.norm_0.param_free_norm.running_mean" in state else "instance",
        spectral="head_0.conv_0.weight_orig" in state,
    )
    return Recognised(spec, assumptions=tuple(assumptions), state=_cut(state, spec))


def _statistics(spec: SpadeSpec) -> Iterator[tuple[str, int]]:
    """The official keys of the running statistics, each with its channels."""
    for name, block in zip(_BLOCKS, spec.blocks.values(), strict=False):
        for norm, channels in (("norm_0", block.into), ("norm_1", block.inner), ("norm_s", block.into)):
            for part in ("running_mean", "running_var"):
                yield f"{name}.{norm}.param_free_norm.{part}", channels


def _cut(state: Mapping[str, Tensor], spec: SpadeSpec) -> dict[str, Tensor]:
    """GAN Compression's networks of one width list keep the statistics of the network that they were taken from;
    only the first channels' are in use."""
    return {**state, **{key: state[key][:channels] for key, channels in _statistics(spec) if key in state}}


def widened(state: Mapping[str, Tensor], spec: SpadeSpec, width: int) -> dict[str, Tensor]:
    """The official state of a network of one width list as GAN Compression's code wants it: with running statistics
    for base width `width` (its `--ngf`); mean 0 and variance 1 where the network has no channel."""
    wide = dict(_statistics(SpadeSpec.uniform(width, upsampling=spec.upsampling)))
    return {
        key: F.pad(tensor, (0, wide[key] - len(tensor)), value=float(key.endswith("var")))
        if key in wide
        else tensor
        for key, tensor in state.items()
    }


def complete(state: Mapping[str, Tensor], spec: SpadeSpec | MultiscaleSpec) -> dict[str, Tensor]:
    """A generator's statistics as wide as the widest number of its list: the `--ngf` to load it with."""
    if isinstance(spec, MultiscaleSpec):
        return dict(state)
    widths = zip(spec.groups, spec.widths, strict=True)
    return widened(state, spec, max(width for group, width in widths if "hidden" not in group))


def _discriminator(state: Mapping[str, Tensor]) -> Recognised:
    first = state["discriminator_0.model0.0.weight"]
    layers = {key.split(".")[1] for key in state if key.startswith("discriminator_0.")}
    inner = "discriminator_0.model1.0"
    norm: Norm | None = None
    if any(key.startswith(f"{inner}.0.") for key in state):
        norm = "batch" if f"{inner}.1.running_mean" in state else "instance"
    spec = MultiscaleSpec(
        in_channels=first.shape[1],
        width=len(first),
        layers=len(layers) - 1,
        scales=len({key.partition(".")[0] for key in state}),
        norm=norm,
        spectral=any(key.endswith(".weight_orig") for key in state),
    )
    return Recognised(spec)
