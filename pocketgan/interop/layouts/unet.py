"""U-Net generators: pix2pix (unet_128, unet_256) and OMGD (unet_256, unet_deepest_256)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pocketgan.interop.layouts.base import Recognised, divided, settled
from pocketgan.interop.layouts.omgd import expansion_names, inner_module
from pocketgan.networks.unet import UnetSpec

KINDS = ("unet",)

#: the official names of the activations that OMGD's distillation compares
TAPS = {
    "model.model.1.model.3.model.0": "down2",
    "model.model.1.model.3.model.3.model.3.model.0": "down4",
    "model.model.1.model.3.model.3.model.4": "join4",
    "model.model.1.model.4": "join2",
}


def names(spec: UnetSpec) -> dict[str, str]:
    """The official layers nest: each level holds the next one between its way down and its way up."""
    more = spec.residuals
    found: dict[str, str] = {}

    def blocks(ours: str, theirs: str, first: int) -> None:
        for i in range(more):
            found.update(expansion_names(f"{ours}.{i}", f"{theirs}.{first + i}"))

    def layer(ours: str, theirs: str, conv: int) -> None:
        found.update({f"{ours}.layer.conv": f"{theirs}.{conv}", f"{ours}.layer.norm": f"{theirs}.{conv + 1}"})
        blocks(f"{ours}.blocks", theirs, conv + 2)

    found["down.0.layer.conv"] = "model.model.0"
    blocks("down.0.blocks", "model.model", 1)
    blocks("join", "model.model", 2 + more)
    found["head.conv"] = f"model.model.{3 + 2 * more}"
    inside = f"model.model.{1 + more}.model"
    for level in range(2, spec.levels):
        layer(_module(f"down{level}", spec.levels), inside, 1)
        layer(_module(f"up{level - 1}", spec.levels), inside, 5 + more)
        inside = f"{inside}.{3 + more}.model"
    found[f"down.{spec.levels - 1}.layer.conv"] = f"{inside}.1"
    found |= {"up.0.layer.conv": f"{inside}.3", "up.0.layer.norm": f"{inside}.4"}
    return found


def _module(part: str, levels: int) -> str:
    """Ours, for the way down or up at a level."""
    level = int(part.removeprefix("down").removeprefix("up"))
    return f"down.{level - 1}" if part.startswith("down") else f"up.{levels - 1 - level}"


def recognise(
    state: Mapping[str, Tensor], *, dropout: float = 0.0, tracked: bool | None = None
) -> Recognised | None:
    """`dropout`: pix2pix trains with 0.5, OMGD without. `tracked`: see `base.settled`."""
    state, told = settled(state, tracked, fold=False)
    first = state.get("model.model.0.weight")
    if first is None or first.shape[2:] != (4, 4):
        return None
    more = 0
    while f"model.model.{1 + more}.conv_block.1.weight" in state:
        more += 1
    levels, inside = 2, f"model.model.{1 + more}.model"
    while (deeper := f"{inside}.{3 + more}.model") and f"{deeper}.1.weight" in state:
        levels, inside = levels + 1, deeper
    blank = UnetSpec.uniform(
        1,
        levels=levels,
        residuals=more,
        norm=(norm := "batch" if f"{inside}.4.running_mean" in state else "instance"),
        biased=norm == "batch" and "model.model.0.bias" in state,
        dropout=dropout,
        in_channels=first.shape[1],
        out_channels=state[f"model.model.{3 + 2 * more}.weight"].shape[1],
    )
    theirs = names(blank)

    def channels(group: str) -> int:
        part, _, inside = group.partition(".")
        if inside:
            block, _, inner = inside.partition(".")
            blocks = "join" if part == "join1" else f"{_module(part, levels)}.blocks"
            return len(state[f"{theirs[inner_module(f'{blocks}.{block}', inner)]}.weight"])
        conv = theirs[f"{_module(part, levels)}.layer.conv"]
        return state[f"{conv}.weight"].shape[1 if part.startswith("up") else 0]

    widths = tuple(divided(channels(group.name), group.factor) for group in blank.plan)
    return Recognised(
        blank.resized(widths), assumptions=(f"dropout={dropout:g}: matters only in training", *told), state=state
    )
