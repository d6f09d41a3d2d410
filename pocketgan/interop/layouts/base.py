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

import torch
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


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def settled(
    state: Mapping[str, Tensor], tracked: bool | None = False, *, fold: bool = True
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """A state without the statistics that instance norms store and do not use; and what was assumed, in words.

    A batch norm has a weight beside its statistics; an instance norm has none. `tracked` says whether the instance
    norms use them; None takes it from the file: PyTorch uses them in evaluation since it counts the batches beside
    them (0.4.1), and older files hold statistics that nothing used. Those in use, (x - mean) / sqrt(var + 1e-5),
    are written as those of batch norms, which do the same in evaluation.

    `fold`: batch norms behind a convolution with a bias take that over, mean - bias for mean.
    """
    norms = [key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")]
    instance = [norm for norm in norms if f"{norm}.weight" not in state]
    if tracked is None:
        tracked = bool(instance) and all(f"{norm}.num_batches_tracked" in state for norm in instance)
    kept = dict(state)
    for norm in norms:
        before = _before(norm)
        if norm not in instance or (tracked and not norm.endswith(".conv.1") and f"{before}.weight" in kept):
            mean = kept[f"{norm}.running_mean"]
            bias = kept.get(f"{before}.bias") if fold else None
            if norm in instance:
                kept |= {f"{norm}.weight": torch.ones_like(mean), f"{norm}.bias": torch.zeros_like(mean)}
            if bias is not None and bias.shape == mean.shape:
                kept[f"{norm}.running_mean"] = mean.float() - kept.pop(f"{before}.bias").float()
        elif not tracked:
            for name in _STATISTICS:
                kept.pop(f"{norm}.{name}", None)
    if not instance:
        return kept, ()
    told = "kept, as those of batch norms" if tracked else "left out"
    return kept, (f"tracked={str(tracked).lower()}: the statistics of the instance norms are {told}",)


def _before(module: str) -> str:
    """The module in front of one, in a sequence."""
    parent, _, index = module.rpartition(".")
    return f"{parent}.{int(index) - 1}" if index.isdigit() else ""


def divided(size: int, factor: int) -> int:
    """The base width behind `size` channels; ValueError where there is none."""
    width, rest = divmod(size, factor)
    if rest or not width:
        raise ValueError(f"{size} channels are no multiple of {factor}")
    return width
