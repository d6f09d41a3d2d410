"""A network that the page can run: its ONNX file, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketgan.elastic.cost import cost
from pocketgan.networks import NetworkSpec
from pocketgan.units import Size


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One network of the page.

    Attributes:
        name: in addresses: `teacher`, `compressed`, `front-1`.
        title: for people.
        file: its ONNX file, float32.
        macs, true_macs, params: of one image of the page's size.
        score_text: of the metric that the search used, as `fd_mobilenet_v2 533 on select`; empty where unknown.
    """

    name: str
    title: str
    file: Path
    macs: int
    true_macs: int
    params: int
    score_text: str = ""

    @classmethod
    def of(
        cls, name: str, title: str, file: Path, spec: NetworkSpec, size: Size, score_text: str = ""
    ) -> Contestant:
        """The contestant of a file that was exported from a network of that spec."""
        return cls(name=name, title=title, file=file, score_text=score_text, **cost(spec, *size))

    @property
    def place(self) -> str:
        """Its address, relative to the page."""
        return f"models/{self.name}.onnx"

    def described(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "name": self.name,
            "title": self.title,
            "file": self.place,
            "macs": self.macs,
            "true_macs": self.true_macs,
            "params": self.params,
            "bytes": self.file.stat().st_size,
            "score": self.score_text,
        }
