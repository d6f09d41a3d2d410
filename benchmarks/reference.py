"""The other side of `training.py`: training steps as they are usually written, with the same losses.

Eager contiguous float32; the discriminator runs on the generated image once for its own loss and again for the
generator's, frozen by `requires_grad` in between; taps are forward hooks; Adam loops over the parameters; the
supernet's layers cut their weights by hand. Parameters come in the order of PocketGAN's networks, so that weights
carry over by position.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = (9, 12, 15, 18)  # positions in `layers`: after downsampling, and after each third of the nine blocks


# -- networks -------------------------------------------------------------------------------------------------


def convolve(source: int, out: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(source, out, kernel, stride, padding), nn.InstanceNorm2d(out), nn.ReLU(True)]


class Separable(nn.Sequential):
    def __init__(self, source: int, out: int) -> None:
        depthwise = nn.Conv2d(source, source, 3, groups=source)
        super().__init__(depthwise, nn.InstanceNorm2d(source), nn.Conv2d(source, out, 1))


class Block(nn.Module):
    def __init__(self, channels: int, mobile: bool) -> None:
        super().__init__()
        conv = Separable if mobile else lambda source, out: nn.Conv2d(source, out, 3)
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            conv(channels, channels),
            nn.InstanceNorm2d(channels),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            conv(channels, channels),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Generator(nn.Module):
    """ResNet with nine blocks; the activations at `TAPS` of the last forward are in `taps`."""

    def __init__(self, width: int, mobile: bool) -> None:
        super().__init__()
        up = dict(stride=2, padding=1, output_padding=1)
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            *convolve(3, width, 7),
            *convolve(width, 2 * width, 3, 2, 1),
            *convolve(2 * width, 4 * width, 3, 2, 1),
            *(Block(4 * width, mobile) for _ in range(9)),
            nn.ConvTranspose2d(4 * width, 2 * width, 3, **up),
            nn.InstanceNorm2d(2 * width),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, width, 3, **up),
            nn.InstanceNorm2d(width),
            nn.ReLU(True),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )
        self.taps: dict[int, Tensor] = {}
        for position in TAPS:
            self.layers[position].register_forward_hook(
                lambda module, inputs, out, position=position: self.taps.__setitem__(position, out)
            )

    def forward(self, x: Tensor, widths: tuple[int, ...] | None = None) -> Tensor:
        return self.layers(x)


class SlicedConv(nn.Conv2d):
    """Uses the leading channels: as many inputs as come, as many outputs as are asked for."""

    def forward(self, x: Tensor, out: int) -> Tensor:
        if self.groups > 1:
            weight, groups = self.weight[:out], out
        else:
            weight, groups = self.weight[:out, : x.size(1)], 1
        return F.conv2d(x, weight, self.bias[:out], self.stride, self.padding, self.dilation, groups)


class SlicedTranspose(nn.ConvTranspose2d):
    def forward(self, x: Tensor, out: int) -> Tensor:
        weight = self.weight[: x.size(1), :out]
        return F.conv_transpose2d(x, weight, self.bias[:out], self.stride, self.padding, self.output_padding)


class SlicedSeparable(nn.Module):
    def __init__(self, source: int, out: int) -> None:
        super().__init__()
        self.depthwise = SlicedConv(source, source, 3, groups=source)
        self.pointwise = SlicedConv(source, out, 1)

    def forward(self, x: Tensor, out: int) -> Tensor:
        return self.pointwise(F.instance_norm(self.depthwise(x, x.size(1))), out)


class SlicedBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = SlicedSeparable(channels, channels), SlicedSeparable(channels, channels)

    def forward(self, x: Tensor, inner: int) -> Tensor:
        y = F.relu(F.instance_norm(self.first(F.pad(x, (1,) * 4, "reflect"), inner)))
        return x + F.instance_norm(self.second(F.pad(y, (1,) * 4, "reflect"), x.size(1)))


class SlicedGenerator(nn.Module):
    """The mobile generator as a supernet: forward(x, base widths: stem, down, stream, nine inner, up, last)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        up = dict(stride=2, padding=1, output_padding=1)
        self.stem = SlicedConv(3, width, 7)
        self.down1 = SlicedConv(width, 2 * width, 3, 2, 1)
        self.down2 = SlicedConv(2 * width, 4 * width, 3, 2, 1)
        self.blocks = nn.ModuleList(SlicedBlock(4 * width) for _ in range(9))
        self.up1 = SlicedTranspose(4 * width, 2 * width, 3, **up)
        self.up2 = SlicedTranspose(2 * width, width, 3, **up)
        self.head = SlicedConv(width, 3, 7)
        self.taps: dict[int, Tensor] = {}

    def forward(self, x: Tensor, widths: tuple[int, ...]) -> Tensor:
        x = F.relu(F.instance_norm(self.stem(F.pad(x, (3,) * 4, "reflect"), widths[0])))
        x = F.relu(F.instance_norm(self.down1(x, 2 * widths[1])))
        x = F.relu(F.instance_norm(self.down2(x, 4 * widths[2])))
        self.taps[TAPS[0]] = x
        for number, (block, inner) in enumerate(zip(self.blocks, widths[3:12], strict=True), 1):
            x = block(x, 4 * inner)
            if TAPS[0] + number in TAPS:
                self.taps[TAPS[0] + number] = x
        x = F.relu(F.instance_norm(self.up1(x, 2 * widths[12])))
        x = F.relu(F.instance_norm(self.up2(x, widths[13])))
        return torch.tanh(self.head(F.pad(x, (3,) * 4, "reflect"), 3))


