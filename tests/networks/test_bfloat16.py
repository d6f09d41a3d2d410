"""In bfloat16, what would be wrong by the same amount at all pixels stays in float32; the rest averages out."""

import pytest
import torch
from torch import nn

from pocketgan.losses.distillation import ChannelConnectors
from pocketgan.networks.adain import AdaptiveNorm, LayerNorm
from pocketgan.networks.layers import InstanceNorm, make_activation


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradient(layer: nn.Module, x: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a layer gives, and the gradient by its input of that multiplied by noise."""
    x = x.clone().requires_grad_()
    y = layer(x, *others)
    return y.double(), torch.autograd.grad((y * noise(*y.shape, seed=1)).sum(), x)[0].double()


@pytest.mark.parametrize("norm", [InstanceNorm(), AdaptiveNorm(), LayerNorm(6)])
def test_statistics(norm):
    # the channels' means are ten times their deviations
    x = (10 + noise(2, 6, 24, 24)).bfloat16()
    numbers = (noise(2, 6), 1 + noise(2, 6)) if isinstance(norm, AdaptiveNorm) else ()
    with torch.autocast("cpu", torch.bfloat16):
        y, slope = gradient(norm, x, *(each.bfloat16() for each in numbers))
    want, exact_slope = gradient(norm.double(), x.double(), *(each.bfloat16().double() for each in numbers))
    assert (y - want).mean((2, 3)).abs().max() < 1e-3
    assert (slope - exact_slope).norm() < 0.0025 * exact_slope.norm()


def test_slope_of_bright_pixels():
    x = torch.linspace(-4, 4, 65).bfloat16().requires_grad_()
    y = make_activation("tanh")(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope.double(), 1 - x.detach().double().tanh() ** 2, rtol=0.01, atol=0)


def test_channel_means_that_are_nearly_equal():
    connectors = ChannelConnectors({"tap": (4, 4)}).eval()
    with torch.no_grad():
        connectors.taps["tap"][0].weight.copy_(torch.eye(4)[:, :, None, None])
    student = (3 + 0.1 * noise(2, 4, 24, 24)).bfloat16()
    teacher = (3.01 + 0.1 * noise(2, 4, 24, 24, seed=1)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = connectors({"tap": student}, {"tap": teacher})["tap"]
    want = (teacher.double() - student.double()).mean((2, 3)).square().mean()
    assert abs(loss.item() - want.item()) < 0.02 * want.item()
