"""The Inception-v3 of the FID: TensorFlow's network of 2015 in its usual PyTorch port, up to the pooled features.

It differs from the textbook network in three places: its average pools do not count the padding, the pool of its
last block takes the maximum, and it tells 1008 classes apart (the classifier is left away here).
"""

from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pocketgan.download import Progress
from pocketgan.errors import DataError
from pocketgan.pretrained.weights import Source, find_weights, read_tensors

SOURCE = Source(
    name="inception",
    file="pt_inception-2015-12-05-6726825d.pth",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d",
    size=95_628_359,
    licence="Apache-2.0",
)
SIZE = 299
DIMENSIONS = 2048
_EPSILON = 1e-3


def resize_legacy(x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 299 299"]:
    """Images in [-1, 1] as most published FIDs resize them: bilinear, without antialiasing.

    Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, as ported by pytorch-fid.
    """
    return F.interpolate(x, (SIZE, SIZE), mode="bilinear", align_corners=False)


def resize_clean(x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 299 299"]:
    """Images in [-1, 1] as Clean-FID resizes them: antialiased bicubic in floating point, clipped.

    The result is what its network sees, (v - 128) / 128 of a grey level v, a little off [-1, 1].

    Source: Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022.
    """
    levels = F.interpolate((x + 1) * 127.5, (SIZE, SIZE), mode="bicubic", align_corners=False, antialias=True)
    return (levels.clamp(0, 255) - 128) / 128


class _Conv(nn.Conv2d):
    """A convolution with its batch normalisation folded in, and ReLU; at stride 1 padded to keep the size."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int] = 1, stride: int = 1, padded: bool = True
    ):
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (high // 2, wide // 2) if padded and stride == 1 else 0
        super().__init__(inputs, outputs, (high, wide), stride, padding)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        return F.relu(super().forward(x), inplace=True)


class _AfterPool(_Conv):
    """A 1x1 convolution of the 3x3 averages around each pixel.

    Both are linear, so that the fewer outputs may be averaged instead of the many inputs.
    """

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs height width"]:
        x = F.conv2d(x, self.weight, self.bias)
        return F.relu(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False), inplace=True)


class _Fork(nn.ModuleList):
    """Branches of one input, whose outputs are joined."""

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h_out w_out"]:
        return torch.cat([branch(x) for branch in self], dim=1)


def _chain(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _block_a(inputs: int, pooled: int) -> _Fork:
    return _Fork(
        [
            _chain(branch1x1=_Conv(inputs, 64)),
            _chain(branch5x5_1=_Conv(inputs, 48), branch5x5_2=_Conv(48, 64, 5)),
            _chain(
                branch3x3dbl_1=_Conv(inputs, 64),
                branch3x3dbl_2=_Conv(64, 96, 3),
                branch3x3dbl_3=_Conv(96, 96, 3),
            ),
            _chain(branch_pool=_AfterPool(inputs, pooled)),
        ]
    )


def _block_b(inputs: int) -> _Fork:
    return _Fork(
        [
            _chain(branch3x3=_Conv(inputs, 384, 3, stride=2)),
            _chain(
                branch3x3dbl_1=_Conv(inputs, 64),
                branch3x3dbl_2=_Conv(64, 96, 3),
                branch3x3dbl_3=_Conv(96, 96, 3, stride=2),
            ),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def _block_c(middle: int) -> _Fork:
    return _Fork(
        [
            _chain(branch1x1=_Conv(768, 192)),
            _chain(
                branch7x7_1=_Conv(768, middle),
                branch7x7_2=_Conv(middle, middle, (1, 7)),
                branch7x7_3=_Conv(middle, 192, (7, 1)),
            ),
            _chain(
                branch7x7dbl_1=_Conv(768, middle),
                branch7x7dbl_2=_Conv(middle, middle, (7, 1)),
                branch7x7dbl_3=_Conv(middle, middle, (1, 7)),
                branch7x7dbl_4=_Conv(middle, middle, (7, 1)),
                branch7x7dbl_5=_Conv(middle, 192, (1, 7)),
            ),
            _chain(branch_pool=_AfterPool(768, 192)),
        ]
    )


def _block_d() -> _Fork:
    return _Fork(
        [
            _chain(branch3x3_1=_Conv(768, 192), branch3x3_2=_Conv(192, 320, 3, stride=2)),
            _chain(
                branch7x7x3_1=_Conv(768, 192),
                branch7x7x3_2=_Conv(192, 192, (1, 7)),
                branch7x7x3_3=_Conv(192, 192, (7, 1)),
                branch7x7x3_4=_Conv(192, 192, 3, stride=2),
            ),
            nn.MaxPool2d(3, stride=2),
        ]
    )


def _block_e(inputs: int, pool: nn.Module) -> _Fork:
    return _Fork(
        [
            _chain(branch1x1=_Conv(inputs, 320)),
            _chain(
                branch3x3_1=_Conv(inputs, 384),
                both=_Fork(
                    [_chain(branch3x3_2a=_Conv(384, 384, (1, 3))), _chain(branch3x3_2b=_Conv(384, 384, (3, 1)))]
                ),
            ),
            _chain(
                branch3x3dbl_1=_Conv(inputs, 448),
                branch3x3dbl_2=_Conv(448, 384, 3),
                both=_Fork(
                    [
                        _chain(branch3x3dbl_3a=_Conv(384, 384, (1, 3))),
                        _chain(branch3x3dbl_3b=_Conv(384, 384, (3, 1))),
                    ]
                ),
            ),
            pool,
        ]
    )


class Inception(nn.Module):
    """Images in, 2048 pooled features out.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016;
    Heusel et al., 2017.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = _chain(
            Conv2d_1a_3x3=_Conv(3, 32, 3, stride=2),
            Conv2d_2a_3x3=_Conv(32, 32, 3, padded=False),
            Conv2d_2b_3x3=_Conv(32, 64, 3),
            pool1=nn.MaxPool2d(3, stride=2),
            Conv2d_3b_1x1=_Conv(64, 80),
            Conv2d_4a_3x3=_Conv(80, 192, 3, padded=False),
            pool2=nn.MaxPool2d(3, stride=2),
            Mixed_5b=_block_a(192, pooled=32),
            Mixed_5c=_block_a(256, pooled=64),
            Mixed_5d=_block_a(288, pooled=64),
            Mixed_6a=_block_b(288),
            Mixed_6b=_block_c(128),
            Mixed_6c=_block_c(160),
            Mixed_6d=_block_c(160),
            Mixed_6e=_block_c(192),
            Mixed_7a=_block_d(),
            Mixed_7b=_block_e(1280, _chain(branch_pool=_AfterPool(1280, 192))),
            Mixed_7c=_block_e(2048, _chain(pool=nn.MaxPool2d(3, 1, padding=1), branch_pool=_Conv(2048, 192))),
        )

    @classmethod
    def load(cls, weights: Path | None = None, progress: Progress | None = None) -> "Inception":
        """The network with the weights of the FID (``weights``, else found or downloaded), in eval mode, frozen.

        Raises DataError for a file of another network.
        """
        file = find_weights(SOURCE, weights, progress)
        network = cls()
        try:
            network.load_official(read_tensors(file))
        except (KeyError, RuntimeError) as error:
            raise DataError(f"{file} holds no Inception-v3 of the FID; give {SOURCE.file}") from error
        network.eval().requires_grad_(False)
        # torch's own annotations lack the argument.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def load_official(self, state: dict[str, Tensor]) -> None:
        """Take the weights of a state dict with the names of pytorch-fid and torchvision, batch norms folded in.

        The classifier and the auxiliary head, where there are some, are left. Raises KeyError or RuntimeError for
        another network's.
        """
        folded: dict[str, Tensor] = {}
        for place, layer in self.layers.named_modules():
            if isinstance(layer, _Conv):
                own = place.split(".")
                name = f"{own[0]}.{own[-1]}" if len(own) > 1 else place
                kernel = state[f"{name}.conv.weight"]
                mean, var, scale, shift = (
                    state[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
                )
                weight, bias = fuse_conv_bn_weights(kernel, None, mean, var, _EPSILON, scale, shift)
                folded |= {f"{place}.weight": weight, f"{place}.bias": bias}
        self.layers.load_state_dict(folded)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 2048"]:
        """Pooled features of images in [-1, 1], 299 x 299 for a FID: see `resize_legacy` and `resize_clean`."""
        return self.layers(x.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))
