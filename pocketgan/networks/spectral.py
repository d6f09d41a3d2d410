"""Spectral norm: a convolution whose weight is divided by its largest singular value.

It steadies training; a finished network folds it into plain weights.

Source: Miyato et al., Spectral Normalization for GANs, ICLR 2018.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pocketgan.networks.spec import Generator


class SpectralConv2d(nn.Module):
    """A convolution with the weight W / sigma, sigma = u^T W v (W as a matrix: outputs x everything else).

    u and v approach the leading singular vectors by one power iteration at each forward in training mode; gradients
    reach W through both W and sigma, u and v count as constants. The tensors have the names that PyTorch's
    `spectral_norm` gives them in the papers' files: weight_orig, weight_u, weight_v.
    """

    weight_orig: nn.Parameter
    bias: nn.Parameter | None
    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        plain = nn.Conv2d(in_channels, out_channels, kernel, bias=bias)
        self.bias = None if plain.bias is None else nn.Parameter(plain.bias)
        self.weight_orig = nn.Parameter(plain.weight)
        self.register_buffer("weight_u", torch.empty(out_channels))
        self.register_buffer("weight_v", torch.empty(in_channels * kernel**2))
        self.draw_vectors()

    @torch.no_grad()
    def draw_vectors(self, generator: torch.Generator | None = None) -> None:
        """u and v anew, in random directions."""
        for vector in (self.weight_u, self.weight_v):
            vector.copy_(_unit(vector.normal_(generator=generator)))

    @torch.no_grad()
    def _iterate(self) -> None:
        matrix = self.weight_orig.flatten(1)
        self.weight_v.copy_(_unit(matrix.t() @ self.weight_u))
        self.weight_u.copy_(_unit(matrix @ self.weight_v))

    def normalised(self) -> Float[Tensor, "out in kernel kernel"]:
        """The weight that convolves."""
        # copies: a later forward moves u and v before this one's gradients are taken
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight_orig / torch.dot(u, self.weight_orig.flatten(1) @ v)

    def forward(self, x: Float[Tensor, "batch in height width"]) -> Float[Tensor, "batch out rows columns"]:
        # the norm is always taken in full precision; the meta device knows no other
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            if self.training:
                self._iterate()
            weight = self.normalised()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=1e-12)


@torch.no_grad()
def fold(network: Generator) -> Generator:
    """The same function as an artifact keeps it, a network of `spec.folded`; itself where nothing is to fold."""
    spec = network.spec.folded
    if spec == network.spec:
        return network
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, SpectralConv2d):
            for part in ("weight_orig", "weight_u", "weight_v"):
                del state[f"{name}.{part}"]
            state[f"{name}.weight"] = module.normalised()
    reference = next(network.parameters())
    folded = spec.build().to(reference.device, reference.dtype)
    folded.load_state_dict(state)
    return folded.train(network.training)
