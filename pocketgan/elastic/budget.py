"""Upper bounds on what a network may cost."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Bool
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from pocketgan.elastic.cost import CostModel, Costs
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import BudgetError
from pocketgan.units import number_text, parse_quantity, si

UNITS = {"macs": "MACs", "true_macs": "true MACs", "params": "parameters"}
LATENCY = "latency_ms"


class Budget(BaseModel):
    """Any subset of: `macs` (papers' convention), `true_macs`, `params`, `latency_ms` (milliseconds); for one image
    at the task's size.

    `bounds` are those that arithmetic decides, for any network; latency must be measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    macs: int | None = None
    true_macs: int | None = None
    params: int | None = None
    #: left out of JSON where there is none, so that what was searched before keeps its address
    latency_ms: PositiveFloat | None = Field(default=None, exclude_if=lambda bound: bound is None)

    @classmethod
    def parse(cls, text: str | float) -> Budget:
        """'2.6G' (MACs, papers' convention; a number is one too) or 'macs=2.6G,params=400K,latency_ms=12.5'."""
        if isinstance(text, Real) and not isinstance(text, bool):
            text = str(int(text))
        if not isinstance(text, str):
            raise BudgetError(f"budget {text!r} is no budget; give MACs as '1.5G', or 'true_macs=1G,params=400K'")
        bounds: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = part.strip().rpartition("=")
            name = name if equals else "macs"
            if name not in (*UNITS, LATENCY):
                raise BudgetError(f"budget '{text}' bounds '{name}'; bounds are {', '.join((*UNITS, LATENCY))}")
            if name in bounds:
                raise BudgetError(f"budget '{text}' bounds '{name}' twice; give it once")
            bounds[name] = _milliseconds(text, value.strip()) if name == LATENCY else parse_quantity(value)
        return cls(**bounds)

    @property
    def bounds(self) -> dict[str, int]:
        return {name: bound for name in UNITS if (bound := getattr(self, name)) is not None}

    def __str__(self) -> str:
        texts = [f"{si(bound)} {UNITS[name]}" for name, bound in self.bounds.items()]
        return (
            ", ".join(texts if self.latency_ms is None else [*texts, f"{number_text(self.latency_ms)} ms"])
            or "none"
        )

    def admits(self, costs: Costs) -> Bool[np.ndarray, " n"]:
        """Which networks cost no more than every one of `bounds`."""
        within = np.ones(len(costs.params), dtype=bool)
        for name, bound in self.bounds.items():
            within &= getattr(costs, name) <= bound
        return within

    def check(self, space: SearchSpace, model: CostModel) -> None:
        """Raise `BudgetError` when not even the smallest subnet fits, or what `check_no_latency` raises."""
        self.check_no_latency()
        smallest = model.of(space, np.array([space.smallest])).at(0)
        for name, bound in self.bounds.items():
            if smallest[name] > bound:
                raise BudgetError(
                    f"budget {si(bound)} {UNITS[name]} is below the smallest subnet of {space.name} "
                    f"({si(smallest[name])}: {space.text(space.smallest)}); raise it or choose a smaller space"
                )

    def check_no_latency(self) -> None:
        """Raise `BudgetError` for a bound on the latency: to be called where nothing is measured."""
        if self.latency_ms is not None:
            raise BudgetError(
                f"budget '{LATENCY}={self.latency_ms:g}' bounds what is measured after a search only; "
                f"bound {', '.join(UNITS)} here, and pick by latency from the finished run"
            )


def _milliseconds(text: str, number: str) -> float:
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", number, re.ASCII) or not float(number):
        raise BudgetError(f"budget '{text}' cannot be read; write milliseconds, as {LATENCY}=12.5")
    return float(number)
