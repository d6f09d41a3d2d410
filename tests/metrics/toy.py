"""Small made-up data for the tests of metrics."""

from types import SimpleNamespace

import torch


def batches(sizes=(3, 2), seed=0, side=32, paired=True):
    """Smooth random pairs, the input a noisy target; or such inputs alone."""
    generator = torch.Generator().manual_seed(seed)
    made, number = [], 0
    for size in sizes:
        y = torch.rand(size, 3, 8, 8, generator=generator) * 2 - 1
        y = torch.nn.functional.interpolate(y, (side, side), mode="bilinear")
        x = (y + 0.3 * torch.randn(y.shape, generator=generator)).clamp(-1, 1)
        names = [f"{i}.png" for i in range(number, number + size)]
        made.append(SimpleNamespace(x=x, y=y if paired else y[:0], names=names))
        number += size
    return made


def darker(x):
    return x * 0.5 - 0.5


def samples(count, dimensions, seed, shift=0.0):
    """Correlated Gaussian features."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, dimensions, generator=generator, dtype=torch.float64)
    mix = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return noise @ mix / dimensions**0.5 + shift
