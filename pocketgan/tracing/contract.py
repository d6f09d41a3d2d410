"""The one rule behind convolutions, products, sums and norms: axes by letters, as in an einsum.

A value carries layers: tensors of atoms that broadcast to its shape; an entry is there while all its atoms are.
A weight has one layer for its outputs and one for its inputs, an activation mostly one for its channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pocketgan.tracing.classes import ALWAYS, Classes, compact, varying

Layers = list[Tensor]


@dataclass
class Value:
    """A tensor without entries (on the meta device), and its layers."""

    tensor: Tensor
    layers: Layers = field(default_factory=list)


@dataclass
class Operand:
    """A value with a letter for each axis."""

    layers: Layers
    letters: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, value: Value, letters: str) -> Operand:
        return cls(value.layers, letters, tuple(value.tensor.shape))

    def size(self, letter: str) -> int:
        return self.shape[self.letters.index(letter)] if letter in self.letters else 1


def contract(classes: Classes, operands: list[Operand], out: str, reason: str) -> Layers:
    """The layers of what an einsum of the operands gives, whose axes are `out`.

    Entries that meet are joined. What is summed over may be dropped freely where every sum has the same terms; else
    the terms of a sum stay together.
    """
    for operand in operands:
        for layer in operand.layers:
            moving = {operand.letters[axis] for axis in varying(layer)}
            for other in operands:
                if other is not operand and any(other.size(letter) > 1 for letter in moving):
                    _meet(classes, layer, operand.letters, moving, other, reason)
    results: Layers = []
    for operand in operands:
        for layer in operand.layers:
            layer = compact(classes.find(layer))
            moving = {operand.letters[axis] for axis in varying(layer)}
            if not moving & set(out):
                continue
            for axis in varying(layer):
                if operand.letters[axis] not in out:
                    classes.join(layer, layer.narrow(axis, 0, 1), reason)
                    layer = layer.narrow(axis, 0, 1)
            results.append(aligned(layer, operand.letters, out))
    return tidy(classes, results)


def _meet(classes: Classes, layer: Tensor, letters: str, moving: set[str], other: Operand, reason: str) -> None:
    partners = [
        each for each in other.layers if {other.letters[axis] for axis in varying(each)} & moving
    ]  # fmt: skip
    if not partners:
        classes.fix(layer, reason)
    union = letters + "".join(letter for letter in other.letters if letter not in letters)
    for partner in partners:
        classes.join(aligned(layer, letters, union), aligned(partner, other.letters, union), reason)


def aligned(layer: Tensor, letters: str, out: str) -> Tensor:
    """A layer with the axes `out`, of size 1 where it has none of that letter."""
    for axis in reversed(range(layer.ndim)):
        if letters[axis] not in out:
            layer = layer.select(axis, 0)
    kept = [letter for letter in letters if letter in out]
    layer = layer.permute([kept.index(letter) for letter in out if letter in kept])
    for axis, letter in enumerate(out):
        if letter not in kept:
            layer = layer.unsqueeze(axis)
    return layer


def tidy(classes: Classes, layers: Layers) -> Layers:
    """Without layers that say nothing, or what another one says."""
    found: Layers = []
    for layer in layers:
        layer = compact(classes.find(layer))
        if (layer.numel() == 1 and int(layer.flatten()[0]) == ALWAYS) or not layer.any():
            continue
        if not any(layer.shape == other.shape and torch.equal(layer, other) for other in found):
            found.append(layer)
    return found


def letters_of(count: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[:count]
