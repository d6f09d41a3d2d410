"""The once-for-all network: one set of weights, every width.

Source: Cai et al., Once-for-All, ICLR 2020; GAN Compression, CVPR 2020, section 3.3.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.distributed import ALONE, join
from pocketgan.elastic.dimensions import narrowest
from pocketgan.elastic.kernels import KernelMatrices
from pocketgan.elastic.program import Program
from pocketgan.elastic.slicing import share
from pocketgan.networks import Generator, NetworkSpec, Tap, Widths, ignore

#: what names a subnet
Subnet = Widths | NetworkSpec


class Supernet(nn.Module):
    """Holds the network of `spec` at its widest and deepest, and runs it at anything smaller.

    A subnet is given by its widths, or by a whole spec of the same family, which may also have fewer blocks (the
    first ones are kept) and smaller kernels (see `kernels.py`). forward(x, at): the output of the subnet; the
    gradients land in the leading channels. Further inputs of the network go by name.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.network = spec.build()
        self.kernels = KernelMatrices(spec)
        #: by the spec at its narrowest
        self._programs: dict[NetworkSpec, Program] = {}
        #: the processes that train it together
        self.world = ALONE

    def forward(
        self,
        x: Float[Tensor, "batch in height width"],
        at: Subnet | None = None,
        tap: Tap = ignore,
        **inputs: Tensor,
    ) -> Tensor:
        spec = self.subspec(at)
        if spec == self.spec:
            return self.network(x, tap, **inputs)
        return self._run(spec, "", x, tap, **inputs)

    def part(self, name: str, x: Tensor, at: Subnet | None = None) -> Tensor:
        """What one module of the subnet makes of `x`; nothing else runs."""
        spec = self.subspec(at)
        if spec == self.spec:
            return self.network.get_submodule(name)(x)
        return self._run(spec, name, x)

    def _run(self, spec: NetworkSpec, within: str, *args: Any, **inputs: Tensor) -> Tensor:
        cut = share(self.network, self.spec, spec, self.kernels, within)
        form = narrowest(spec)
        if form not in self._programs:
            self._programs[form] = Program(form)
            join(self._programs[form].network, self.world)
        return self._programs[form].run(spec, within, cut, *args, training=self.training, **inputs)

    def subspec(self, at: Subnet | None) -> NetworkSpec:
        """The spec of a subnet."""
        if at is None:
            return self.spec
        return at if isinstance(at, NetworkSpec) else self.spec.resized(at)

    @torch.no_grad()
    def extract(self, at: Subnet) -> Generator:
        """The subnet as a plain network that owns its weights."""
        spec = self.subspec(at)
        network = spec.build()
        reference = next(self.network.parameters())
        network.to(reference.device, reference.dtype)
        network.load_state_dict(share(self.network, self.spec, spec, self.kernels))
        return network.train(self.training)
