"""The result of an evaluation: figures with their intervals, what they are of, and how to keep it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pocketgan.errors import DataError, OutputError
from pocketgan.files import replacing
from pocketgan.metrics.bootstrap import Contributions, resample
from pocketgan.metrics.catalog import METRICS
from pocketgan.metrics.stream import ImageList
from pocketgan.seeds import derive_seed

#: the share of images that count as the worst
WORST = 0.05

_KIND = "pocketgan evaluation"


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The mean over the worst 5 % of images (one at least), its interval, and their names, the worst first."""

    value: float
    interval: tuple[float, float] | None
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of one generator, or the mean over several of one recipe.

    Attributes:
        scores: by metric.
        per_image: the metrics that exist for one image, in the order of `names`.
        names: the inputs.
        intervals: 95 % bootstrap intervals, over the images (and models); empty unless asked for.
        errors: the bootstrap's standard errors, likewise.
        worst: of the metrics of one image.
        warnings: what a reader must know to judge the figures.
        protocol: its name.
        images: "sources", the inputs; "targets", the real images held against: exactly which.
        settings: by metric, what its figure depends on: two figures compare only where these are equal.
        members: the scores of each model, where there are several.
        contributions: by metric, what each image contributes; for resampling. Empty without intervals.
    """

    scores: dict[str, float]
    per_image: dict[str, list[float]]
    names: list[str]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    worst: dict[str, Worst] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    protocol: str = "held-out"
    images: dict[str, ImageList] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: list[dict[str, float]] = field(default_factory=list)
    contributions: dict[str, Contributions] = field(default_factory=dict, compare=False, repr=False)

    def resampled(self, seed: int = 0) -> Evaluation:
        """The same with errors and intervals, drawn from `seed`."""
        figures = dict(self.contributions)
        for name, values in self.per_image.items():
            figures[f"{name} worst"] = Contributions(_worst_shares(name, np.array(values))[None])
        drawn = resample(figures, derive_seed(seed, "evaluation")) if figures else {}
        intervals = {}
        for name in self.scores:
            low, high = drawn[name].interval
            # a Fréchet distance is never negative, its linearisation may be
            intervals[name] = (max(0.0, low), max(0.0, high)) if METRICS[name].measure == "frechet" else (low, high)
        return replace(
            self,
            intervals=intervals,
            errors={name: drawn[name].error for name in self.scores},
            worst={name: replace(w, interval=drawn[f"{name} worst"].interval) for name, w in self.worst.items()},
        )

    def content(self) -> dict[str, Any]:
        """Everything but the contributions as strict JSON takes it; infinity is the string "inf"."""
        return plain(
            {
                "kind": _KIND,
                "protocol": self.protocol,
                "scores": self.scores,
                "intervals": self.intervals,
                "errors": self.errors,
                "worst": {name: vars(worst) for name, worst in self.worst.items()},
                "warnings": self.warnings,
                "members": self.members,
                "settings": self.settings,
                "images": {side: listing.model_dump() for side, listing in self.images.items()},
                "names": self.names,
                "per_image": self.per_image,
            }
        )

    def save(self, folder: Path) -> None:
        """Write `result.json`, and `features.safetensors` with what the images contribute: all a comparison needs.

        Raises OutputError where that is impossible.
        """
        tensors = {}
        for name, figure in self.contributions.items():
            tensors[f"generated.{name}"] = np.ascontiguousarray(figure.generated)
            if figure.real is not None:
                tensors[f"real.{name}"] = np.ascontiguousarray(figure.real)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.content(), indent=1, allow_nan=False) + "\n"
            # result.json last: a folder that has one is whole
            for name, data in (("features.safetensors", save(tensors)), ("result.json", text.encode())):
                with replacing(folder / name) as part:
                    part.write_bytes(data)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error

    @classmethod
    def load(cls, folder: Path) -> Evaluation:
        """The result that `save` left. Raises DataError when there is none or it is damaged."""
        if not is_evaluation(folder):
            raise DataError(f"{folder} holds no result of an evaluation; make one with `pocketgan evaluate --out`")
        try:
            content = json.loads((folder / "result.json").read_text())
            tensors = load_file(folder / "features.safetensors")
            scores = _numbers(content["scores"])
            return cls(
                scores=scores,
                per_image={name: [float(v) for v in values] for name, values in content["per_image"].items()},
                names=[*content["names"]],
                intervals={name: _interval(ends) for name, ends in content["intervals"].items()},
                errors=_numbers(content["errors"]),
                worst={name: _read_worst(worst) for name, worst in content["worst"].items()},
                warnings=tuple(content["warnings"]),
                protocol=content["protocol"],
                images={side: ImageList(**listing) for side, listing in content["images"].items()},
                settings=content["settings"],
                members=[_numbers(member) for member in content["members"]],
                contributions={
                    name: Contributions(tensors[f"generated.{name}"], tensors.get(f"real.{name}"))
                    for name in scores
                    if f"generated.{name}" in tensors
                },
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise DataError(f"the result in {folder} is damaged; evaluate again") from error


def is_evaluation(folder: Path) -> bool:
    """Whether a folder holds what `Evaluation.save` leaves."""
    try:
        return bool(json.loads((folder / "result.json").read_text())["kind"] == _KIND)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def worst_of(per_image: Mapping[str, Sequence[float]], names: Sequence[str]) -> dict[str, Worst]:
    """The worst 5 % by each metric, without intervals."""
    found = {}
    for name, values in per_image.items():
        order = _worst_first(name, np.array(values))
        value = float(np.mean(np.array(values)[order]))
        found[name] = Worst(value=value, interval=None, names=tuple(names[place] for place in order))
    return found


def _worst_first(name: str, values: np.ndarray) -> np.ndarray:
    """The places of the worst images, the worst first."""
    count = max(1, math.ceil(WORST * len(values)))
    worse = values if METRICS[name].better == "lower" else -values
    return np.argsort(-worse, kind="stable")[:count]


def _worst_shares(name: str, values: np.ndarray) -> np.ndarray:
    """What each image contributes to the mean of the worst: their mean is that mean.

    Source: Rockafellar and Uryasev, "Optimization of conditional value-at-risk", 2000: its tangent at the sample.
    """
    order = _worst_first(name, values)
    threshold = values[order[-1]]
    if not np.isfinite(threshold):
        return values
    beyond = np.zeros(len(values))
    beyond[order] = values[order] - threshold
    return threshold + beyond * len(values) / len(order)


def _read_worst(content: dict[str, Any]) -> Worst:
    interval = content["interval"]
    return Worst(
        value=float(content["value"]),
        interval=None if interval is None else _interval(interval),
        names=tuple(content["names"]),
    )


def _numbers(content: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in content.items()}


def _interval(ends: Sequence[Any]) -> tuple[float, float]:
    low, high = ends
    return float(low), float(high)


def plain(value: Any) -> Any:
    """A value as strict JSON takes it: infinity is the string "inf"."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
