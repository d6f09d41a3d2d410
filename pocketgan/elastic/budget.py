"""Upper bounds on what a network may cost."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from pydantic import BaseModel, ConfigDict

from pocketgan.elastic.cost import CostModel, Costs
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import BudgetError
from pocketgan.units import parse_quantity, si

UNITS = {"macs": "MACs", "true_macs": "true MACs", "params": "parameters"}


class Budget(BaseModel):
    """Any subset of: `macs` (papers' convention), `true_macs`, `params`; for one image at the task's size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    macs: int | None = None
    true_macs: int | None = None
    params: int | None = None
    latency_ms: float | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """'2.6G' (MACs, papers' convention) or 'macs=2.6G,params=400K'."""
        bounds = {}
        for part in text.split(","):
            name, equals, value = part.strip().rpartition("=")
            name = name if equals else "macs"
            if name not in UNITS:
                raise BudgetError(f"budget '{text}' bounds '{name}'; bounds are {', '.join(UNITS)}")
            if name in bounds:
                raise BudgetError(f"budget '{text}' bounds '{name}' twice; give it once")
            bounds[name] = parse_quantity(value)
        return cls(**bounds)

    @property
    def bounds(self) -> dict[str, int]:
        return {name: bound for name in UNITS if (bound := getattr(self, name)) is not None}

    def __str__(self) -> str:
        return ", ".join(f"{si(bound)} {UNITS[name]}" for name, bound in self.bounds.items()) or "none"

    def admits(self, costs: Costs) -> Bool[np.ndarray, " n"]:
        """Which networks cost no more than every bound."""
        within = np.ones(len(costs.params), dtype=bool)
        for name, bound in self.bounds.items():
            within &= getattr(costs, name) <= bound
        return within

    def check(self, space: SearchSpace, model: CostModel) -> None:
        """Raise `BudgetError` when not even the smallest subnet fits."""
        smallest = model.of(space, np.array([space.smallest])).at(0)
        for name, bound in self.bounds.items():
            if smallest[name] > bound:
                raise BudgetError(
                    f"budget {si(bound)} {UNITS[name]} is below the smallest subnet of {space.name} "
                    f"({si(smallest[name])}: {space.text(space.smallest)}); raise it or choose a smaller space"
                )
