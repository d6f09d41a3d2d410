"""What networks compute with."""

import torch
from torch import nn

from pocketgan.objectives.precision import in_precision
from pocketgan.pretrained.perceptual import Perceptual, perceptual_network
from pocketgan.pretrained.vgg import Vgg

CPU = torch.device("cpu")


class Echo(nn.Module):
    """Gives back what it was given."""

    def forward(self, *inputs, **named):
        return inputs, named


def test_fp32_is_the_network_itself():
    network = Echo()
    assert in_precision(network, CPU, "fp32") is network


def test_bf16_rounds_what_comes_in_and_gives_float32():
    x, numbers = torch.tensor([1 + 2**-10, 3.0]), torch.tensor([7])
    given = {"a": x, "b": [x, (x, None)]}
    (first, whole), named = in_precision(Echo(), CPU, "bf16")(x, numbers, features=given)
    rounded = torch.tensor([1.0, 3.0])  # 2^-10 is lost among the 8 bits of bfloat16
    assert whole is numbers
    for found in (first, named["features"]["a"], named["features"]["b"][0], named["features"]["b"][1][0]):
        assert found.dtype == torch.float32
        assert torch.equal(found, rounded)
    assert named["features"]["b"][1][1] is None


def test_products_are_those_of_bfloat16_and_gradients_float32():
    layer = nn.Linear(64, 8, bias=False)
    x = torch.rand(3, 64)
    y = in_precision(layer, CPU, "bf16")(x)
    assert torch.equal(y, (x.bfloat16() @ layer.weight.detach().bfloat16().mT).float())
    y.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_the_bundled_perceptual_network_computes_in_float32_whatever_the_others_do():
    network, x = perceptual_network("mobilenet_v2"), torch.rand(1, 3, 64, 64) * 2 - 1
    for stage, found in in_precision(network, CPU, "bf16")(x).items():
        assert torch.equal(found, network(x.bfloat16().float())[stage])


def test_no_other_precision_is_switched_on_off_the_cpu(accelerator):
    """Float16 was, where only an exception for the CPU was meant."""
    network, x = perceptual_network("mobilenet_v2"), torch.rand(1, 3, 64, 64) * 2 - 1
    wanted = network(x)
    for stage, found in network.to(accelerator)(x.to(accelerator)).items():
        assert torch.equal(found.cpu(), wanted[stage])


def test_a_vgg_follows_the_training():
    network = Perceptual(Vgg(16, ("relu1_2", "relu2_2")), from_zero=True, stages=2)
    found = in_precision(network, CPU, "bf16")(torch.rand(1, 3, 16, 16))
    assert all(torch.equal(x, x.bfloat16().float()) for x in found.values())
