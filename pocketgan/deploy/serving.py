"""What a runtime that serves networks is: how a network becomes a file of its format, and how that runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pocketgan.units import Size

#: runs one image through a network that is ready
Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class ServingRuntime:
    """One runtime on the CPU, in float32.

    Attributes:
        name: that of `--runtime`.
        version: name and version for figures.
        ready: (network or file of its format, height and width, threads) -> a function that runs one image.
            Raises `SpecError` for a file that is fixed to another size.
        format: the name of its file format, for `--format`; none where it runs modules as they are.
        suffix: the end of such a file's name.
        export: (network, height and width, path) writes such a file.
        export_verified: the same, but the file appears only when it computes what the network does; with images to
            verify it on. Returns the largest absolute difference.
    """

    name: str
    version: Callable[[], str]
    ready: Callable[[Any, Size, int], Call]
    format: str | None = None
    suffix: str = ""
    export: Callable[[nn.Module, Size, Path], None] | None = None
    export_verified: Callable[[nn.Module, Size, Path, Tensor | None], float] | None = None
