"""Layouts of generators that other people published, as small definitions of our own.

Each is written as users write them: sizes from attributes and from x.shape, whatever the layout is known for. `ZOO`
names a function without arguments for each; all take images of three channels with sides that are multiples of 16.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def conv(into, out, kernel=3, stride=1, **more):
    return nn.Conv2d(into, out, kernel, stride, kernel // 2, **more)


# -- pix2pixHD ---------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, width, norm=nn.InstanceNorm2d):
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width),
        )  # fmt: skip

    def forward(self, x):
        return x + self.block(x)


class HdGlobal(nn.Module):
    """pix2pixHD, the global generator."""

    def __init__(self, width=8, downs=2, blocks=2, head=True):
        super().__init__()
        norm, relu = nn.InstanceNorm2d, nn.ReLU(True)
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), relu]
        for i in range(downs):
            layers += [conv(width << i, width << i + 1, stride=2), norm(width << i + 1), relu]
        layers += [Residual(width << downs) for _ in range(blocks)]
        for i in reversed(range(downs)):
            up = nn.ConvTranspose2d(width << i + 1, width << i, 3, 2, 1, 1)
            layers += [up, norm(width << i), relu]
        if head:
            layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class HdLocal(nn.Module):
    """pix2pixHD, a local enhancer around the global generator."""

    def __init__(self, width=8):
        super().__init__()
        self.coarse = HdGlobal(2 * width, downs=1, head=False)
        norm, relu = nn.InstanceNorm2d, nn.ReLU(True)
        self.down = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), relu,
            conv(width, 2 * width, stride=2), norm(2 * width), relu,
        )  # fmt: skip
        self.up = nn.Sequential(
            Residual(2 * width),
            nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), norm(width), relu,
            nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh(),
        )  # fmt: skip
        self.smaller = nn.AvgPool2d(3, 2, 1, count_include_pad=False)

    def forward(self, x):
        return self.up(self.down(x) + self.coarse(self.smaller(x)))


# -- CUT ---------------------------------------------------------------------------------------------------------


class Blur(nn.Module):
    """Anti-aliased resampling: one kernel for every channel, a buffer."""

    def __init__(self, channels, *, up=False):
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0] if up else [1.0, 2.0, 1.0])
        kernel = torch.outer(taps, taps)
        kernel = kernel / kernel.sum() * (4 if up else 1)
        self.channels, self.up = channels, up
        self.register_buffer("kernel", kernel[None, None].repeat(channels, 1, 1, 1))

    def forward(self, x):
        if self.up:
            x = F.pad(x, (1, 1, 1, 1), mode="replicate")
            return F.conv_transpose2d(x, self.kernel, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel, stride=2, groups=x.shape[1])


class Cut(nn.Module):
    """CUT and FastCUT: a ResNet with blurred resampling, whose features can be asked for."""

    def __init__(self, width=8, blocks=2):
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True),
                conv(width, 2 * width), nn.InstanceNorm2d(2 * width), nn.ReLU(True), Blur(2 * width),
                *(Residual(2 * width) for _ in range(blocks)),
                Blur(2 * width, up=True), conv(2 * width, width), nn.InstanceNorm2d(width), nn.ReLU(True),
                nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh(),
            ]
        )  # fmt: skip

    def forward(self, x, layers=(), encode_only=False):
        features = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in layers:
                features.append(x)
        return (x, features) if layers else x


# -- U-GAT-IT ----------------------------------------------------------------------------------------------------


class AdaLin(nn.Module):
    """Instance and layer norm mixed by rho, scaled by what is made of the features."""

    def __init__(self, width):
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, width, 1, 1), 0.9))

    def forward(self, x, gamma, beta):
        inner = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()
        layer = (x - x.mean((1, 2, 3), keepdim=True)) / (x.var((1, 2, 3), keepdim=True) + 1e-5).sqrt()
        rho = self.rho.expand(x.shape[0], -1, -1, -1)
        return (rho * inner + (1 - rho) * layer) * gamma[:, :, None, None] + beta[:, :, None, None]


class AdaBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)
        self.norm1, self.norm2 = AdaLin(width), AdaLin(width)

    def forward(self, x, gamma, beta):
        y = F.relu(self.norm1(self.first(x), gamma, beta))
        return x + self.norm2(self.second(y), gamma, beta)


class UGatIt(nn.Module):
    """U-GAT-IT: class activation maps weigh the channels by the weights of two classifiers."""

    def __init__(self, width=8):
        super().__init__()
        deep = 2 * width
        self.down = nn.Sequential(
            conv(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True),
            conv(width, deep, stride=2), nn.InstanceNorm2d(deep), nn.ReLU(True), Residual(deep),
        )  # fmt: skip
        self.average, self.most = nn.Linear(deep, 1, bias=False), nn.Linear(deep, 1, bias=False)
        self.join = nn.Conv2d(2 * deep, deep, 1)
        self.style = nn.Sequential(nn.Linear(deep, deep), nn.ReLU(True))
        self.gamma, self.beta = nn.Linear(deep, deep), nn.Linear(deep, deep)
        self.blocks = nn.ModuleList(AdaBlock(deep) for _ in range(2))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), conv(deep, width), nn.InstanceNorm2d(width), nn.ReLU())
        self.head = conv(width, 3, 7)

    def forward(self, x):
        x = self.down(x)
        weight = next(self.average.parameters())
        average = x * weight.unsqueeze(2).unsqueeze(3)
        most = x * next(self.most.parameters()).unsqueeze(2).unsqueeze(3)
        x = F.relu(self.join(torch.cat([average, most], 1)))
        style = self.style(F.adaptive_avg_pool2d(x, 1).view(x.shape[0], -1))
        gamma, beta = self.gamma(style), self.beta(style)
        for block in self.blocks:
            x = block(x, gamma, beta)
        return torch.tanh(self.head(self.up(x)))


# -- AnimeGANv2, MobileNetV2 -------------------------------------------------------------------------------------


class Inverted(nn.Module):
    """An inverted residual: 1x1 up, depthwise, 1x1 down."""

    def __init__(self, into, out, ratio, norm):
        super().__init__()
        inner = round(into * ratio)
        self.residual = into == out
        self.layers = nn.Sequential(
            nn.Conv2d(into, inner, 1, bias=False), norm(inner), nn.LeakyReLU(0.2, inplace=True),
            conv(inner, inner, groups=inner), norm(inner), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(inner, out, 1, bias=False), norm(out),
        )  # fmt: skip

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.residual else y


def layer_norm(width):
    return nn.GroupNorm(1, width, affine=True)


class AnimeGan(nn.Module):
    """AnimeGANv2: layer norms over all of an image, inverted residuals, bilinear upsampling to given sizes."""

    def __init__(self, width=8):
        super().__init__()

        def layer(into, out, kernel=3, stride=1):
            return nn.Sequential(
                nn.ReflectionPad2d(kernel // 2), nn.Conv2d(into, out, kernel, stride, bias=False),
                layer_norm(out), nn.LeakyReLU(0.2, inplace=True),
            )  # fmt: skip

        self.first = nn.Sequential(layer(3, width, 7), layer(width, 2 * width, 3, 2), layer(2 * width, 2 * width))
        self.middle = nn.Sequential(
            layer(2 * width, 2 * width), Inverted(2 * width, 4 * width, 2, layer_norm),
            Inverted(4 * width, 4 * width, 2, layer_norm), layer(4 * width, 2 * width),
        )  # fmt: skip
        self.last = nn.Sequential(layer(2 * width, width), layer(width, width, 7))
        self.head = nn.Sequential(nn.Conv2d(width, 3, 1, bias=False), nn.Tanh())

    def forward(self, x, align_corners=True):
        y = self.middle(self.first(x))
        y = F.interpolate(y, x.size()[-2:], mode="bilinear", align_corners=False)
        return self.head(self.last(y))


class MobileUnet(nn.Module):
    """An encoder of MobileNetV2's inverted residuals with ReLU6, and a decoder that joins its levels."""

    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(conv(3, width, bias=False), nn.BatchNorm2d(width), nn.ReLU6(True))
        self.block1 = Inverted(width, width, 2, nn.BatchNorm2d)
        self.block2 = Inverted(width, 2 * width, 2, nn.BatchNorm2d)
        self.pool = nn.MaxPool2d(2)
        self.shrink = Inverted(2 * width, 2 * width, 3, nn.BatchNorm2d)
        self.mix = nn.Conv2d(3 * width, width, 1)
        self.head = conv(width, 3)

    def forward(self, x):
        skip = self.block1(self.stem(x))
        x = self.shrink(self.pool(self.block2(skip)))
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.head(F.hardtanh(self.mix(torch.cat((skip, x), dim=1)))).tanh()


