"""The once-for-all network: one set of weights, every width.

Source: Cai et al., Once-for-All, ICLR 2020; GAN Compression, CVPR 2020, section 3.3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from pocketgan.elastic.slicing import share, skeleton
from pocketgan.networks import Generator, NetworkSpec, Tap, Widths, ignore


class Supernet(nn.Module):
    """Holds the network of `spec` at its widest and runs it at any widths up to those.

    forward(x, widths): the output of the subnet; the gradients land in the leading channels.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.network = spec.build()

    def forward(
        self, x: Float[Tensor, "batch in height width"], widths: Widths | None = None, tap: Tap = ignore
    ) -> Tensor:
        if widths is None or tuple(widths) == self.spec.widths:
            return self.network(x, tap)
        subnet = skeleton(self.spec.resized(widths)).train(self.training)
        return functional_call(subnet, share(self.network, subnet), (x, tap))

    @torch.no_grad()
    def extract(self, widths: Widths) -> Generator:
        """The subnet as a plain network that owns its weights."""
        spec = self.spec.resized(widths)
        network = spec.build()
        reference = next(self.network.parameters())
        network.to(reference.device, reference.dtype)
        network.load_state_dict(share(self.network, network))
        return network.train(self.training)
