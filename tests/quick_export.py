"""PyTorch's older ONNX exporter in the place of the one that ships files: ten times quicker.

Most tests that end in an export are about something else. The product compares every file with its network before
it is shipped, so a wrong graph fails the test. Tests of the export itself (tests/deploy, tests/networks) use the
product's exporter, by the fixture `real_export`.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn


class ByPosition(nn.Module):
    """A generator whose inputs beside the image come by position, and which takes no tap: what is scripted."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, image: Tensor, *more: Tensor) -> Tensor:
        return self.network(image, **dict(zip(self.names, more, strict=True)))


class Program:
    """As much of an exported program as the product uses."""

    def __init__(self, file: bytes) -> None:
        self.file = file
        self.model = self
        self.graph = self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def all_nodes(self) -> tuple[Any, ...]:
        return ()

    @property
    def metadata_props(self) -> dict[str, str]:
        return {}

    def save(self, path: Path, **_: Any) -> None:
        path.write_bytes(self.file)


def export(
    network: nn.Module, images: tuple[Tensor, ...], *, kwargs: dict[str, Tensor], **settings: Any
) -> Program:
    """What `torch.onnx.export` is called with, and as much of what it returns as is used."""
    names, file = settings["input_names"], io.BytesIO()
    open_sides = settings["dynamic_shapes"] or [{} for _ in names]
    axes = {
        name: {axis: f"{name}_{axis}" if axis else "batch" for axis in each}
        for name, each in zip(names, open_sides, strict=True)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says at length that it is the older one
        torch.onnx.export(
            ByPosition(network, tuple(kwargs)).eval(),
            (*images, *kwargs.values()),
            file,
            dynamo=False,
            do_constant_folding=False,
            opset_version=settings["opset_version"],
            input_names=names,
            output_names=settings["output_names"],
            dynamic_axes=axes,
        )
    return Program(file.getvalue())


class Exporter:
    """What stands in for `torch.onnx.export`; where `real`, it is the exporter itself."""

    def __init__(self, exporter: Callable[..., Any]) -> None:
        self.exporter = exporter
        self.real = False

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        if self.real or "kwargs" not in settings:  # which only the product's own call has
            return self.exporter(*arguments, **settings)
        return export(*arguments, **settings)


@contextmanager
def quick() -> Iterator[Exporter]:
    """`torch.onnx.export` is an `Exporter` meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        exporter = Exporter(torch.onnx.export)
        patch.setattr(torch.onnx, "export", exporter)
        yield exporter
