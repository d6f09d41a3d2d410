"""What only OMGD has: its deep mobile ResNet, its residual block and its discriminator of several heads."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pocketgan.interop.layouts.base import Recognised, divided, settled
from pocketgan.networks.deep_resnet import BEFORE, BLOCKS, MIDDLE, DeepResnetSpec
from pocketgan.networks.discriminators import SharedPatchSpec
from pocketgan.networks.expansion import INNER

KINDS = ("deep_resnet", "shared_patch")


def expansion_names(ours: str, theirs: str) -> dict[str, str]:
    """The names inside a residual block."""
    found = {}
    for i, conv in enumerate((1, 4, 7, 12)):
        found[f"{ours}.layers.{i}.conv"] = f"{theirs}.conv_block.{conv}"
        found[f"{ours}.layers.{i}.norm"] = f"{theirs}.conv_block.{conv + 1}"
    return found


def inner_module(block: str, inner: str) -> str:
    """Our convolution that makes an inner width of a residual block."""
    return f"{block}.layers.{INNER.index(inner)}.conv"


def names(spec: DeepResnetSpec | SharedPatchSpec) -> dict[str, str]:
    return _discriminator_names(spec) if isinstance(spec, SharedPatchSpec) else _generator_names()


def _generator_names() -> dict[str, str]:
    found: dict[str, str] = {}

    def layer(ours: str, theirs: str) -> None:
        parent, _, index = f"model.{theirs}".rpartition(".")
        found.update({f"{ours}.conv": f"{parent}.{index}", f"{ours}.norm": f"{parent}.{int(index) + 1}"})

    layer("stem", "1")
    for ours, first in (("down.0", 4), ("down.1", 11), ("up.0", 29), ("up.1", 36)):
        layer(f"{ours}.first", f"{first}")
        found |= expansion_names(f"{ours}.block", f"model.{first + 3}")
        layer(f"{ours}.second", f"{first + 4}")
    for block in range(BLOCKS + MIDDLE):
        if block in range(BEFORE, BEFORE + MIDDLE):
            found |= expansion_names(f"body.{block}", f"model.{18 + block}")
        else:
            layer(f"body.{block}.first", f"{18 + block}.conv_block.1")
            layer(f"body.{block}.second", f"{18 + block}.conv_block.6")
    found["head.conv"] = "model.44"
    return found


def _discriminator_names(spec: SharedPatchSpec) -> dict[str, str]:
    """Where a layer is shared, the official code uses its second copy."""
    found = {}
    for layer in range(spec.layers + 2):
        copies = {0: 1} if layer < spec.shared else {head: head for head in range(spec.heads)}
        for ours, theirs in copies.items():
            found[f"layers.{layer}.{ours}.conv"] = f"block{layer + 1}s.{theirs}.block.0"
            found[f"layers.{layer}.{ours}.norm"] = f"block{layer + 1}s.{theirs}.block.1"
    return found


def complete(state: Mapping[str, Tensor], spec: DeepResnetSpec | SharedPatchSpec) -> dict[str, Tensor]:
    """A shared layer of a discriminator in every copy: the official code stores those that it does not use."""
    if isinstance(spec, DeepResnetSpec):
        return dict(state)
    every: dict[str, Tensor] = {}
    for key, tensor in state.items():
        layer, copy, rest = key.split(".", 2)
        shared = int(layer.removeprefix("block").removesuffix("s")) <= spec.shared
        every |= {f"{layer}.{head if shared else copy}.{rest}": tensor for head in range(spec.heads)}
    return every


def recognise(state: Mapping[str, Tensor], *, shared: int | None = None, dropout: float = 0.0) -> Recognised | None:
    """`shared`: how many convolutions the discriminator's heads share. OMGD's own files hold all copies, those that
    nothing uses too, and do not tell; then all of them, which is its main setting.
    """
    judge = "block1s.1.block.0.weight" in state
    state, idle = settled(state, False if judge else None)
    if judge:
        return _discriminator(state, shared, idle)
    if "model.44.weight" in state and "model.7.conv_block.12.weight" in state:
        return _generator(state, dropout, idle)
    return None


def _generator(state: Mapping[str, Tensor], dropout: float, idle: tuple[str, ...]) -> Recognised:
    theirs = _generator_names()
    blank = DeepResnetSpec.uniform(
        1,
        norm="batch" if "model.2.running_mean" in state else "instance",
        dropout=dropout,
        in_channels=state["model.1.weight"].shape[1],
        out_channels=state["model.44.weight"].shape[0],
    )

    def channels(group: str) -> int:
        part, _, rest = group.partition(".")
        if part == "stem":
            return len(state[f"{theirs['stem.conv']}.weight"])
        if part.startswith("inner"):
            block = int(part.removeprefix("inner"))
            place = block + (MIDDLE if block >= BEFORE else 0)
            return len(state[f"{theirs[f'body.{place}.first.conv']}.conv.2.weight"])
        if part == "middle":
            number, _, inner = rest.partition(".")
            return len(state[f"{theirs[inner_module(f'body.{BEFORE + int(number)}', inner)]}.weight"])
        ours = f"{part[:-1]}.{int(part[-1]) - 1}"
        if rest.startswith("block."):
            return len(state[f"{theirs[inner_module(f'{ours}.block', rest.removeprefix('block.'))]}.weight"])
        transposed = part.startswith("up") and rest == "first"
        return state[f"{theirs[f'{ours}.{rest}.conv']}.weight"].shape[1 if transposed else 0]

    widths = tuple(divided(channels(group.name), group.factor) for group in blank.plan)
    return Recognised(
        blank.resized(widths), assumptions=(f"dropout={dropout:g}: matters only in training", *idle), state=state
    )


def _discriminator(state: Mapping[str, Tensor], shared: int | None, idle: tuple[str, ...]) -> Recognised:
    first = state["block1s.1.block.0.weight"]
    convolutions = sum(key.endswith("s.1.block.0.weight") for key in state)
    copies = [
        sum(key.startswith(f"block{k}s.") and key.endswith(".block.0.weight") for key in state)
        for k in range(1, convolutions + 1)
    ]
    told = copies.count(1)
    spec = SharedPatchSpec(
        in_channels=first.shape[1],
        width=first.shape[0],
        layers=convolutions - 2,
        norm="batch" if "block2s.1.block.1.running_mean" in state else "instance",
        heads=max(2, *copies),
        shared=(told or convolutions) if shared is None else shared,
    )
    used = set(_discriminator_names(spec).values())
    return Recognised(
        spec,
        assumptions=idle if told else (f"shared={spec.shared}: convolutions that the heads have in common", *idle),
        state={key: tensor for key, tensor in state.items() if key.rpartition(".")[0] in used},
    )
