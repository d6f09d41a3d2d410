"""ResNet generators: GAN Compression (full, mobile, super, compressed, legacy), OMGD, CycleGAN and pix2pix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from pocketgan.errors import DataError, SpecError
from pocketgan.interop.layouts.base import Recognised, divided, settled
from pocketgan.networks import ResnetSpec

KINDS = ("resnet",)

#: the official names of the activations that distillation compares, in networks of nine blocks
TAPS = {"model.9": "down", "model.12": "block3", "model.15": "block6", "model.18": "block9"}

_BLOCK = re.compile(r"model\.(\d+)\.conv_block\.(\d+)\.(conv\.0\.)?weight")


def names(spec: ResnetSpec, *, dropout_module: bool = True) -> dict[str, str]:
    """`dropout_module`: whether a block has one, which holds no tensors but takes an index. GAN Compression's and
    OMGD's blocks always have it, those of CycleGAN and pix2pix only where dropout is on. Raises `SpecError` for a
    form that no official code has.
    """
    ours_alone = {
        "input_skip": "a skip from the input to the output",
        "ends": f"a stem and a head with kernels of {spec.ends}",
        "up": f"upsampling by {spec.up}",
        "separable_norm": f"{spec.separable_norm} norm inside decomposed convolutions",
    }
    for field, told in ours_alone.items():
        if getattr(spec, field) != type(spec).model_fields[field].default:
            raise SpecError(f"no official code has {told}; export another format")
    first_up = 10 + spec.blocks
    layers = {"stem": 1, "down.0": 4, "down.1": 7, "up.0": first_up, "up.1": first_up + 3, "head": first_up + 7}
    found = {f"{ours}.conv": f"model.{index}" for ours, index in layers.items()}
    found |= {f"{ours}.norm": f"model.{index + 1}" for ours, index in layers.items() if ours != "head"}
    first, second = _places(spec.padding == "zero", dropout_module)
    for block in range(spec.blocks):
        inside = f"model.{10 + block}.conv_block"
        for ours, index in (("first", first), ("second", second)):
            found[f"blocks.{block}.{ours}.conv"] = f"{inside}.{index}"
            found[f"blocks.{block}.{ours}.norm"] = f"{inside}.{index + 1}"
    return found


def _places(zero_padding: bool, dropout_module: bool) -> tuple[int, int]:
    """Where in a block the two convolutions stand: a pad module before each, norm, ReLU and dropout between."""
    first = 0 if zero_padding else 1
    return first, 2 * first + 3 + dropout_module


def recognise(
    state: Mapping[str, Tensor],
    *,
    clamp_input: bool | None = None,
    padding: Literal["reflect", "replicate"] = "reflect",
    dropout: float = 0.0,
    tracked: bool | None = None,
) -> Recognised | None:
    """`clamp_input`: by default as the official code does: full generators with instance norm and a dropout module
    clamp, and so do decomposed ones of several widths (compressed ones). `tracked`: see `base.settled`.
    """
    state, told = settled(state, tracked)
    found = [match for key in state if (match := _BLOCK.fullmatch(key)) and state[key].ndim == 4]
    numbers = sorted({int(match[1]) for match in found})
    if not numbers or numbers != list(range(10, 10 + len(numbers))):
        return None
    first, second = sorted({int(match[2]) for match in found})
    zero, dropout_module = first == 0, second - 2 * first == 4
    if (first, second) != _places(zero, dropout_module):
        return None

    def channels(module: str, axis: int = 0) -> int:
        """Of a convolution, decomposed or not."""
        weight = state.get(f"{module}.conv.2.weight")
        return (state[f"{module}.weight"] if weight is None else weight).shape[axis]

    up = 10 + len(numbers)
    if any(key.endswith(".conv.1.running_mean") for key in state):
        raise DataError(
            "it resembles a mobile ResNet whose inner instance norms use statistics, which none of ours does; "
            "--assume tracked=false leaves them out"
        )
    norm = "batch" if "model.2.running_mean" in state else "instance"
    down, residual = (f"model.{conv}.conv.2.weight" in state for conv in ("4", f"10.conv_block.{first}"))
    widths = (
        channels("model.1"),
        divided(channels("model.4"), 2),
        divided(channels("model.7"), 4),
        *(divided(channels(f"model.{number}.conv_block.{first}"), 4) for number in numbers),
        divided(channels(f"model.{up}", 1), 2),
        channels(f"model.{up + 3}", 1),
    )
    if clamp_input is None:
        compressed = residual and len(set(widths)) > 1
        clamp_input = compressed or (not residual and dropout_module and norm == "instance")
    fields: dict[str, Any] = dict(
        in_channels=channels("model.1", 1),
        out_channels=channels(f"model.{up + 7}"),
        widths=widths,
        blocks=len(numbers),
        kernel=state[found[0].string].shape[-1],
        separable=("down",) * down + ("residual",) * residual,
        norm=norm,
        padding="zero" if zero else padding,
        dropout=dropout,
        clamp_input=clamp_input,
    )
    spec = ResnetSpec(**fields)
    assumptions = [f"clamp_input={str(clamp_input).lower()}: matters only for inputs outside [-1, 1]"]
    if not zero:
        assumptions.append(f"padding={spec.padding}: how the residual blocks pad")
    if dropout_module:
        assumptions.append(f"dropout={dropout:g}: matters only in training")
    return Recognised(spec, {"dropout_module": dropout_module}, (*assumptions, *told), state)
