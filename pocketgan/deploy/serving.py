"""What a runtime that serves networks is: how a network becomes a file of its format, and how that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from pocketgan.errors import SpecError
from pocketgan.units import Size, size_text

if TYPE_CHECKING:
    from pocketgan.deploy.steps import Steps

#: runs one image through a network that is ready
Call = Callable[[], object]
#: fp32: all numbers of 32 bits; fp16: weights are stored in 16 bits, which halves the file, and computed with in
#: 32; int8: convolutions in 8 bits, see `quantise`
Precision = Literal["fp32", "fp16", "int8"]


class Served(NamedTuple):
    """A network that a runtime has loaded.

    Attributes:
        inputs: the shape of each input by its name, the image first; None for a length that is open.
        run: arrays of float32, by the names of the inputs -> the pictures.
        steps: the operations of the network on one image of a size, as `deploy.steps.steps_of` gives those of a
            module; None where the runtime cannot carry them out one by one.
    """

    inputs: dict[str, tuple[int | None, ...]]
    run: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    steps: Callable[[Size], Steps] | None = None


class LayerTime(NamedTuple):
    """What one operation of a file takes, as its runtime carries it out: after fusing, with changes of the layout.

    Attributes:
        name: that of the layer whose weights it holds, else the runtime's own.
        op: its kind, as the runtime calls it.
        shape: of what it gives; empty where the runtime does not tell.
        ms: the median of a run on one image, in milliseconds.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    ms: float


@runtime_checkable
class Exporter(Protocol):
    """Writes a network in eval mode to a file, for images of `size` or, unless `fixed`, of any other too.

    `images`: those on which 8 bits are calibrated.
    """

    def __call__(
        self,
        network: nn.Module,
        size: Size,
        path: Path,
        *,
        precision: Precision = "fp32",
        fixed: bool = False,
        images: Tensor | None = None,
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ServingRuntime:
    """One runtime on the CPU.

    Attributes:
        name: that of `--runtime`.
        version: name and version for figures.
        load: (network or file of its format, threads) -> the network, ready to run.
        format: the name of its file format, for `--format`; none where it runs modules as they are.
        suffix: the end of such a file's name.
        folder: whether such a "file" is a folder.
        beside: the ends of the names of what belongs beside it.
        export: writes such a file.
        precisions: those that it can write.
        note: writes a text into such a file under a name, where the format has a place for it.
        layers: (file, inputs, threads, runs) -> what each operation takes; none where the runtime does not tell.
        noted: reads such a text again; None where there is none.
        programs: whether its files are programs that may do anything where they are loaded; only files that have
            just been written are, never those of a user's.
        package: what must be installed, and by which extra of this package it is.
        elsewhere: where its files run, in words, if not on this machine; else empty.
        replay: as `load`, where files do not run here: computes the operations that a file holds by other means.
    """

    name: str
    version: Callable[[], str]
    load: Callable[[Any, int], Served]
    format: str | None = None
    suffix: str = ""
    folder: bool = False
    beside: tuple[str, ...] = ()
    export: Exporter | None = None
    precisions: tuple[Precision, ...] = ("fp32",)
    note: Callable[[Path, str, str], None] | None = None
    noted: Callable[[Path, str], str | None] | None = None
    layers: Callable[[Path, Mapping[str, np.ndarray], int, int], list[LayerTime]] | None = None
    programs: bool = False
    package: tuple[str, str] | None = None
    elsewhere: str = ""
    replay: Callable[[Path, int], Served] | None = None

    @property
    def installed(self) -> bool:
        """Whether it is here."""
        return self.package is None or find_spec(self.package[0]) is not None

    def check(self, precision: Precision = "fp32") -> None:
        """Raise `SpecError` where it is not installed here, or has no such precision."""
        if self.package and not self.installed:
            raise SpecError(
                f"{self.name} is not installed here; install it with: pip install 'pocketgan[{self.package[1]}]'"
            )
        if precision not in self.precisions:
            raise SpecError(
                f"{self.name} writes {', '.join(self.precisions)}, not {precision}; choose one of these"
            )

    def check_runs(self) -> None:
        """Raise `SpecError` where it is not installed, or its files do not run on this machine."""
        self.check()
        if self.elsewhere:
            raise SpecError(
                f"files for {self.name} do not run here: {self.elsewhere}; take the model folder, or another format"
            )

    def compared(self, path: Path) -> Served:
        """What a file is compared by: its run, or where it does not run here what stands for that."""
        return self.replay(path, 1) if self.elsewhere and self.replay else self.load(path, 1)

    def is_at(self, path: Path) -> bool:
        """Whether there is what may be such a file."""
        return path.is_dir() if self.folder else path.is_file()

    def bytes_of(self, path: Path) -> int:
        """What a file takes on the disk, with what belongs beside it."""
        files = [path, *(path.with_suffix(end) for end in self.beside)]
        files += path.rglob("*") if self.folder else []
        return sum(file.stat().st_size for file in files if file.is_file())

    def ready(self, network: Any, size: Size, threads: int) -> Call:
        """A function that runs one image through a network or a file of this runtime's format.

        Raises `SpecError` for a file that is fixed to another size.
        """
        served, feed = self.fed(network, size, threads)
        return lambda: served.run(feed)

    def fed(self, network: Any, size: Size, threads: int) -> tuple[Served, dict[str, np.ndarray]]:
        """A network or a file that is loaded, and inputs of one image for it. Raises as `ready`."""
        self.check_runs()
        served = self.load(network, threads)
        shapes = list(served.inputs.values())
        fixed = shapes[0][2:]
        if None not in fixed and fixed != size:
            own = size_text(fixed)  # type: ignore[arg-type]
            raise SpecError(
                f"'{network.name}' takes images of {own} pixels, and {size_text(size)} was asked for; "
                f"measure it at {own}"
            )
        feed = {
            name: numbers((*(n or 1 for n in shape[:2]), *(size if number == 0 else (n or 1 for n in shape[2:]))))
            for number, (name, shape) in enumerate(served.inputs.items())
        }
        return served, feed


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    """An input of that shape, in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
