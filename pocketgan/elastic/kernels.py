"""Elastic kernel size: smaller kernels made of the centre of larger ones.

The centre of a 7x7 kernel need not be a good 5x5 kernel. So each layer of a supernet learns, for each step down
(7 to 5, 5 to 3), a square matrix that the centre's values go through; its channels share it.

Source: Cai et al., Once-for-All, ICLR 2020, section 3.3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.elastic.skeleton import skeleton
from pocketgan.elastic.slicing import centre
from pocketgan.networks import NetworkSpec

SMALLEST = 3


class KernelMatrices(nn.Module):
    """The matrices of a supernet: `to5` and `to3`, each (layers, k * k, k * k), identities at first.

    Only layers whose kernel the spec's `kernel` sets have any, and only for sizes below it: most supernets have
    none. Called as `share` calls its `shrink`.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.layers = elastic_kernels(spec)
        for size in range(getattr(spec, "kernel", SMALLEST) - 2, SMALLEST - 1, -2):
            self.register_parameter(f"to{size}", nn.Parameter(torch.eye(size**2).repeat(len(self.layers), 1, 1)))

    def forward(
        self, name: str, weight: Float[Tensor, "out in *kernel"], size: torch.Size
    ) -> Float[Tensor, "out in *smaller"]:
        """The weight of that name with a kernel of that size."""
        while name in self.layers and weight.shape[-1] > size[-1]:
            side = weight.shape[-1] - 2
            core = centre(weight, torch.Size((side, side)))
            matrix = self.get_parameter(f"to{side}")[self.layers.index(name)]
            weight = (core.flatten(2) @ matrix.T).view(core.shape)
        return centre(weight, size)


def elastic_kernels(spec: NetworkSpec) -> tuple[str, ...]:
    """The names of the weights whose kernel the spec's `kernel` sets: derived, like all that is elastic."""
    if getattr(spec, "kernel", SMALLEST) == SMALLEST:
        return ()
    small = skeleton(spec.model_copy(update={"kernel": SMALLEST})).state_dict()
    return tuple(n for n, t in skeleton(spec).state_dict().items() if t.shape[2:] != small[n].shape[2:])