# -- StyleGAN2 ---------------------------------------------------------------------------------------------------


class Modulated(nn.Module):
    """A convolution whose weight each image scales by its style and normalises: a group for each image."""

    def __init__(self, into, out, style, demodulate=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out, into, 3, 3))
        self.affine, self.demodulate, self.out = nn.Linear(style, into), demodulate, out
        self.noise = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x, style):
        batch, channels, height, width = x.shape
        style = self.affine(style).view(batch, 1, channels, 1, 1)
        weight = self.weight * style / math.sqrt(channels * 9)
        if self.demodulate:
            norm = torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8)
            weight = weight * norm.view(batch, self.out, 1, 1, 1)
        weight = weight.view(batch * self.out, channels, 3, 3)
        x = x.view(1, batch * channels, height, width)
        x = F.conv2d(x, weight, padding=1, groups=batch)
        return x.view(batch, self.out, *x.shape[2:]) + self.noise


class StyleDecoder(nn.Module):
    """A StyleGAN2-like decoder with modulation, whose style is made of the image."""

    def __init__(self, width=8, style=16):
        super().__init__()
        self.encode = nn.Sequential(
            conv(3, width), nn.LeakyReLU(0.2), conv(width, 2 * width, stride=2), nn.LeakyReLU(0.2)
        )
        self.style = nn.Sequential(nn.Linear(2 * width, style), nn.LeakyReLU(0.2), nn.Linear(style, style))
        self.first = Modulated(2 * width, 2 * width, style)
        self.second = Modulated(2 * width, width, style)
        self.to_rgb1 = nn.Conv2d(2 * width, 3, 1)
        self.to_rgb2 = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        x = self.encode(x)
        style = self.style(x.mean((2, 3)))
        x = F.leaky_relu(self.first(x, style), 0.2) * 2**0.5
        image = F.interpolate(self.to_rgb1(x), scale_factor=2, mode="bilinear")
        x = F.leaky_relu(self.second(F.interpolate(x, scale_factor=2), style), 0.2)
        return torch.tanh(image + self.to_rgb2(x))


