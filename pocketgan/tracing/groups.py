"""From classes of channels to width groups, and every axis as parts that follow the widths."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from pocketgan.networks.program import Affine
from pocketgan.tracing.classes import ALWAYS, compact, varying
from pocketgan.tracing.contract import Value
from pocketgan.tracing.flow import Flow
from pocketgan.tracing.moves import flat

STEP = 8
SMALLEST = 4  # a width goes down to one part in so many
Part = tuple[int, int] | int


class Disorder(Exception):
    """An axis on which a group's channels do not stand in their order."""

    def __init__(self, group: int) -> None:
        self.group = group


class Groups:
    """The width groups of a flow. `order`: of each group its classes, `units` how many channels each stands for."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.order: list[list[int]] = []
        self.names: list[str] = []
        self.units: list[int] = []
        while not self._found():
            pass

    def _found(self) -> bool:
        """Whether the groups stand in order on all axes; those that do not are fixed."""
        flow, classes = self.flow, self.flow.classes
        signature: dict[int, Counter[Any]] = defaultdict(Counter)
        for name, axes in flow.atoms.items():
            for axis, atoms in enumerate(axes):
                for root in [] if atoms is None else classes.find(atoms).tolist():
                    signature[root][name, axis] += 1
        held = set(signature)
        for number, piece in enumerate(flow.pieces):
            for root in classes.find(piece).unique().tolist():
                signature[root]["piece", number] += 1
        signature.pop(ALWAYS, None)
        for root, places in signature.items():
            if not any(self._makes(*place) for place in places):
                held.discard(root)
        by_signature: dict[Any, list[int]] = {}
        for root, counted in signature.items():
            by_signature.setdefault(frozenset(counted.items()), []).append(root)
        self.order = [roots for roots in by_signature.values() if len(roots) > 1 and roots[0] in held]
        kept = {root for roots in self.order for root in roots}
        for roots in by_signature.values():
            for root in roots:
                if root not in kept:
                    reason = "all its channels stay together" if root in held else "no layer makes its channels"
                    classes.fix(torch.tensor(classes.members(root)), reason)
        self._place = {root: (g, i) for g, roots in enumerate(self.order) for i, root in enumerate(roots)}
        try:
            self._check()
        except Disorder as error:
            members = [atom for root in self.order[error.group] for atom in classes.members(root)]
            classes.fix(torch.tensor(members), "its channels stand in several orders")
            return False
        return True

    def _makes(self, name: str, axis: Any) -> bool:
        """Whether a layer makes the channels along this axis; weights may only take them, or nothing learn them."""
        tensor = self.flow.traced.tensors.get(name)
        if not isinstance(tensor, nn.Parameter):
            return False
        takes = axis == 1 and tensor.ndim in (2, 4) and len(tensor) > 1
        return not takes or isinstance(self._module(name), (nn.ConvTranspose1d, nn.ConvTranspose2d))

    def _module(self, name: str) -> nn.Module | None:
        return dict(self.flow.traced.module.named_modules()).get(name.rpartition(".")[0])

    def _check(self) -> None:
        self.names, self.units = [""] * len(self.order), [0] * len(self.order)
        for name, axes in self.flow.atoms.items():
            path, _, own = name.rpartition(".")
            for atoms in axes:
                for part in [] if atoms is None else self._parsed(atoms):
                    if isinstance(part, tuple) and not self.units[part[0]]:
                        self.names[part[0]], self.units[part[0]] = path or own, part[1]
        for step in self.flow.steps:
            for value in flat([step.result]):
                if isinstance(value, Value):
                    for axis in range(value.tensor.ndim):
                        self.parts(value, axis)
        seen: Counter[str] = Counter()
        for group, name in enumerate(self.names):
            seen[name] += 1
            self.names[group] = name if seen[name] == 1 else f"{name}.{seen[name]}"

    def _parsed(self, atoms: Tensor) -> list[Part]:
        """An axis as runs: (group, channels of a unit), or so many that always stay."""
        roots, parts, i = self.flow.classes.find(atoms).tolist(), list[Part](), 0
        while i < len(roots):
            if roots[i] == ALWAYS:
                start = i
                while i < len(roots) and roots[i] == ALWAYS:
                    i += 1
                parts.append(i - start)
                continue
            group, position = self._place[roots[i]]
            order, unit = self.order[group], 1
            while i + unit < len(roots) and roots[i + unit] == roots[i]:
                unit += 1
            wanted = [root for root in order for _ in range(unit)]
            if position or roots[i : i + len(wanted)] != wanted:
                raise Disorder(group)
            parts.append((group, unit))
            i += len(wanted)
        return parts

    def parts(self, value: Value, axis: int) -> list[Part]:
        """What the axis of a value holds."""
        size = value.tensor.shape[axis]
        for layer in value.layers:
            layer = compact(self.flow.classes.find(layer))
            if varying(layer) == (axis,):
                return self._parsed(layer.flatten())
        return [int(size)]

    def of_tensor(self, name: str) -> list[list[Affine]]:
        """For each axis of a parameter or buffer the sizes of its parts."""
        shape = self.flow.traced.tensors[name].shape
        axes = self.flow.atoms[name]
        return [
            [size] if atoms is None else [_affine([part]) for part in self._parsed(atoms)]
            for size, atoms in zip(shape, axes, strict=True)
        ]

    def size(self, value: Value, axis: int) -> Affine:
        """The size of a value along an axis."""
        return _affine(self.parts(value, axis))

    def before(self, value: Value, axis: int, index: int) -> Affine:
        """How many entries stand before that index."""
        parts, size = self.parts(value, axis), 0
        for count, part in enumerate(parts):
            if size >= index:
                return _affine(parts[:count])
            size += part if isinstance(part, int) else part[1] * len(self.order[part[0]])
            if size > index and isinstance(part, int):
                return _affine([*parts[:count], part - (size - index)])
        return _affine(parts)

    def options(self, group: int) -> tuple[int, ...]:
        """Widths in steps of 8 channels, or of a divisor where there are few, down to a quarter; largest first."""
        widest = len(self.order[group])
        channels = widest * self.units[group]
        if channels >= SMALLEST * STEP:
            step = max(1, round(STEP / self.units[group]))
        else:
            step = max(d for d in range(1, max(1, widest // SMALLEST) + 1) if widest % d == 0)
        below = range(step, widest, step)
        return tuple(sorted({widest, *(w for w in below if SMALLEST * w >= widest)}, reverse=True))


def _affine(parts: list[Part]) -> Affine:
    constant, factors = 0, dict[int, int]()
    for part in parts:
        if isinstance(part, int):
            constant += part
        else:
            factors[part[0]] = factors.get(part[0], 0) + part[1]
    return [constant, [[group, factor] for group, factor in sorted(factors.items())]] if factors else constant


def scaled(size: Affine, top: int, bottom: int) -> Affine | None:
    """The size times top / bottom; None where that leaves no whole numbers."""
    numbers = [size] if isinstance(size, int) else [size[0], *(factor for _, factor in size[1])]
    if any(number * top % bottom for number in numbers):
        return None
    if isinstance(size, int):
        return size * top // bottom
    return [size[0] * top // bottom, [[group, factor * top // bottom] for group, factor in size[1]]]
