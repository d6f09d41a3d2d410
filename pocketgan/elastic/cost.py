"""What a network costs, from its spec alone: no data, no weights.

Two conventions, both always reported:
`true_macs` counts the multiply-accumulates of convolutions, linear layers and products of matrices. `macs`
follows the papers' tables (torchprofile 0.0.1): a transposed convolution is charged at its *output* positions (4
times the truth at stride 2), and every element that an instance norm puts out counts one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from pocketgan.elastic.dimensions import Dimension, dimensions, fit, vary
from pocketgan.elastic.layer_costs import LayerCost, layer_costs
from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.space import SearchSpace
from pocketgan.networks import NetworkSpec, Widths

_CHUNK = 1 << 16  # genomes costed at once: the working set stays in the cache

COSTS = ("params", "macs", "true_macs")
#: what a network does, as far as it takes time: true MACs by the kind of layer (`head` and `tail`: of those that
#: read the image and write the picture), the elements that convolutions put out, transposed ones and instance norms
#: by themselves, and how many layers there are
WORK = (
    *("dense", "pointwise", "depthwise", "transposed", "head", "tail", "other"),
    *("elements", "upsampled", "norms", "layers"),
)


@dataclass(frozen=True)
class Costs:
    """Parameters and MACs of many networks, or of one; and milliseconds, where a latency model predicted them."""

    params: Int[np.ndarray, "*n"]
    macs: Int[np.ndarray, "*n"]
    true_macs: Int[np.ndarray, "*n"]
    latency_ms: Float[np.ndarray, "*n"] | None = None

    def at(self, index: int) -> dict[str, int]:
        return {name: int(getattr(self, name)[index]) for name in COSTS}


@runtime_checkable
class Timing(Protocol):
    """From the work of networks to their milliseconds: see `latency.LatencyModel`."""

    def __call__(self, work: Float[np.ndarray, "n work"]) -> Float[np.ndarray, " n"]: ...


def cost(spec: NetworkSpec, height: int, width: int | None = None) -> dict[str, int]:
    """`params`, `macs` and `true_macs` of one network for one image."""
    layers = layer_costs(spec, height, width)
    return {
        "params": sum(p.numel() for p in skeleton(spec).parameters()),
        "macs": sum(layer.macs for layer in layers),
        "true_macs": sum(layer.true_macs for layer in layers),
    }


def official_macs(spec: NetworkSpec, height: int, width: int | None = None) -> dict[str, int]:
    """The MACs of one network for one image by every convention: `legacy_macs`, `macs`, `torchprofile_macs` and
    `true_macs`."""
    layers = layer_costs(spec, height, width)
    names = ("legacy_macs", "macs", "torchprofile_macs", "true_macs")
    return {name: sum(getattr(layer, name) for layer in layers) for name in names}


class CostModel:
    """Costs of any widths of a spec by arithmetic alone.

    Every figure is a sum of products of two affine functions of the widths; the functions are found once by
    varying one width group at a time, after which a million networks take a fraction of a second.

    `timing`: what predicts milliseconds of subnets besides.
    """

    def __init__(
        self, spec: NetworkSpec, height: int, width: int | None = None, timing: Timing | None = None
    ) -> None:
        self.spec, self.size, self.timing = spec, (height, width), timing
        self._others: dict[NetworkSpec, CostModel] = {}
        spec = spec.folded
        dims = dimensions(spec)
        layers = layer_costs(spec, height, width)
        kinds = {layer.name: layer.kind for layer in layers}
        self._functions: list[Dimension] = []
        self._terms: dict[str, dict[tuple[int, int], int]] = {name: defaultdict(int) for name in (*COSTS, *WORK)}
        for name in dict(skeleton(spec).named_parameters()):
            self._add("params", 1, dims[name])
        varied: list[tuple[LayerCost, ...]] = []

        def elsewhere(i: int) -> list[LayerCost]:
            """The layer where one width group after the other is one larger."""
            if not varied:
                wider = (spec.resized(vary(spec.widths, g)) for g in range(len(spec.widths)))
                varied.extend(layer_costs(each, height, width) for each in wider)
            return [other[i] for other in varied]

        for i, layer in enumerate(layers):
            if layer.weights or layer.norm:
                self._add("layers", 1, ())
            if layer.sizes:
                others = elsewhere(i)
                sizes = tuple(
                    fit(spec.widths, size, [other.sizes[k] for other in others])
                    for k, size in enumerate(layer.sizes)
                )
                self._add("macs", layer.paper_positions, sizes)
                self._add("true_macs", layer.true_positions, sizes)
                self._add("other", layer.true_positions, sizes)
            elif layer.weights:
                weight = dims[f"{layer.name}.weight"]
                self._add("macs", layer.paper_positions, weight)
                self._add("true_macs", layer.true_positions, weight)
                self._add(_work(layer, weight), layer.true_positions, weight)
                out = weight[layer.kind == "conv_transpose2d" and not layer.grouped]
                written = "upsampled" if layer.kind == "conv_transpose2d" else "elements"
                self._add(written, layer.paper_positions, (out,))
            elif layer.source and (channels := self._channels(dims, layer.source, kinds)).factors:
                for figure in ("macs", "norms"):
                    self._add(figure, layer.norm // layer.out_shape[0], (channels,))
            elif layer.norm:
                elements = fit(spec.widths, layer.norm, [other.norm for other in elsewhere(i)])
                for figure in ("macs", "norms"):
                    self._add(figure, 1, (elements,))

    @staticmethod
    def _channels(
        dims: Mapping[str, tuple[Dimension, ...]], convolution: str, kinds: Mapping[str, str]
    ) -> Dimension:
        """The channels that a convolution puts out; of a transposed one of each channel by itself only the constant
        1, which is those of one group."""
        return dims[f"{convolution}.weight"][kinds[convolution] == "conv_transpose2d"]

    def _add(self, figure: str, scale: int, dims: tuple[Dimension, ...]) -> None:
        """One more term: scale * product of the dimensions, at most two of which vary."""
        for dim in dims:
            if not dim.factors:
                scale *= dim.constant
        one = Dimension(1, ())
        moving = ([dim for dim in dims if dim.factors] + [one, one])[: max(2, sum(bool(d.factors) for d in dims))]
        first, second = sorted(self._index(dim) for dim in moving)
        self._terms[figure][first, second] += scale

    def _index(self, function: Dimension) -> int:
        if function not in self._functions:
            self._functions.append(function)
        return self._functions.index(function)

    def __call__(self, widths: Int[np.ndarray, "n groups"]) -> Costs:
        """The costs of n networks of this spec at other widths."""
        return Costs(**self._sums(COSTS, widths))

    def _sums(
        self, figures: tuple[str, ...], widths: Int[np.ndarray, "n groups"]
    ) -> dict[str, Int[np.ndarray, " n"]]:
        factors = np.zeros((len(self.spec.widths), len(self._functions)))
        constants = np.array([function.constant for function in self._functions], dtype=float)
        for column, function in enumerate(self._functions):
            for group, factor in function.factors:
                factors[group, column] = factor
        totals = {name: np.zeros(len(widths), dtype=np.int64) for name in figures}
        for start in range(0, len(widths), _CHUNK):
            part = slice(start, start + _CHUNK)
            # float64 matrix products are exact here (all sizes stay far below 2**53), and faster than integer ones
            values = np.ascontiguousarray((widths[part] @ factors + constants).T)
            for name in figures:
                total = np.zeros(values.shape[1])
                for (first, second), scale in self._terms[name].items():
                    total += scale * values[first] * values[second]
                totals[name][part] = total
        return totals

    def one(self, widths: Widths) -> dict[str, int]:
        """The costs of one network."""
        return self(np.asarray([widths])).at(0)

    def of(self, space: SearchSpace, genomes: Int[np.ndarray, "n choices"]) -> Costs:
        """The costs of subnets of a space over this spec; where depth or kernels are choices, by one model for each
        combination of these, made when it is first met."""
        costs = self._over(space, genomes, COSTS)
        if self.timing is None:
            return Costs(**costs)
        return Costs(**costs, latency_ms=self.timing(self.work(space, genomes)))

    def work(self, space: SearchSpace, genomes: Int[np.ndarray, "n choices"]) -> Float[np.ndarray, "n work"]:
        """What subnets do, a column for each of `WORK`."""
        sums = self._over(space, genomes, WORK)
        return np.stack([sums[name] for name in WORK], axis=1).astype(float)

    def _over(
        self, space: SearchSpace, genomes: Int[np.ndarray, "n choices"], figures: tuple[str, ...]
    ) -> dict[str, Int[np.ndarray, " n"]]:
        widths = space.all_widths(genomes)
        totals = {name: np.zeros(len(genomes), dtype=np.int64) for name in figures}
        for form, rows in space.forms(genomes):
            own = self._like(form.spec)._sums(figures, widths[rows][:, form.kept])
            for name in figures:
                totals[name][rows] = own[name]
        return totals

    def _like(self, spec: NetworkSpec) -> CostModel:
        """The model of another spec for the same image."""
        shape, own = (one.model_copy(update={"widths": ()}) for one in (spec, self.spec))
        if shape == own:
            return self
        if shape not in self._others:
            self._others[shape] = CostModel(spec, *self.size)
        return self._others[shape]


def _work(layer: LayerCost, weight: tuple[Dimension, ...]) -> str:
    """The kind of work of a layer whose weight has these dimensions."""
    if layer.grouped:
        return "depthwise"
    if layer.kind == "conv_transpose2d":
        return "transposed"
    if layer.kind != "conv2d":
        return "other"
    if not weight[1].factors:
        return "head"
    if not weight[0].factors:
        return "tail"
    return "pointwise" if all(dim.constant == 1 for dim in weight[2:]) else "dense"
