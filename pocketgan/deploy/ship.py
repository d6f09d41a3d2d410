"""Exports that were compared with their network before anybody could use them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.deploy.card import card_of, write_card
from pocketgan.deploy.inputs import noise, shipped, with_draws
from pocketgan.deploy.onnx import LEAST_PSNR
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.deploy.serving import Precision, Served, ServingRuntime
from pocketgan.errors import OutputError, PocketGANError
from pocketgan.units import Size, both_sides


class Bound(NamedTuple):
    """How near a file must come to its network: the largest difference allowed, and the PSNR in dB at least."""

    largest: float
    psnr: float


#: of 8 bits only the PSNR counts: single pixels may move further
BOUNDS: dict[Precision, Bound] = {
    "fp32": Bound(1e-3, 60),
    "fp16": Bound(0.05, 50),
    "int8": Bound(math.inf, LEAST_PSNR),
}


class Verified(NamedTuple):
    """How a file differed from its network over `images`: the largest absolute difference, and the PSNR in dB
    (20 log10 of 2, the range of the pictures, over the root mean square difference; infinite for equal ones).

    `elsewhere`: where files of its format run, if not here: then it was not run, and its operations were computed.
    """

    largest: float
    psnr: float
    images: int
    noise: bool = False
    elsewhere: str = ""

    def __str__(self) -> str:
        psnr = "equal" if math.isinf(self.psnr) else f"{self.psnr:.1f} dB"
        seen = f"{self.images} images" + (" of noise" if self.noise else "")
        text = f"largest difference to PyTorch {self.largest:.1e}, {psnr} over {seen}"
        return f"{text}; not run here: {self.elsewhere} (its operations were computed)" if self.elsewhere else text


def export_verified(
    network: nn.Module,
    size: int | Size,
    path: Path,
    images: Float[Tensor, "batch channels height width"] | None = None,
    *,
    runtime: str = "onnxruntime",
    precision: Precision = "fp32",
    fixed: bool = False,
    bound: Bound | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Verified:
    """Write `network` as a file of a runtime's format, run it there, and let it appear only if it passed.

    Beside it appears its card, `NAME.json` after the file's whole name, which says how to feed it (see `card`).

    Args:
        images: real ones in [-1, 1], or real label maps: it is compared on the four most varied of them, and 8 bits
            are calibrated on all. Without, it is compared on two of noise: pixels, or for label maps a class each.
        bound: default that of the precision.
        facts: what else the card shall tell, as that of the model.

    Raises OutputError for a place that cannot be written, SpecError for a runtime that is not installed or has no
    such precision, PocketGANError for a network that does not export or a file that differs too much.

        export_verified(network, 256, Path("small.xml"), images, runtime="openvino", precision="fp16")
    """
    chosen, size = runtime_named(runtime), both_sides(size)
    chosen.check(precision)
    assert chosen.export is not None, "it has a format"
    seen = noise(network, 2, size) if images is None else most_varied(images)
    with _appearing(path, chosen) as part:
        try:
            chosen.export(network, size, part, precision=precision, fixed=fixed, images=images)
        except (PocketGANError, OSError):
            raise
        except Exception as error:  # each exporter has exceptions of its own for what its format lacks
            raise PocketGANError(
                f"{type(network).__name__} does not become a file for {chosen.name} ({line_of(error)}); choose "
                "another format"
            ) from error
        found = verify(part, network, seen, runtime=chosen, bound=bound or BOUNDS[precision])
        found = found._replace(noise=images is None, elsewhere=chosen.elsewhere)
        fixed = None not in chosen.compared(part).inputs["image"][2:]
        card = card_of(network, size, chosen, precision, fixed=fixed, facts=facts or {})
        card["verified"] = {
            "against": f"torch {torch.__version__}",
            "images": f"{found.images} of noise" if found.noise else found.images,
            "largest_difference": found.largest,
            "psnr_db": None if math.isinf(found.psnr) else round(found.psnr, 2),
            **({"not_run_here": f"{chosen.elsewhere}; its operations were computed"} if chosen.elsewhere else {}),
        }
        write_card(part, card, chosen)
    return found


def verify(
    path: Path,
    network: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    runtime: ServingRuntime | None = None,
    bound: Bound = BOUNDS["fp32"],
) -> Verified:
    """How a file differs from `network` over `images`, run one by one; each gets a drawn style where the network
    takes one. `runtime`: that of the file, default ONNX Runtime.

    Raises PocketGANError beyond the bound.
    """
    runtime, network = runtime or runtime_named("onnxruntime"), shipped(network)
    served = runtime.compared(path)
    inputs = with_draws(network, images.cpu())
    rows = [{name: each[i : i + 1] for name, each in inputs.items()} for i in range(len(images))]
    found = _joined([_compared(served, network, row) for row in rows])
    if found.largest > bound.largest or found.psnr < bound.psnr:
        rule = f"within {bound.largest:g}" if math.isfinite(bound.largest) else ""
        rule = " and ".join(filter(None, (rule, f"to {bound.psnr:g} dB at least")))
        raise PocketGANError(
            f"a file for {runtime.name} must agree with its network {rule}, and this one differs by "
            f"{found.largest:.2g} ({found.psnr:.1f} dB); choose another precision or runtime, and do not ship it"
        )
    return found


def most_varied(images: Float[Tensor, "batch channels height width"], count: int = 4) -> Tensor:
    """The images to compare on: instance norm blows rounding up where an image is flat, and there runtimes may
    differ, and rightly so."""
    return images[images.flatten(1).std(1).argsort(descending=True)[:count]]


@torch.inference_mode()
def _compared(served: Served, network: nn.Module, inputs: dict[str, Tensor]) -> Verified:
    made = served.run({name: each.numpy() for name, each in inputs.items() if name in served.inputs})
    expected = network(inputs["image"], **{name: each for name, each in inputs.items() if name != "image"}).numpy()
    if made.shape != expected.shape or not np.isfinite(made).all():
        return Verified(math.inf, -math.inf, 1)
    difference = (made - expected).astype(np.float64)
    mean = float((difference**2).mean())
    return Verified(float(np.abs(difference).max()), 10 * math.log10(4 / mean) if mean else math.inf, 1)


def _joined(rows: list[Verified]) -> Verified:
    """Over all images: the largest difference, and the PSNR of the mean square difference."""
    mean = sum(0.0 if math.isinf(row.psnr) and row.psnr > 0 else 10 ** (-row.psnr / 10) for row in rows) / len(rows)
    psnr = -10 * math.log10(mean) if mean else math.inf
    return Verified(max(row.largest for row in rows), psnr, len(rows))


def line_of(error: Exception) -> str:
    """The end of what others' code says, in one line: that is where it says what is wrong."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"... {text[-160:]}"


@contextmanager
def _appearing(path: Path, runtime: ServingRuntime) -> Iterator[Path]:
    """A place to write a file and what belongs beside it; all take their places when the context ends well, `path`
    last, or disappear on failure."""
    if path.exists() and not runtime.is_at(path):
        raise OutputError(f"'{path}' is no file that an export could replace; choose another place")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            part = Path(folder) / path.name
            yield part
            for each in sorted(Path(folder).iterdir(), key=lambda each: each == part):
                place = path.with_name(each.name)
                if place.is_dir():  # a folder takes the place of an empty one alone
                    with TemporaryDirectory(dir=path.parent, prefix=".") as aside:
                        os.replace(place, Path(aside) / each.name)
                        os.replace(each, place)
                else:
                    os.replace(each, place)
    except OSError as error:
        raise OutputError(
            f"an export needs a place that can be written, and '{path}' is none ({error.strerror}); choose another"
        ) from error
