"""What a file says about itself: how to feed it, what it is, how it was verified.

A card is JSON beside the file, under its whole name and `.json`; the formats that have a place for it carry it
inside too, under the name `pocketgan_card`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pocketgan import __version__
from pocketgan.deploy.inputs import example_inputs, stride_of
from pocketgan.deploy.serving import Precision, ServingRuntime
from pocketgan.errors import DataError
from pocketgan.networks import Generator
from pocketgan.units import Size, both_sides

KEY = "pocketgan_card"


def card_of(
    network: nn.Module,
    size: Size,
    runtime: ServingRuntime,
    precision: Precision,
    *,
    fixed: bool,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The card of an export: its inputs and sides, its spec, and `facts`."""
    image, *more = example_inputs(network, 1, size).values()
    pixels = {"layout": "NCHW", "type": "float32"}
    labels = "labels" in facts or (isinstance(network, Generator) and network.spec.kind == "spade")
    seen = {"values": "0 and 1, a channel for each label"} if labels else {"values": [-1, 1]}
    card: dict[str, Any] = {
        "made_by": f"pocketgan {__version__}",
        "runtime": runtime.version(),
        "format": runtime.format,
        "precision": precision,
        "image": {"channels": image.shape[1], **pixels, **seen},
        "picture": {**pixels, "values": [-1, 1]},
        "colours": "RGB where there are three channels",
        "size": list(size),
        "sides": "fixed" if fixed else f"multiples of {stride_of(network)} within",
    }
    if more:
        card["beside"] = {"style": list(more[0].shape[1:])}
    if isinstance(network, Generator):
        card["spec"] = network.spec.model_dump(mode="json")
    return card | {name: value for name, value in facts.items() if name not in card}


def write_card(path: Path, card: Mapping[str, Any], runtime: ServingRuntime) -> None:
    """Beside the file, and inside it where its format has a place."""
    if runtime.note is not None:
        runtime.note(path, KEY, json.dumps(card))
    beside(path).write_text(json.dumps(card, indent=1) + "\n")


def read_card(path: Path, runtime: ServingRuntime) -> dict[str, Any]:
    """The card of a file: beside it, else inside. Raises `DataError` where there is none, or it is damaged."""
    place = beside(path)
    try:
        text = place.read_text() if place.exists() else runtime.noted and runtime.noted(path, KEY)
        if text:
            return dict(json.loads(text))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"the card of {path} is damaged; put it back as it was, or export the file again"
        ) from error
    raise DataError(
        f"{path} has no card, which says what network it is and what its values mean; put {place.name} beside it "
        "as `pocketgan export` wrote it, or export its PyTorch network (from Python: pocketgan.export)"
    )


def card_size(card: Mapping[str, Any]) -> Size:
    """Height and width of the images that the network was made for, which cards of earlier versions say as 256 or
    256x512. Raises KeyError, ValueError, TypeError or `SpecError` where the card does not say it."""
    size = card["size"]
    if isinstance(size, str):
        size = map(int, size.split("x"))
    return both_sides(size if isinstance(size, int) else tuple(size))


def beside(path: Path) -> Path:
    """Where the card of a file is."""
    return path.with_name(f"{path.name}.json")
