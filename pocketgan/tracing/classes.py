"""Which channels must be kept or dropped together: classes of atoms, joined as the operations of a forward demand.

Every index along every axis of a parameter is an atom. Operations join atoms; what joins the atom 0 stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: the atom that is always kept
ALWAYS = 0


class Classes:
    """Disjoint sets of atoms. `fixed`: for each atom that was joined to what always stays, the first reason."""

    def __init__(self) -> None:
        self._root = torch.zeros(1, dtype=torch.int64)
        self._count = 1
        self._members: dict[int, list[int]] = {ALWAYS: [ALWAYS]}
        self.fixed: dict[int, str] = {}

    def fresh(self, count: int) -> Tensor:
        """So many new atoms, each a class of its own."""
        atoms = torch.arange(self._count, self._count + count)
        self._count += count
        if self._count > len(self._root):
            more = torch.arange(len(self._root), 2 * self._count)
            self._root = torch.cat([self._root, more])
        self._members.update((atom, [atom]) for atom in atoms.tolist())
        return atoms

    def find(self, atoms: Tensor) -> Tensor:
        """The class of each."""
        return self._root[atoms]

    def join(self, first: Tensor, second: Tensor, reason: str) -> None:
        """The atoms of both tensors, in pairs (broadcast), are of one class each. `reason`: why something stays as
        it is, where one of a pair does."""
        first, second = torch.broadcast_tensors(self.find(first), self.find(second))
        different = first != second
        if not different.any():
            return
        pairs = torch.stack([first[different], second[different]], 1).unique(dim=0)
        for one, other in pairs.tolist():
            self._join(int(self._root[one]), int(self._root[other]), reason)

    def fix(self, atoms: Tensor, reason: str) -> None:
        """They stay as they are."""
        self.join(atoms, torch.tensor(ALWAYS), reason)

    def members(self, root: int) -> list[int]:
        """The atoms of a class."""
        return self._members[root]

    def _join(self, one: int, other: int, reason: str) -> None:
        if one == other:
            return
        if ALWAYS in (one, other):
            kept, gone = ALWAYS, max(one, other)
            self.fixed.update(dict.fromkeys(self._members[gone], reason))
        else:
            kept, gone = sorted((one, other), key=lambda root: -len(self._members[root]))
        moved = self._members.pop(gone)
        self._root[torch.tensor(moved)] = kept
        self._members[kept] += moved


def varying(layer: Tensor) -> tuple[int, ...]:
    """The axes along which a layer (compact, see `compact`) is not one and the same."""
    return tuple(axis for axis, size in enumerate(layer.shape) if size > 1)


def compact(layer: Tensor) -> Tensor:
    """The same layer with size 1 along every axis on which nothing changes."""
    for axis, size in enumerate(layer.shape):
        if size > 1:
            first = layer.narrow(axis, 0, 1)
            if layer.stride(axis) == 0 or bool((layer == first).all()):
                layer = first
    return layer
