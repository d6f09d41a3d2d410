"""MUNIT's generators and discriminators: GAN Compression (full, super, compressed)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pocketgan.interop.layouts.base import Recognised, divided, settled
from pocketgan.networks.ms_image import MsImageSpec
from pocketgan.networks.munit import STYLE_FACTORS, MunitSpec, Part

KINDS = ("munit", "ms_image")


def names(spec: MunitSpec | MsImageSpec) -> dict[str, str]:
    """For each of our modules that holds tensors: its official name."""
    if isinstance(spec, MsImageSpec):
        found = {
            f"scales.{i}.{k}.conv": f"cnns.{i}.{k}.conv" for i in range(spec.scales) for k in range(spec.layers)
        }
        return found | {f"scales.{i}.{spec.layers}": f"cnns.{i}.{spec.layers}" for i in range(spec.scales)}

    found = {
        "content_encoder.stem.conv": "enc_content.model.0.conv",
        "content_encoder.down.0.conv": "enc_content.model.1.conv",
        "content_encoder.down.1.conv": "enc_content.model.2.conv",
        "decoder.head.conv": "dec.model.5.conv",
        "mlp.hidden.0": "mlp.model.0.fc",
        "mlp.hidden.1": "mlp.model.1.fc",
        "mlp.last": "mlp.model.2.fc",
    }
    if spec.style_encoder:
        found |= {f"style_encoder.layers.{i}.conv": f"enc_style.model.{i}.conv" for i in range(5)}
        found["style_encoder.head"] = "enc_style.model.6"
    for ours, theirs in (("content_encoder", "enc_content.model.3"), ("decoder", "dec.model.0")):
        for block in range(spec.blocks):
            for k, conv in enumerate(("first", "second")):
                found[f"{ours}.blocks.{block}.{conv}.conv"] = f"{theirs}.model.{block}.model.{k}.conv"
    for i in range(2):
        found[f"decoder.up.{i}.norm"] = f"dec.model.{2 * i + 2}.norm"
        found[f"decoder.up.{i}.layer.conv"] = f"dec.model.{2 * i + 2}.conv"
    return found


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    """A generator or a discriminator; a generator may lack its style encoder."""
    if "cnns.0.0.conv.weight" in state:
        return Recognised(_discriminator(state))
    if "enc_content.model.0.conv.weight" in state:
        # the authors' own files hold statistics of the adaptive norms, which nothing uses
        state, idle = settled(state, None)
        told = ("padding=reflect and activations are ReLU", *idle)
        return Recognised(_generator(state), assumptions=told, state=state)
    return None


def _discriminator(state: Mapping[str, Tensor]) -> MsImageSpec:
    width, in_channels = state["cnns.0.0.conv.weight"].shape[:2]
    convs = [key.split(".")[1] for key in state if key.endswith(".conv.weight")]
    return MsImageSpec(
        in_channels=in_channels, width=width, layers=convs.count("0"), scales=len(dict.fromkeys(convs))
    )


def _generator(state: Mapping[str, Tensor]) -> MunitSpec:
    def decomposed(conv: str) -> bool:
        return f"{conv}.conv.2.weight" in state

    def width(conv: str, factor: int) -> int:
        """The base width behind the output channels of a convolution, decomposed or not."""
        return divided(len(state[f"{conv}.conv.2.weight" if decomposed(conv) else f"{conv}.weight"]), factor)

    content, decoder = "enc_content.model.3.model", "dec.model.0.model"
    up = ("dec.model.2.conv", "dec.model.4.conv")
    blocks = len({key.split(".")[4] for key in state if key.startswith(f"{content}.")})
    styled = "enc_style.model.0.conv.weight" in state
    stem = "enc_content.model.0.conv"
    # an absent style encoder has a width all the same, though nothing depends on it
    style = [f"enc_style.model.{i}.conv" if styled else stem for i in range(5)]
    parts: dict[Part, str] = {"residual": f"{content}.0.model.0.conv", "up": up[0]}
    return MunitSpec(
        in_channels=state[f"{stem}.weight"].shape[1],
        out_channels=len(state["dec.model.5.conv.weight"]),
        widths=(
            *(width(conv, factor if styled else 1) for conv, factor in zip(style, STYLE_FACTORS, strict=True)),
            *(width(f"enc_content.model.{i}.conv", factor) for i, factor in enumerate((1, 2, 4))),
            *(width(f"{part}.{i}.model.0.conv", 4) for part in (content, decoder) for i in range(blocks)),
            *(width(conv, factor) for conv, factor in zip(up, (2, 1), strict=True)),
        ),
        blocks=blocks,
        separable=tuple(part for part, conv in parts.items() if decomposed(conv)),
        style_channels=state["mlp.model.0.fc.weight"].shape[1],
        mlp_width=len(state["mlp.model.0.fc.weight"]),
        style_encoder=styled,
    )
