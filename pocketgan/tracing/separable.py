"""3x3 convolutions of a module in two: one of each channel alone, and one of each pixel alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from pocketgan.errors import unknown
from pocketgan.tracing.graph import plain_copy

ALL = "all"


def with_separable(module: nn.Module, paths: tuple[str, ...]) -> nn.Module:
    """A copy whose 3x3 convolutions at these paths, or "all" of them, are depthwise ones, an instance norm and
    pointwise ones, with about a ninth of the work and with first weights of their own; transposed ones too.

    Raises `SpecError` for a path at which there is no `nn.Conv2d` or `nn.ConvTranspose2d` of 3x3 pixels without
    groups.

    Source: GAN Compression, CVPR 2020, section 3.2.
    """
    own = plain_copy(module)  # a convolution with spectral norm is one too
    plain = {path: part for path, part in own.named_modules() if _decomposable(part)}
    missing = next((path for path in paths if path not in plain and path != ALL), None)
    if missing:
        raise unknown("3x3 convolution", missing, [*plain, ALL])
    chosen = plain if ALL in paths else {path: plain[path] for path in paths}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # they are a part of the spec: see `generator_of`
        made = {id(layer): _separable(layer) for layer in chosen.values()}
    for part in list(own.modules()):
        for name, child in part._modules.items():
            part._modules[name] = made.get(id(child), child)
    return own


def _decomposable(part: nn.Module) -> bool:
    if type(part) not in (nn.Conv2d, nn.ConvTranspose2d):
        return False
    assert isinstance(part, (nn.Conv2d, nn.ConvTranspose2d))
    return part.kernel_size == (3, 3) and part.groups == 1


def _separable(layer: nn.Module) -> nn.Module:
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    channels = layer.in_channels
    # mypy takes what the layer keeps for wider than what it was made of
    settings: Any = dict(
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, padding_mode=layer.padding_mode
    )
    if isinstance(layer, nn.ConvTranspose2d):
        settings["output_padding"] = layer.output_padding
    depthwise = type(layer)(channels, channels, 3, groups=channels, **settings)
    pointwise = nn.Conv2d(channels, layer.out_channels, 1)
    parts = {"depthwise": depthwise, "norm": nn.InstanceNorm2d(channels), "pointwise": pointwise}
    return nn.Sequential(OrderedDict(parts))