# -- super-resolution --------------------------------------------------------------------------------------------


class SrGan(nn.Module):
    """SRGAN and EDSR: residual blocks with PReLU, pixel shuffle; twice the side."""

    def __init__(self, width=16, blocks=2):
        super().__init__()
        self.head = nn.Sequential(conv(3, width, 9), nn.PReLU())
        self.body = nn.ModuleList(
            nn.Sequential(
                conv(width, width), nn.BatchNorm2d(width), nn.PReLU(width), conv(width, width),
                nn.BatchNorm2d(width),
            )
            for _ in range(blocks)
        )  # fmt: skip
        self.tail = nn.Sequential(conv(width, 4 * width), nn.PixelShuffle(2), nn.PReLU(), conv(width, 3, 9))
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1))

    def forward(self, x):
        skip = y = self.head(x - self.mean)
        for block in self.body:
            y = y + 0.5 * block(y)
        return self.tail(y + skip) + self.mean


class Dense(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        self.convs = nn.ModuleList(conv(width + i * growth, growth if i < 2 else width) for i in range(3))

    def forward(self, x):
        seen = [x]
        for layer in self.convs[:-1]:
            seen.append(F.leaky_relu(layer(torch.cat(seen, 1)), 0.2, inplace=True))
        return self.convs[-1](torch.cat(seen, 1)) * 0.2 + x


class Rrdb(nn.Module):
    """ESRGAN: dense blocks in residual ones, after a pixel unshuffle."""

    def __init__(self, width=16, growth=8):
        super().__init__()
        self.first = conv(12, width)
        self.blocks = nn.Sequential(Dense(width, growth), Dense(width, growth))
        self.trunk, self.up, self.hr, self.last = (conv(width, out) for out in (width, width, width, 3))

    def forward(self, x):
        y = self.first(F.pixel_unshuffle(x, 2))
        y = y + self.trunk(self.blocks(y))
        y = F.leaky_relu(self.up(F.interpolate(y, scale_factor=2, mode="nearest")), 0.2)
        return self.last(F.leaky_relu(self.hr(y), 0.2))


# -- NAFNet ------------------------------------------------------------------------------------------------------


class ChannelNorm(nn.Module):
    """A layer norm over channels, written out."""

    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        return (x - mean) / (variance + 1e-6).sqrt() * self.weight[:, None, None] + self.bias[:, None, None]


class NafBlock(nn.Module):
    """Simple gates (a half times the other), simplified channel attention, learnt residual scales."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
        self.conv1, self.conv2 = nn.Conv2d(width, 2 * width, 1), conv(2 * width, 2 * width, groups=2 * width)
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1))
        self.conv3, self.conv4, self.conv5 = (
            nn.Conv2d(*sizes, 1) for sizes in ((width, width), (width, 2 * width), (width, width))
        )
        self.beta, self.gamma = (nn.Parameter(torch.full((1, width, 1, 1), 0.5)) for _ in range(2))

    def forward(self, x):
        a, b = self.conv2(self.conv1(self.norm1(x))).chunk(2, dim=1)
        y = a * b
        x = x + self.conv3(y * self.attention(y)) * self.beta
        a, b = self.conv4(self.norm2(x)).chunk(2, dim=1)
        return x + self.conv5(a * b) * self.gamma


class NafNet(nn.Module):
    """NAFNet: a U-Net of such blocks with skips that are added, up by pixel shuffle; it pads odd sizes itself."""

    def __init__(self, width=8):
        super().__init__()
        self.intro, self.ending = conv(3, width), conv(width, 3)
        self.encoder, self.middle, self.decoder = NafBlock(width), NafBlock(2 * width), NafBlock(width)
        self.down = nn.Conv2d(width, 2 * width, 2, 2)
        self.up = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1, bias=False), nn.PixelShuffle(2))

    def forward(self, x):
        _, _, h, w = x.size()
        x = F.pad(x, (0, -w % 4, 0, -h % 4))
        skip = self.encoder(self.intro(x))
        y = self.up(self.middle(self.down(skip)))
        y = self.ending(self.decoder(y + skip)) + x
        return y[:, :, :h, :w]


# -- attention ---------------------------------------------------------------------------------------------------


class Gate(nn.Module):
    """An attention gate: one map, made of both inputs, weighs the skip."""

    def __init__(self, width, inner):
        super().__init__()
        self.of_x = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner))
        self.of_gate = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner))
        self.psi = nn.Sequential(nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, x, gate):
        return x * self.psi(F.relu(self.of_x(x) + self.of_gate(gate)))


class AttentionUnet(nn.Module):
    """Attention U-Net: gates on the skips."""

    def __init__(self, width=8):
        super().__init__()

        def double(into, out):
            return nn.Sequential(
                conv(into, out), nn.BatchNorm2d(out), nn.ReLU(True), conv(out, out), nn.BatchNorm2d(out), nn.ReLU()
            )

        self.down1, self.down2, self.down3 = (
            double(3, width),
            double(width, 2 * width),
            double(2 * width, 4 * width),
        )
        self.up2 = nn.Sequential(nn.Upsample(scale_factor=2), conv(4 * width, 2 * width), nn.BatchNorm2d(2 * width))
        self.up1 = nn.Sequential(nn.Upsample(scale_factor=2), conv(2 * width, width), nn.BatchNorm2d(width))
        self.gate2, self.gate1 = Gate(2 * width, width), Gate(width, width // 2)
        self.join2, self.join1 = double(4 * width, 2 * width), double(2 * width, width)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.up2(self.down3(F.max_pool2d(b, 2)))
        c = self.up1(self.join2(torch.cat((self.gate2(b, c), c), 1)))
        return self.head(self.join1(torch.cat((self.gate1(a, c), c), 1)))


class Attention(nn.Module):
    """Attention of a few heads over keys at a lower resolution."""

    def __init__(self, width, heads, ratio):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.q, self.kv, self.project = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        self.reduce, self.norm = nn.Conv2d(width, width, ratio, ratio), nn.LayerNorm(width)

    def forward(self, x, height, width):
        b, n, c = x.shape
        q = self.q(x).reshape(b, n, self.heads, c // self.heads).permute(0, 2, 1, 3)
        small = self.reduce(x.permute(0, 2, 1).reshape(b, c, height, width)).reshape(b, c, -1).permute(0, 2, 1)
        kv = self.kv(self.norm(small)).reshape(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        k, v = kv[0], kv[1]
        attention = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        return self.project((attention @ v).transpose(1, 2).reshape(b, n, c))


class SegFormer(nn.Module):
    """SegFormer-like: patches, attention, a mixing feed-forward net, a decoder of linear layers on all levels."""

    def __init__(self, widths=(16, 32), head=16):
        super().__init__()
        self.embed = nn.ModuleList(
            nn.Conv2d(into, out, 3, 2, 1) for into, out in zip((3, *widths), widths, strict=False)
        )
        self.norm1, self.norm2 = (nn.ModuleList(nn.LayerNorm(n) for n in widths) for _ in range(2))
        self.attention = nn.ModuleList(Attention(n, 4, 2) for n in widths)
        self.fc1 = nn.ModuleList(nn.Linear(n, 2 * n) for n in widths)
        self.mix = nn.ModuleList(nn.Conv2d(2 * n, 2 * n, 3, 1, 1, groups=2 * n) for n in widths)
        self.fc2 = nn.ModuleList(nn.Linear(2 * n, n) for n in widths)
        self.linear = nn.ModuleList(nn.Linear(n, head) for n in widths)
        self.fuse, self.head = nn.Conv2d(2 * head, head, 1), nn.Conv2d(head, 3, 1)

    def forward(self, x):
        size, levels = x.shape[2:], []
        for i, embed in enumerate(self.embed):
            x = embed(x)
            _, c, h, w = x.shape
            tokens = x.flatten(2).transpose(1, 2)
            tokens = tokens + self.attention[i](self.norm1[i](tokens), h, w)
            y = self.fc1[i](self.norm2[i](tokens))
            y = self.mix[i](y.transpose(1, 2).view(y.shape[0], -1, h, w)).flatten(2).transpose(1, 2)
            tokens = tokens + self.fc2[i](F.gelu(y))
            x = tokens.transpose(1, 2).reshape(-1, c, h, w)
            out = self.linear[i](tokens).permute(0, 2, 1).reshape(x.shape[0], -1, h, w)
            levels.append(F.interpolate(out, size=size, mode="bilinear", align_corners=False))
        return self.head(F.relu(self.fuse(torch.cat(levels, dim=1))))


# -- DRIT, StarGAN -----------------------------------------------------------------------------------------------


class Misaligned(nn.Module):
    """DRIT's block: the attribute joins the features before each 1x1 convolution."""

    def __init__(self, width, more):
        super().__init__()
        self.conv1, self.norm1 = conv(width, width), nn.InstanceNorm2d(width)
        self.conv2, self.norm2 = conv(width, width), nn.InstanceNorm2d(width)
        self.mix1 = nn.Sequential(
            nn.Conv2d(width + more, width + more, 1), nn.ReLU(), nn.Conv2d(width + more, width, 1)
        )
        self.mix2 = nn.Sequential(
            nn.Conv2d(width + more, width + more, 1), nn.ReLU(), nn.Conv2d(width + more, width, 1)
        )

    def forward(self, x, z):
        z = z.view(z.size(0), z.size(1), 1, 1).expand(z.size(0), z.size(1), x.size(2), x.size(3))
        y = self.mix1(torch.cat([self.norm1(self.conv1(x)), z], dim=1))
        return x + self.mix2(torch.cat([self.norm2(self.conv2(y)), z], dim=1))


class Drit(nn.Module):
    """DRIT: content and attribute are encoded, the attribute comes in at every block in parts of its own."""

    def __init__(self, width=16, attribute=8):
        super().__init__()
        self.content = nn.Sequential(conv(3, width, 7), nn.LeakyReLU(0.1), conv(width, width, stride=2), nn.ReLU())
        self.attribute = nn.Sequential(conv(3, width, 7, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * attribute), nn.ReLU(), nn.Linear(2 * attribute, 2 * attribute)
        )
        self.blocks = nn.ModuleList(Misaligned(width, attribute) for _ in range(2))
        self.up = nn.Sequential(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1), nn.ReLU(True))
        self.head = nn.ConvTranspose2d(width // 2, 3, 1)
        self.each = attribute

    def forward(self, x):
        y = self.content(x)
        z = self.mlp(self.attribute(x).flatten(1))
        for block, part in zip(self.blocks, torch.split(z, self.each, dim=1), strict=True):
            y = block(y, part)
        y = self.up(y)
        y = F.layer_norm(y, y.shape[1:])
        return torch.tanh(self.head(y))


class StarGan(nn.Module):
    """StarGAN: the domain's code as maps beside the image, here a fixed one; instance norms that learn."""

    def __init__(self, width=8, domains=5):
        super().__init__()
        self.register_buffer("code", torch.eye(domains)[1])
        norm = {"affine": True, "track_running_stats": True}
        layers = [conv(3 + domains, width, 7, bias=False), nn.InstanceNorm2d(width, **norm), nn.ReLU(True)]
        layers += [
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(2 * width, **norm),
            nn.ReLU(),
        ]
        layers += [spectral_norm(conv(2 * width, 2 * width)), nn.InstanceNorm2d(2 * width, **norm), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.InstanceNorm2d(width, **norm)]
        self.main = nn.Sequential(*layers, nn.ReLU(True), conv(width, 3, 7, bias=False), nn.Tanh())

    def forward(self, x):
        code = self.code.view(1, -1, 1, 1).repeat(x.size(0), 1, x.size(2), x.size(3))
        return self.main(torch.cat([x, code], dim=1))


# -- LaMa --------------------------------------------------------------------------------------------------------


class Spectral(nn.Module):
    """A convolution of the Fourier transform: real and imaginary parts are channels."""

    def __init__(self, into, out):
        super().__init__()
        self.layer, self.norm = nn.Conv2d(2 * into, 2 * out, 1, bias=False), nn.BatchNorm2d(2 * out)

    def forward(self, x):
        batch, _, *size = x.shape
        f = torch.fft.rfftn(x, dim=(-2, -1), norm="ortho")
        f = torch.stack((f.real, f.imag), dim=-1).permute(0, 1, 4, 2, 3).contiguous()
        f = F.relu(self.norm(self.layer(f.view((batch, -1, *f.size()[3:])))))
        f = f.view((batch, -1, 2, *f.size()[2:])).permute(0, 1, 3, 4, 2).contiguous()
        return torch.fft.irfftn(torch.complex(f[..., 0], f[..., 1]), s=size, dim=(-2, -1), norm="ortho")


class Ffc(nn.Module):
    """A fast Fourier convolution: a local part and a global one."""

    def __init__(self, local, far):
        super().__init__()
        self.l2l, self.l2g, self.g2l = conv(local, local), conv(local, far), conv(far, local)
        half = far // 2
        self.reduce, self.spectral = nn.Conv2d(far, half, 1), Spectral(half, half)
        self.expand = nn.Conv2d(half, far, 1)
        self.norm_l, self.norm_g = nn.BatchNorm2d(local), nn.BatchNorm2d(far)

    def forward(self, local, far):
        y = F.relu(self.reduce(far))
        spectral = self.expand(y + self.spectral(y))
        return (
            local + F.relu(self.norm_l(self.l2l(local) + self.g2l(far))),
            far + F.relu(self.norm_g(self.l2g(local) + spectral)),
        )


class Lama(nn.Module):
    """LaMa: Fourier convolutions over a quarter of local and three quarters of global channels."""

    def __init__(self, width=16):
        super().__init__()
        self.local, self.far = width // 4, width - width // 4
        self.stem = nn.Sequential(conv(3, width // 2, 7), nn.BatchNorm2d(width // 2), nn.ReLU(True))
        self.to_l = nn.Conv2d(width // 2, self.local, 3, 2, 1, padding_mode="reflect")
        self.to_g = nn.Conv2d(width // 2, self.far, 3, 2, 1, padding_mode="reflect")
        self.blocks = nn.ModuleList(Ffc(self.local, self.far) for _ in range(2))
        self.up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1)
        self.head = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width // 2, 3, 7), nn.Sigmoid())

    def forward(self, x):
        x = self.stem(x)
        local, far = self.to_l(x), self.to_g(x)
        for block in self.blocks:
            local, far = block(local, far)
        return self.head(F.relu(self.up(torch.cat((local, far), 1))))


# -- diffusers ---------------------------------------------------------------------------------------------------


class TimeBlock(nn.Module):
    """A residual block with group norms that takes an embedding as a shift."""

    def __init__(self, into, out, embedding):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, into), conv(into, out)
        self.time = nn.Linear(embedding, out)
        self.norm2, self.conv2, self.dropout = nn.GroupNorm(4, out), conv(out, out), nn.Dropout(0.1)
        self.shortcut = nn.Conv2d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x, embedding):
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.time(F.silu(embedding))[:, :, None, None]
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(self.norm2(y))))


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(4, width)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.to_out = nn.Linear(width, width)

    def forward(self, x):
        b, c, h, w = x.shape
        y = self.norm(x).view(b, c, h * w).transpose(1, 2)
        q, k, v = (f(y).view(b, -1, self.heads, c // self.heads).transpose(1, 2)
                   for f in (self.to_q, self.to_k, self.to_v))  # fmt: skip
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, c)
        return x + self.to_out(y).transpose(-1, -2).reshape(b, c, h, w)


