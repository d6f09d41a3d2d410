"""Small stand-ins for what users export."""

import torch
from torch import nn
from torch.nn import functional as F


class Norm(nn.Module):
    """Instance norm through the functional."""

    def forward(self, x):
        return F.instance_norm(x)


def resnet() -> nn.Sequential:
    """Every operation of the ResNet generators: two strides down, a depthwise block, two transposed up."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, 6, 7),
        nn.InstanceNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        Norm(),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReflectionPad2d(1),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.InstanceNorm2d(8, affine=True),
        nn.Conv2d(8, 8, 1),
        nn.Dropout(0.5),
        nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1, output_padding=1),
        Norm(),
        nn.ReflectionPad2d(3),
        nn.Conv2d(6, 3, 7),
        nn.Tanh(),
    )


class Unet(nn.Module):
    """Three levels with skips: sides must be multiples of 8, which a side of 4n need not be."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(i, 4, 4, stride=2, padding=1) for i in (3, 4, 4))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 4, stride=2, padding=1) for i, o in ((4, 4), (8, 4), (8, 3))
        )

    def forward(self, x):
        skips = []
        for down in self.down:
            x = torch.relu(down(x))
            skips.append(x)
        x = self.up[0](skips.pop())
        for up in list(self.up)[1:]:
            x = up(torch.cat([x, skips.pop()], dim=1))
        return torch.tanh(x)


class OneImage(nn.Conv2d):
    """Works on one image of 32 x 32 pixels."""

    def __init__(self):
        super().__init__(3, 3, 1)

    def forward(self, x):
        return super().forward(x).reshape(1, 3, 32, 32)


class Branching(nn.Conv2d):
    """Cannot be exported: what it does depends on the pixels."""

    def __init__(self):
        super().__init__(3, 3, 1)

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x