def discriminator(width: int) -> nn.Sequential:
    """PatchGAN with three stride-2 convolutions, on condition and image."""

    def layer(source: int, out: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(source, out, 4, stride, 1), nn.InstanceNorm2d(out), nn.LeakyReLU(0.2, True)]

    return nn.Sequential(
        nn.Conv2d(6, width, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        *layer(width, 2 * width, 2),
        *layer(2 * width, 4 * width, 2),
        *layer(4 * width, 8 * width, 1),
        nn.Conv2d(8 * width, 1, 4, 1, 1),
    )


# -- steps ----------------------------------------------------------------------------------------------------


class Teaching:
    """pix2pix with the hinge loss: D is updated before G's loss."""

    def __init__(self, generator: nn.Module, judge: nn.Module) -> None:
        self.generator, self.judge = generator, judge
        self.adam_g, self.adam_d = adam(generator), adam(judge)

    def step(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        fake = self.generator(x)

        freeze(self.judge, False)
        self.adam_d.zero_grad()
        d_fake, d_real = judge_losses(self.judge, x, y, fake)
        ((d_fake + d_real) * 0.5).backward()
        self.adam_d.step()

        freeze(self.judge, True)
        self.adam_g.zero_grad()
        fool = -self.judge(torch.cat([x, fake], 1)).mean()
        recon = F.l1_loss(fake, y) * 100
        (fool + recon).backward()
        self.adam_g.step()
        return {"D_fake": d_fake, "D_real": d_real, "G_gan": fool, "G_recon": recon}


class Distilling:
    """Distillation of a student, or of a supernet at given widths: both gradients with the D from before."""

    def __init__(self, teacher: nn.Module, student: nn.Module, adaptors: nn.ModuleList, judge: nn.Module) -> None:
        self.teacher, self.student, self.adaptors, self.judge = teacher.eval(), student, adaptors, judge
        self.adam_g = adam(nn.ModuleList([student, adaptors]))
        self.adam_d = adam(judge)

    def step(self, x: Tensor, y: Tensor, widths: tuple[int, ...] | None = None) -> dict[str, Tensor]:
        with torch.no_grad():
            self.teacher(x)
        fake = self.student(x, widths)

        freeze(self.judge, False)
        self.adam_d.zero_grad()
        self.adam_g.zero_grad()
        d_fake, d_real = judge_losses(self.judge, x, y, fake)
        ((d_fake + d_real) * 0.5).backward()

        freeze(self.judge, True)
        fool = -self.judge(torch.cat([x, fake], 1)).mean()
        recon = F.l1_loss(fake, y) * 100
        distil = torch.zeros(())
        for adaptor, position in zip(self.adaptors, TAPS, strict=True):
            feature = self.student.taps[position]
            feature = F.conv2d(feature, adaptor.weight[:, : feature.size(1)], adaptor.bias)
            distil = distil + F.mse_loss(feature, self.teacher.taps[position])
        (fool + recon + distil).backward()
        self.adam_d.step()
        self.adam_g.step()
        return {"D_fake": d_fake, "D_real": d_real, "G_gan": fool, "G_recon": recon, "G_distil": distil}


def judge_losses(judge: nn.Module, x: Tensor, y: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    d_fake = F.relu(1 + judge(torch.cat([x, fake.detach()], 1))).mean()
    d_real = F.relu(1 - judge(torch.cat([x, y], 1))).mean()
    return d_fake, d_real


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), foreach=False, fused=False)


def freeze(network: nn.Module, frozen: bool) -> None:
    for parameter in network.parameters():
        parameter.requires_grad = not frozen


@torch.no_grad()
def take_weights(network: nn.Module, source: nn.Module) -> nn.Module:
    """Copy the parameters of `source` by position; both sides must list the same shapes."""
    for own, other in zip(network.parameters(), source.parameters(), strict=True):
        assert own.shape == other.shape
        own.copy_(other)
    return network
