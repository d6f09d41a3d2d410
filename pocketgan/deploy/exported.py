"""Exported files as models: the file runs in its own runtime, and its card says what else there is to know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import TypeAdapter
from torch import Tensor, nn

from pocketgan.deploy.card import beside, card_size, read_card
from pocketgan.deploy.runtimes import runtime_of_file
from pocketgan.deploy.serving import Served, ServingRuntime
from pocketgan.deploy.ship import line_of
from pocketgan.deploy.steps import Steps, Untileable
from pocketgan.elastic.skeleton import skeleton
from pocketgan.errors import DataError, SpecError
from pocketgan.models import Model, find_model
from pocketgan.networks import AnySpec, NetworkSpec
from pocketgan.units import Size, size_text

_SPECS: TypeAdapter[Any] = TypeAdapter(AnySpec)


class Exported(nn.Module):
    """A file that its runtime has loaded, as a network: images, and what it takes beside them, to pictures.

    It computes on the CPU, and answers on the device of its images.

    Args:
        draw: as of `Generator`: what it takes beside so many images.
    """

    def __init__(
        self, path: Path, served: Served, draw: Callable[[int, torch.Generator], dict[str, Tensor]]
    ) -> None:
        super().__init__()
        self.path, self.served, self.draw = path, served, draw

    def forward(
        self, x: Float[Tensor, "batch in height width"], **more: Tensor
    ) -> Float[Tensor, "batch out height width"]:
        (image, (batch, *_)), *_ = self.served.inputs.items()
        feed = {name: each.cpu().float().numpy() for name, each in {image: x, **more}.items()}
        step = batch or len(x)
        try:
            made = [
                torch.from_numpy(self.served.run({name: each[i : i + step] for name, each in feed.items()}))
                for i in range(0, len(x), step)
            ]
        except Exception as error:  # each runtime has exceptions of its own
            sides = size_text((x.shape[2], x.shape[3]))
            raise DataError(
                f"{self.path} fails on images of {sides} pixels ({line_of(error)}); export it again, or at that "
                f"size with --size {sides}"
            ) from error
        return torch.cat(made).to(x.device)

    def steps(self, size: Size) -> Steps:
        """Its operations, as `steps_of` gives those of a module. Raises `Untileable` where there are none."""
        if self.served.steps is None:
            raise Untileable(
                f"a picture is made in parts operation by operation, and the runtime of {self.path.name} runs it "
                "as a whole; take the model folder or its ONNX file, or run it whole (translate: leave --tile out)"
            )
        return self.served.steps(size)


class OfOneSize:
    """The spec of a file that takes images of one size alone, as far as images ask it; `network`: the whole one."""

    stride = smallest_side = 1

    def __init__(self, spec: NetworkSpec, path: Path, size: Size) -> None:
        self.kind, self.in_channels, self.out_channels = spec.kind, spec.in_channels, spec.out_channels
        self.network, self.path, self.size = spec, path, size

    def check_size(self, *sides: int) -> None:
        """Raise `SpecError` for another size."""
        asked = (sides[0], sides[-1])
        if asked != self.size:
            raise SpecError(
                f"{self.path} takes images of {size_text(self.size)} pixels alone, not of {size_text(asked)}; say "
                f"--size {size_text(self.size)}, or export it to ONNX without --fixed"
            )


def open_model(text: str) -> Model:
    """The model that a user names: an exported file, or what `find_model` finds.

    Raises `DataError` or `SpecError` for a file that is not there, is damaged, has no card, or one of another file;
    and where its runtime is not installed.
    """
    runtime = runtime_of_file(text)
    if runtime is None:
        return find_model(text)
    path = Path(text)
    card = read_card(path, runtime)
    try:
        spec = _SPECS.validate_python(card["spec"])
        size = card_size(card)
    except (KeyError, ValueError, TypeError, SpecError) as error:
        raise DataError(
            f"the card of {path} does not say what network it is; put back {beside(path).name} as it was written, "
            "or export it again"
        ) from error
    served = _loaded(path, runtime)
    _, channels, *sides = next(iter(served.inputs.values()))
    if channels not in (None, spec.in_channels):
        raise DataError(
            f"{path} takes {channels} channels, and its card speaks of {spec.in_channels}: it is that of another "
            "file; put back its own, or export it again"
        )
    network = Exported(path, served, skeleton(spec).draw).eval()
    height, width = sides
    seen = spec if height is None or width is None else OfOneSize(spec, path, (height, width))
    return Model(network, seen, {**card, "size": size})


def _loaded(path: Path, runtime: ServingRuntime) -> Served:
    runtime.check_runs()
    try:
        return runtime.load(path, torch.get_num_threads())
    except Exception as error:  # each runtime has exceptions of its own for what is wrong with a file
        raise DataError(
            f"{path} is damaged, or needs what {runtime.version()} does not have ({line_of(error)}); export it "
            "again"
        ) from error
