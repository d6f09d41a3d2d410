import torch

from pocketgan.networks import PatchSpec, ResnetSpec, init_normal


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
