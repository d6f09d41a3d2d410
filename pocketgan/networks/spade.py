"""The SPADE (GauGAN) generator: from a map of labels to an image, dense or decomposed ("mobile").

A small grid of the labels starts it; residual blocks, each followed by an upsampling, make the image. The labels
enter every norm again, resized to its side, as a scale and a shift for each pixel.

Source: Park et al., Semantic Image Synthesis with Spatially-Adaptive Normalization, CVPR 2019; GAN Compression,
CVPR 2020.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from pocketgan.errors import SpecError, unknown
from pocketgan.networks.init import init_xavier
from pocketgan.networks.layers import InstanceNorm, Separable, exact
from pocketgan.networks.spec import Forms, Generator, Group, NetworkSpec, Norm, Spaces, Tap, ignore
from pocketgan.networks.spectral import SpectralConv2d
from pocketgan.units import Size

#: 'modulation': the convolutions that make the scale and the shift; 'residual': the 3x3 ones of the blocks
Part = Literal["modulation", "residual"]
Upsampling = Literal["normal", "more", "most"]

MIDDLES = 3
STREAM = 16
UPS = (8, 4, 2, 1, 1)  # base channels times this are the channels of the up blocks; 'most' alone has the fifth
#: label maps by the data set that they are of, named after an '@' in a spec string
LABELS: dict[str, dict[str, Any]] = {
    "cityscapes": dict(in_channels=36, upsampling="more"),
    "coco": dict(in_channels=184, upsampling="normal"),
    "ade20k": dict(in_channels=151, upsampling="normal"),
}
_STRIDES = {"normal": 32, "more": 64, "most": 128}


class Block(NamedTuple):
    """The channels of a residual block; `hidden`: of each of its norms, in the order 0, 1, shortcut."""

    into: int
    inner: int
    out: int
    hidden: tuple[int, ...]


class SpadeSpec(NetworkSpec):
    """A SPADE generator; `in_channels` counts the label classes, and the edge map where there is one.

    `widths`: stream; for each of three middle blocks inner, hidden0, hidden1; for each of four up blocks (five for
    'most') inner, out, hidden0, hidden1, hidden_shortcut. The real channels are 16 times these in the middle, then
    8, 4, 2, 1 and 1 times; 2 times for every hidden group (what the labels become inside a norm). The usual short
    list has eight numbers (nine for 'most'): the stream, then one for each block with its hidden channels.

    `upsampling`: the grid has 1/32 of the image's side for 'normal', 1/64 for 'more', 1/128 for 'most'.
    `separable_norm`: the norm inside decomposed convolutions. `spectral`: the training form, for networks of one
    width only; `networks.spectral.fold` ends it.
    """

    title = "SPADE"
    law = staticmethod(init_xavier)
    forms: ClassVar[Forms] = {"spade": {}, "mobile-spade": {"separable": ("modulation",)}}
    spaces: ClassVar[Spaces] = {
        "channels-48": ((48, 40, 32),) * 5 + ((48, 40, 32, 24),) * 3,
        "channels-64": ((64, 48, 40, 32),) * 5 + ((64, 48, 40, 32, 24),) * 3,
        "channels-64-coco": ((64, 48, 40, 32, 24),) * 8,
        "channels-64_2": ((64, 56, 48, 40, 32, 24, 16),) * 8,
    }
    games: ClassVar[tuple[str, ...]] = ("gaugan",)

    kind: Literal["spade"] = "spade"
    in_channels: int = 36
    upsampling: Upsampling = "more"
    separable: tuple[Part, ...] = ()
    separable_norm: Norm | None = "instance"
    norm: Norm = "batch"
    spectral: bool = False

    @model_validator(mode="after")
    def _dense_where_spectral(self) -> SpadeSpec:
        if self.spectral and "residual" in self.separable:
            raise ValueError("spectral norm is for dense residual convolutions; leave out one of the two")
        return self

    @classmethod
    def uniform(cls, width: int, *, hidden: int | None = None, **fields: Any) -> SpadeSpec:
        """One base width everywhere: the published full and mobile generators.

        `hidden`: the base width of the hidden channels; 64 (for 128) in the authors' own networks of any width. The
        last block of 'most' has half the width.
        """
        widths = []
        for group in cls.model_construct(widths=(), **fields).plan:
            own = (hidden or width) if "hidden" in group.name else width
            widths.append(max(width // 2, 1) if group.number == MIDDLES + 5 else own)
        return cls(widths=tuple(widths), **fields)

    @classmethod
    def label_fields(cls, labels: str) -> dict[str, Any]:
        """By the name of a data set, or by how many channels they have."""
        if labels in LABELS:
            return LABELS[labels]
        if not (labels.isascii() and labels.isdigit() and int(labels)):
            raise unknown("data set", labels, LABELS)
        return dict(in_channels=int(labels), upsampling="normal")

    def example(
        self, count: int, size: Size, generator: torch.Generator
    ) -> Float[Tensor, "count channels height width"]:
        """Label maps with any class at any pixel, 0 and 1."""
        labels = torch.randint(self.in_channels, (count, *size), generator=generator)
        return F.one_hot(labels, self.in_channels).movedim(-1, 1).float()

    @property
    def plan(self) -> tuple[Group, ...]:
        groups = [Group("stream", STREAM, 0)]
        for i in range(1, MIDDLES + 1):
            groups.append(Group(f"middle{i}.inner", STREAM, i))
            groups += [Group(f"middle{i}.hidden{n}", 2, i) for n in (0, 1)]
        for i, factor in enumerate(UPS if self.upsampling == "most" else UPS[:4], 1):
            groups += [Group(f"up{i}.{part}", factor, MIDDLES + i) for part in ("inner", "out")]
            # the last block of 'most' is half as wide as the others but has hidden channels like theirs
            number = MIDDLES + min(i, 4)
            groups += [Group(f"up{i}.hidden{n}", 2, number) for n in ("0", "1", "_shortcut")]
        return tuple(groups)

    @property
    def blocks(self) -> dict[str, Block]:
        """The residual blocks by the names of their taps."""
        channels = self.channels
        names = dict.fromkeys(group.partition(".")[0] for group in self.groups[1:])
        into, blocks = channels["stream"], {}
        for name in names:
            out = channels.get(f"{name}.out", into)
            hidden = tuple(n for group, n in channels.items() if group.startswith(f"{name}.hidden"))
            blocks[name] = Block(into, channels[f"{name}.inner"], out, hidden)
            into = out
        return blocks

    @property
    def taps(self) -> tuple[str, ...]:
        """After the first and last middle block and the second up block: where the papers compare features."""
        return ("middle1", "middle3", "up2")

    def tap_channels(self, tap: str) -> int:
        if tap not in self.blocks:
            raise SpecError(f"no tap '{tap}' in this spade; it has {', '.join(self.blocks)}")
        return self.blocks[tap].out

    @property
    def stride(self) -> int:
        """Image pixels for each position of the grid."""
        return _STRIDES[self.upsampling]

    @property
    def smallest_side(self) -> int:
        """A grid of 2x2: a norm needs more than one position."""
        return 2 * self.stride

    @property
    def folded(self) -> SpadeSpec:
        return self.model_copy(update={"spectral": False})

    def build(self) -> SpadeGenerator:
        return SpadeGenerator(self)


class SpatialNorm(nn.Module):
    """y = norm(x) * (1 + gamma(a)) + beta(a), a = relu(conv(semantics)); the norm has no parameters of its own."""

    def __init__(self, spec: SpadeSpec, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False) if spec.norm == "batch" else InstanceNorm()
        self.shared = nn.Conv2d(spec.in_channels, hidden, 3, padding=1)
        self.gamma = _conv3(spec, "modulation", hidden, channels)
        self.beta = _conv3(spec, "modulation", hidden, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"], semantics: Float[Tensor, "batch in height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        hidden = F.relu(self.shared(semantics))
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


def _conv3(spec: SpadeSpec, part: Part, into: int, out: int) -> nn.Module:
    if part in spec.separable:
        return Separable(into, out, 3, 1, 1, norm=spec.separable_norm)
    if part == "residual" and spec.spectral:
        return SpectralConv2d(into, out, 3, padding=1)
    return nn.Conv2d(into, out, 3, padding=1)


class SpadeBlock(nn.Module):
    """x + f(x), f two times (norm, leaky ReLU, 3x3 convolution).

    An up block changes the number of channels, so x too passes a norm and a 1x1 convolution.
    """

    def __init__(self, spec: SpadeSpec, block: Block, *, shortcut: bool) -> None:
        super().__init__()
        self.conv0 = _conv3(spec, "residual", block.into, block.inner)
        self.conv1 = _conv3(spec, "residual", block.inner, block.out)
        if shortcut:
            conv = SpectralConv2d if spec.spectral else nn.Conv2d
            self.shortcut: nn.Module | None = conv(block.into, block.out, 1, bias=False)
        else:
            self.shortcut = None
        self.norm0 = SpatialNorm(spec, block.into, block.hidden[0])
        self.norm1 = SpatialNorm(spec, block.inner, block.hidden[1])
        if shortcut:
            self.norm_shortcut = SpatialNorm(spec, block.into, block.hidden[2])

    def forward(
        self, x: Float[Tensor, "batch into height width"], semantics: Float[Tensor, "batch in rows columns"]
    ) -> Float[Tensor, "batch out height width"]:
        semantics = F.interpolate(semantics, x.shape[2:])
        y = self.conv0(F.leaky_relu(self.norm0(x, semantics), 0.2))
        y = self.conv1(F.leaky_relu(self.norm1(y, semantics), 0.2))
        return (x if self.shortcut is None else self.shortcut(self.norm_shortcut(x, semantics))) + y


class SpadeGenerator(Generator):
    """Semantics (batch, in, H, W), one-hot labels and an edge map -> images (batch, out, H, W) in [-1, 1].

    H and W are multiples of `spec.stride`; other sizes come out at the next multiple below.
    """

    spec: SpadeSpec

    def __init__(self, spec: SpadeSpec) -> None:
        super().__init__()
        self.spec = spec
        blocks = list(spec.blocks.values())
        self.stem = nn.Conv2d(spec.in_channels, blocks[0].into, 3, padding=1)
        self.middle = nn.ModuleList(SpadeBlock(spec, block, shortcut=False) for block in blocks[:MIDDLES])
        self.up = nn.ModuleList(SpadeBlock(spec, block, shortcut=True) for block in blocks[MIDDLES:])
        self.head = nn.Conv2d(blocks[-1].out, spec.out_channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch in height width"], tap: Tap = ignore
    ) -> Float[Tensor, "batch out rows columns"]:
        semantics = x
        grid = (x.shape[2] // self.spec.stride, x.shape[3] // self.spec.stride)
        x = self.stem(F.interpolate(semantics, grid))
        for number, block in enumerate(self.middle, 1):
            if number == 2 or (number == 3 and self.spec.upsampling != "normal"):
                x = F.interpolate(x, scale_factor=2)
            x = tap(f"middle{number}", block(x, semantics))
        for number, block in enumerate(self.up, 1):
            x = F.interpolate(x, scale_factor=2)
            x = tap(f"up{number}", block(x, semantics))
        return exact(self.head(F.leaky_relu(x, 0.2))).tanh()