class Diffusion(nn.Module):
    """A diffusers-style UNet2D without text: a fixed time step, residual blocks, attention, skips."""

    def __init__(self, width=16, step=20):
        super().__init__()
        self.width, self.step = width, step
        self.conv_in, self.time = conv(3, width), nn.Sequential(nn.Linear(width, 32), nn.SiLU(), nn.Linear(32, 32))
        self.down1, self.down2 = TimeBlock(width, width, 32), TimeBlock(width, 2 * width, 32)
        self.shrink = conv(width, width, stride=2)
        self.middle1, self.attention = TimeBlock(2 * width, 2 * width, 32), SelfAttention(2 * width, 4)
        self.up2, self.up1 = TimeBlock(4 * width, 2 * width, 32), TimeBlock(3 * width, width, 32)
        self.grow = conv(2 * width, 2 * width)
        self.norm_out, self.conv_out = nn.GroupNorm(4, width), conv(width, 3)

    def forward(self, x):
        steps = torch.full((x.shape[0],), float(self.step), device=x.device)
        half = torch.exp(-math.log(10000) * torch.arange(self.width // 2, device=x.device) / (self.width // 2))
        angles = steps[:, None] * half[None, :]
        embedding = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        a = self.down1(self.conv_in(x), embedding)
        b = self.down2(self.shrink(a), embedding)
        y = self.attention(self.middle1(b, embedding))
        y = self.grow(F.interpolate(self.up2(torch.cat([y, b], 1), embedding), scale_factor=2.0))
        y = self.up1(torch.cat([y, a], 1), embedding)
        return self.conv_out(F.silu(self.norm_out(y)))


ZOO = {
    "pix2pixHD global": HdGlobal,
    "pix2pixHD local": HdLocal,
    "CUT": Cut,
    "U-GAT-IT": UGatIt,
    "AnimeGANv2": AnimeGan,
    "StyleGAN2 decoder": StyleDecoder,
    "SRGAN/EDSR": SrGan,
    "RRDB (ESRGAN)": Rrdb,
    "NAFNet": NafNet,
    "attention U-Net": AttentionUnet,
    "DRIT": Drit,
    "StarGAN": StarGan,
    "LaMa": Lama,
    "SegFormer": SegFormer,
    "MobileNetV2 U-Net": MobileUnet,
    "UNet2D (diffusers)": Diffusion,
}
