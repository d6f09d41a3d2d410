"""What a network does with its tensors, whatever their widths."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.func import functional_call

from pocketgan.elastic.dimensions import numbers
from pocketgan.elastic.skeleton import blank
from pocketgan.networks import NetworkSpec


class Program:
    """A network without tensors of its own: it runs on those that are handed in, at any widths.

    Running sets its numbers and its mode, so a program has one owner, and what runs side by side has two programs.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        """`spec`: at any widths; all else is fixed."""
        self.network = blank(spec)
        modules = dict(self.network.named_modules())
        self._numbers = [(modules[name], attribute, dims) for (name, attribute), dims in numbers(spec).items()]

    def run(
        self, spec: NetworkSpec, within: str, tensors: dict[str, Tensor], *args: Any, training: bool, **inputs: Any
    ) -> Tensor:
        """The forward of the network of `spec`, or of its module `within`, on these tensors."""
        for module, attribute, dims in self._numbers:
            sizes = tuple(dim.at(spec.widths) for dim in dims)
            several = isinstance(getattr(module, attribute), tuple)
            object.__setattr__(module, attribute, sizes if several else sizes[0])  # PyTorch's own way is slow
        self.network.spec = spec
        if self.network.training != training:
            self.network.train(training)
        own = {name.removeprefix(f"{within}."): tensor for name, tensor in tensors.items()}
        # no tensor of a network has two names, which PyTorch would look for at every call
        return functional_call(self.network.get_submodule(within), own, args, inputs, tie_weights=False)
