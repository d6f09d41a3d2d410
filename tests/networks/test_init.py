import math

import pytest
import torch
from torch import nn

from pocketgan.networks import (
    MsImageSpec,
    MultiscaleSpec,
    MunitSpec,
    PatchSpec,
    ResnetSpec,
    SpadeSpec,
    UnetSpec,
    init_normal,
)
from pocketgan.networks.init import init_kaiming, init_xavier, initialise
from pocketgan.networks.spectral import SpectralConv2d


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_statistics():
    network = init_normal(ResnetSpec.uniform(16, norm="batch", separable=("residual",)).build(), seeded(0))
    weights, gammas = [], []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                assert not parameter.any()
            elif isinstance(module, torch.nn.BatchNorm2d):
                gammas.append(parameter.detach().flatten())
            else:
                weights.append(parameter.detach().flatten())
    for found, mean in ((torch.cat(weights), 0.0), (torch.cat(gammas), 1.0)):
        sigma = 0.02 / len(found) ** 0.5
        assert abs(found.mean() - mean) < 5 * sigma
        assert abs(found.std() - 0.02) < 5 * sigma


def test_it_follows_from_the_generator_alone():
    torch.manual_seed(1)
    first = init_normal(ResnetSpec.uniform(3, blocks=2).build(), seeded(7)).state_dict()
    torch.manual_seed(2)
    again = init_normal(ResnetSpec.uniform(3, blocks=2).build(), seeded(7)).state_dict()
    other = init_normal(ResnetSpec.uniform(3, blocks=2).build(), seeded(8)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_two_networks_from_one_generator_differ():
    generator = seeded(0)
    first, second = (init_normal(PatchSpec(width=2).build(), generator) for _ in range(2))
    assert not torch.equal(first.layers[0].conv.weight, second.layers[0].conv.weight)


def test_other_spread():
    network = init_normal(PatchSpec(width=32).build(), seeded(0), std=0.1)
    assert abs(network.layers[2].conv.weight.std() - 0.1) < 0.005


def layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear, SpectralConv2d))]


def weight_of(layer: nn.Module) -> torch.Tensor:
    return (layer.weight_orig if isinstance(layer, SpectralConv2d) else layer.weight).detach()


def assert_spread(network: nn.Module, variance) -> None:
    """The weights, over what their spread should be, are from N(0, 1); biases are 0."""
    units = []
    for layer in layers(network):
        weight = weight_of(layer)
        receptive = weight[0, 0].numel()
        expected = variance(weight.shape[1] * receptive, weight.shape[0] * receptive)
        units.append(weight.flatten() / math.sqrt(expected))
        assert layer.bias is None or not layer.bias.any()
    units = torch.cat(units)
    sigma = 1 / len(units) ** 0.5
    assert abs(units.mean()) < 5 * sigma
    assert abs(units.std() - 1) < 5 * sigma


def xavier(fan_in: int, fan_out: int) -> float:
    return 0.02**2 * 2 / (fan_in + fan_out)


def kaiming(fan_in: int, fan_out: int) -> float:
    return 2 / fan_in


SPADE = SpadeSpec.uniform(2, in_channels=5)
MUNIT = MunitSpec.uniform(4)


@pytest.mark.parametrize(
    "spec", [SPADE, SPADE.mobile, SPADE.model_copy(update={"spectral": True}), MultiscaleSpec(width=8)]
)
def test_spade_has_xavier(spec):
    assert_spread(initialise(spec.build(), seeded(0)), xavier)


@pytest.mark.parametrize("spec", [MUNIT, MUNIT.mobile])
def test_munit_has_kaiming(spec):
    network = initialise(spec.build(), seeded(0))
    assert_spread(network, kaiming)
    gammas = torch.cat([layer.norm.gamma.detach() for layer in network.decoder.up])
    assert gammas.min() >= 0
    assert gammas.max() < 1
    assert gammas.std() > 0.1
    assert not any(layer.norm.beta.any() for layer in network.decoder.up)


@pytest.mark.parametrize(
    "spec", [ResnetSpec.uniform(2), UnetSpec.uniform(1), PatchSpec(width=2), MsImageSpec(width=2)]
)
def test_all_others_are_normal(spec):
    found, wanted = (law(spec.build(), seeded(3)).state_dict() for law in (initialise, init_normal))
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_without_a_spec():
    found, wanted = (law(nn.Conv2d(3, 4, 1), seeded(3)).weight for law in (initialise, init_normal))
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("law", [init_xavier, init_kaiming])
def test_every_law_follows_from_the_generator_alone(law):
    spec = SPADE.model_copy(update={"spectral": True})
    torch.manual_seed(1)
    first = law(spec.build(), seeded(7)).state_dict()
    torch.manual_seed(2)
    again = law(spec.build(), seeded(7)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_batch_norms_are_around_one():
    network = init_xavier(nn.Sequential(nn.BatchNorm2d(4000)), seeded(0))
    assert abs(network[0].weight.mean() - 1) < 0.002
    assert abs(network[0].weight.std() - 0.02) < 0.002
    assert not network[0].bias.any()
