"""What a layout is: which tensors of a foreign checkpoint are which of ours.

A layout is a module with a tuple and two functions, or three:

- `KINDS`: the kinds of networks that it is of, as their specs have them;
- `names(spec, **options)`: for each of our modules that holds tensors, its official name;
- `recognise(state, *, option=default, ...)`: the network that a state dict holds, told from keys and shapes alone,
  or None. What these cannot tell is a keyword of its own, with a type hint that says what it takes (None where the
  default depends on the rest). Shapes are not to be trusted: each of `UNLIKE` means "not this family".
- `complete(state, spec)`, where the official code wants more tensors in a file than the network uses: the state
  with those added.

Tensors inside a decomposed convolution are renamed by `interop.official`, the same way for every family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

#: what a recogniser may raise on a state dict of another family
UNLIKE = (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError)


@dataclass(frozen=True)
class Recognised:
    """A foreign network, known from the keys and shapes of its tensors.

    `spec`: ours. `options`: for the layout's `names`. `assumptions`: in words, what keys and shapes cannot tell and
    was taken for granted. `state`: the tensors to load, under their official keys, where they are not those that
    were given (statistics that nothing uses, or that are wider than their layer); None where they are.
    """

    spec: Any
    options: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    state: Mapping[str, Tensor] | None = None


def without_idle_statistics(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the statistics that instance norms of old versions stored and never used.

    A batch norm has a weight beside its statistics; an instance norm has none.
    """
    idle = {"running_mean", "running_var", "num_batches_tracked"}
    return {
        key: tensor
        for key, tensor in state.items()
        if key.rpartition(".")[2] not in idle or f"{key.rpartition('.')[0]}.weight" in state
    }


def divided(size: int, factor: int) -> int:
    """The base width behind `size` channels; ValueError where there is none."""
    width, rest = divmod(size, factor)
    if rest or not width:
        raise ValueError(f"{size} channels are no multiple of {factor}")
    return width
