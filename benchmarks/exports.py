"""Every family in every format and precision, at two sizes, run in its runtime and held against PyTorch.

Untrained weights, enlarged so that the pictures are no plain grey; the bundled micrographs (label maps: an example
of the family). A format of fixed size is written once for each size; one whose runtime is not installed is left
out, and named. A file beyond its bound stands as refused; aim: at least 60 dB in 32 bits everywhere.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure
import torch
from torch import Tensor, nn

from pocketgan.data.images import list_images, read_rgb, resize, to_tensor
from pocketgan.deploy import onnx
from pocketgan.deploy.runtimes import runtimes_by_format
from pocketgan.deploy.serving import ServingRuntime
from pocketgan.deploy.ship import BOUNDS, export_verified, verify
from pocketgan.errors import PocketGANError
from pocketgan.networks import init_normal
from pocketgan.networks.presets import forms, parse_spec
from pocketgan.tracing.trace import trace

IMAGES = measure.ROOT / "examples" / "nuclei" / "stained" / "B"
#: calibrating 8 bits takes some, comparing takes four
COUNT = 8


class Own(nn.Module):
    """A generator of a user's: a residual encoder and decoder with group norm and pixel shuffle."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, width, 4, 2, 1), nn.GroupNorm(2, width), nn.SiLU())
        self.block = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.InstanceNorm2d(width), nn.ReLU())
        self.decoder = nn.Sequential(nn.Conv2d(width, 12, 3, 1, 1), nn.PixelShuffle(2), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        return self.decoder(x + self.block(x))


def network_of(name: str, width: int) -> Any:
    if name == "own":
        torch.manual_seed(0)
        return trace(Own(width), torch.rand(2, 3, 64, 64)).generator().eval()
    network = init_normal(parse_spec(f"{name}:{width}").build(), torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 4:
                weight.mul_(5)
        norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
        for norm in norms:  # else what enlarged weights make would grow from layer to layer
            norm.momentum = None
        if norms:
            network.train()(images_of(network, max(128, network.spec.smallest_side)))
    return network.eval()


def images_of(network: Any, side: int) -> Tensor:
    if network.spec.kind == "spade":
        return network.spec.example(COUNT, (side, side), torch.Generator().manual_seed(0))
    files = list_images(IMAGES)[:: len(list_images(IMAGES)) // COUNT][:COUNT]
    return torch.cat([to_tensor(resize(read_rgb(path), side, side)[None]) for path in files])


@contextmanager
def one_trace(place: Path) -> Iterator[None]:
    """Within, the ONNX files of one network start from one trace, which takes most of the time and is the same."""
    write = onnx._write

    def once(network: nn.Module, size: Any, path: Path, fixed: bool, opset: int) -> None:
        kept = place / f"{size}-{fixed}.trace"
        if not kept.exists():
            write(network, size, kept, fixed, opset)
        shutil.copyfile(kept, path)

    onnx._write = once
    try:
        yield
    finally:
        onnx._write = write


def row_of(
    name: str, network: Any, runtime: ServingRuntime, precision: Any, sides: tuple[int, ...], place: Path
) -> dict[str, Any]:
    row: dict[str, Any] = {"family": name, "format": runtime.format, "precision": precision}
    began, path = time.perf_counter(), place / f"{name}-{precision}{runtime.suffix}"
    try:
        for side in sides:
            images = images_of(network, side)
            open_sized = path.exists() and None in runtime.compared(path).inputs["image"]
            if open_sized:
                found = verify(path, network, images[:4], runtime=runtime, bound=BOUNDS[precision])
            else:
                found = export_verified(network, side, path, images, runtime=runtime.name, precision=precision)
            row[f"largest_{side}"] = measure.figure(found.largest)
            row[f"psnr_{side}"] = measure.figure(min(found.psnr, 999.0))
        row["megabytes"] = measure.figure(runtime.bytes_of(path) / 1e6)
    except PocketGANError as error:
        row["refused"] = str(error)
    if runtime.elsewhere:
        row["not_run"] = runtime.elsewhere
    row["seconds"] = measure.figure(time.perf_counter() - began)
    return row


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--families", nargs="+", help="these alone; default all, and a module of a user's")
    own.add_argument("--formats", nargs="+", help="these alone; default all that are installed")
    chosen = measure.options(__doc__, turns=1, threads=1, own=own)
    every = [*forms(), "own"]
    names = chosen.families or (["own"] if chosen.quick else every)
    runtimes = {
        name: each
        for name, each in runtimes_by_format().items()
        if each.installed and name in (chosen.formats or runtimes_by_format())
    }
    absent = sorted(name for name, each in runtimes_by_format().items() if not each.installed)
    rows = []
    for name in names:
        network = network_of(name, 2 if chosen.quick else 8)
        least = max(128, network.spec.smallest_side)  # a U-Net of eight levels takes 256 and more
        sides = (64, 96) if chosen.quick else (least, 2 * least)
        with tempfile.TemporaryDirectory() as traces, one_trace(Path(traces)):
            for format, runtime in runtimes.items():
                if chosen.quick and format != "onnx":
                    continue
                for precision in runtime.precisions:
                    with tempfile.TemporaryDirectory() as place:
                        rows.append(row_of(name, network, runtime, precision, sides, Path(place)))
                    print(measure.table(rows[-1:]).splitlines()[1], flush=True)
    whole = [row for row in rows if row["precision"] == "fp32"]
    found = [value for row in whole for key, value in row.items() if key.startswith("psnr")]
    refused = sum("refused" in row for row in rows)
    measure.report(
        "exports", chosen, rows, least_psnr_of_fp32=min(found, default=None), refused=refused, not_installed=absent
    )


if __name__ == "__main__":
    main()
