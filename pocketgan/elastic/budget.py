"""Upper bounds on what a network may cost."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Bool
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from pocketgan.elastic.cost import CostModel, Costs
from pocketgan.elastic.space import SearchSpace
from pocketgan.errors import BudgetError
from pocketgan.units import number_text, parse_quantity, si

UNITS = {"macs": "MACs", "true_macs": "true MACs", "params": "parameters"}
LATENCY = "latency_ms"
#: other names of bounds, as users write them
LATENCY_NAMES = (LATENCY, "latency")
#: the file of the weights, of which a parameter takes four bytes
SIZE = "size"
BYTES = 4
#: what may be bounded, in the users' words
NAMES = (*UNITS, SIZE, "latency")


class Budget(BaseModel):
    """Any subset of: `macs` (papers' convention), `true_macs`, `params`, `latency_ms` (milliseconds); for one image
    at the task's size.

    `bounds` are those that arithmetic decides, for any network. Latency is that on a `runtime`, which a latency
    model predicts; without one it can only be compared with what was measured.

    Attributes:
        runtime: the serving runtime and its threads, as onnxruntime:1, on which the latency is bounded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    macs: int | None = None
    true_macs: int | None = None
    params: int | None = None
    #: left out of JSON where there is none, so that what was searched before keeps its address
    latency_ms: PositiveFloat | None = Field(default=None, exclude_if=lambda bound: bound is None)
    runtime: str | None = Field(default=None, exclude_if=lambda runtime: runtime is None)

    @model_validator(mode="after")
    def _runtime_used(self) -> Budget:
        if self.runtime and self.latency_ms is None:
            raise ValueError("a runtime is for a bound on the latency")
        return self

    @classmethod
    def parse(cls, text: str | float, runtime: str | None = None) -> Budget:
        """'2.6G' (MACs, papers' convention; a number is one too) or 'macs=2.6G,params=400K,latency=12.5ms'; also
        'size=400KB', the bytes of the weights.

        `runtime`: where the latency is bounded, as 'onnxruntime:1'.
        """
        if isinstance(text, Real) and not isinstance(text, bool):
            text = str(int(text))
        if not isinstance(text, str):
            raise BudgetError(f"budget {text!r} is no budget; give MACs as '1.5G', or 'true_macs=1G,params=400K'")
        bounds: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = part.strip().rpartition("=")
            name = name if equals else "macs"
            if name not in (*UNITS, SIZE, *LATENCY_NAMES):
                raise BudgetError(f"budget '{text}' bounds '{name}'; bounds are {', '.join(NAMES)}")
            kind = LATENCY if name in LATENCY_NAMES else "params" if name == SIZE else name
            if kind in bounds:
                raise BudgetError(f"budget '{text}' bounds '{name}' twice; give it once")
            bounds[kind] = _READERS.get(name, lambda _, value: parse_quantity(value))(text, value.strip())
        if runtime and LATENCY not in bounds:
            raise BudgetError(
                f"--runtime {runtime} is for a bound on the latency, and budget '{text}' has none; add "
                "latency=20ms to it, or leave the runtime out"
            )
        return cls(**bounds, runtime=runtime)

    @property
    def arithmetic(self) -> Budget:
        """The same without what must be measured."""
        return self.model_copy(update={"latency_ms": None, "runtime": None})

    @property
    def bounds(self) -> dict[str, int]:
        return {name: bound for name in UNITS if (bound := getattr(self, name)) is not None}

    def __str__(self) -> str:
        texts = [f"{si(bound)} {UNITS[name]}" for name, bound in self.bounds.items()]
        return ", ".join([*texts, self.latency_text] if self.latency_ms else texts) or "none"

    @property
    def latency_text(self) -> str:
        """'20.0 ms on onnxruntime:1'."""
        return f"{number_text(self.latency_ms)} ms{f' on {self.runtime}' if self.runtime else ''}"

    def admits(self, costs: Costs) -> Bool[np.ndarray, " n"]:
        """Which networks cost no more than every bound; where the latency is bounded, they must have been timed."""
        within = np.ones(len(costs.params), dtype=bool)
        for name, bound in self.bounds.items():
            within &= getattr(costs, name) <= bound
        if self.latency_ms is not None:
            assert costs.latency_ms is not None, "the caller has a latency model"
            within &= costs.latency_ms <= self.latency_ms
        return within

    def check(self, space: SearchSpace, model: CostModel) -> None:
        """Raise `BudgetError` when not even the smallest subnet fits, or what `check_no_latency` raises.

        A latency on a runtime is checked where the cost model has a latency model.
        """
        if self.runtime is None:
            self.check_no_latency()
        smallest = model.of(space, np.array([space.smallest]))
        for name, bound in self.bounds.items():
            if (least := smallest.at(0)[name]) > bound:
                raise _below(space, f"{si(bound)} {UNITS[name]}", si(least))
        if self.latency_ms is not None and smallest.latency_ms is not None:
            self.check_latency(space, float(smallest.latency_ms[0]))

    def check_latency(self, space: SearchSpace, least: float) -> None:
        """Raise `BudgetError` when the smallest subnet, of so many milliseconds, is over the bound."""
        if self.latency_ms is not None and least > self.latency_ms:
            raise _below(space, self.latency_text, f"{number_text(least)} ms")

    def check_no_latency(self) -> None:
        """Raise `BudgetError` for a bound on the latency: to be called where nothing is measured."""
        if self.latency_ms is not None:
            raise BudgetError(
                f"budget '{LATENCY}={self.latency_ms:g}' bounds what is measured after a search only; "
                f"bound {', '.join(UNITS)} here, and pick by latency from the finished run"
            )


def _below(space: SearchSpace, bound: str, least: str) -> BudgetError:
    return BudgetError(
        f"budget {bound} is below the smallest subnet of {space.name} ({least}: {space.text(space.smallest)}); "
        "raise it or choose a smaller space"
    )


def _milliseconds(text: str, number: str) -> float:
    number = number.removesuffix("ms").rstrip()
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", number, re.ASCII) or not float(number):
        raise BudgetError(f"budget '{text}' cannot be read; write milliseconds, as latency=12.5ms")
    return float(number)


def _parameters(text: str, size: str) -> int:
    """How many there may be in a file of that size."""
    if size[-1:] not in ("B", "b"):
        raise BudgetError(f"budget '{text}' cannot be read; write bytes, as {SIZE}=400KB")
    return max(1, parse_quantity(size[:-1]) // BYTES)


#: how values are read that are no plain quantities
_READERS = {LATENCY: _milliseconds, "latency": _milliseconds, SIZE: _parameters}
