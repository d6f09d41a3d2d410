"""The latencies of a run's networks, as one machine measured them in turns."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from pocketgan.deploy.latency import BUSY, Latency, where
from pocketgan.deploy.machine import Machine
from pocketgan.units import Size, number_text, size_text


class Measurement(BaseModel):
    """When, where and on what; the `latencies` of the networks by their names, and the `digests` of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: datetime
    machine: Machine
    runtime: str
    threads: int
    size: Size
    digests: dict[str, str]
    latencies: dict[str, Latency]

    @property
    def waiting(self) -> float:
        """The largest share of the time in which others had the processor."""
        return max(each.waiting for each in self.latencies.values())

    @property
    def busy(self) -> bool:
        """Whether milliseconds say more of the machine than of the networks; ratios hold."""
        return self.waiting > BUSY

    @property
    def where(self) -> str:
        """The runtime, its threads, and whether the machine was busy."""
        return where(list(self.latencies.values()))

    @property
    def text(self) -> str:
        """All in one line."""
        figures = []
        for name, each in self.latencies.items():
            low, high = map(number_text, each.quartiles_ms)
            median, least = number_text(each.median_ms), number_text(each.least_ms)
            figures.append(f"{name} {median} ms (least {least}, quartiles {low} to {high})")
        return f"{', '.join(figures)}: {self.where}, {size_text(self.size)} pixels, {self.machine.cpu}"
