"""Calibration equals averages taken by hand, and changes nothing else."""

import pytest
import torch
from torch import nn

from pocketgan.elastic.calibrate import calibrate, calibrated
from pocketgan.elastic.spaces import uniform_space
from pocketgan.errors import DataError
from pocketgan.networks import ResnetSpec, SpadeSpec
from tests.elastic.toys import supernet_of

SPECS = {
    "resnet": ResnetSpec.uniform(3, blocks=1, norm="batch", dropout=0.5),
    "spade": SpadeSpec.uniform(3, in_channels=3, upsampling="normal", separable=("modulation",)),
}
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def images(*batches: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, 32, 64, generator=generator, dtype=torch.float64) * 2 - 1 for n in batches]


def norms_of(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}


@each_spec
@torch.no_grad()
def test_cumulative_average(spec):
    network = supernet_of(uniform_space(spec, (2,))).network
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    batches = images(2, 3, 4)
    means, variances = {}, {}

    def note(name):
        def hook(module, inputs):
            means.setdefault(name, []).append(inputs[0].mean((0, 2, 3)))
            variances.setdefault(name, []).append(inputs[0].var((0, 2, 3), unbiased=True))

        return hook

    handles = [norm.register_forward_pre_hook(note(name)) for name, norm in norms_of(network).items()]
    assert calibrate(network, iter(batches)) is network
    for handle in handles:
        handle.remove()
    for name, norm in norms_of(network).items():
        assert len(means[name]) == 3
        torch.testing.assert_close(norm.running_mean, torch.stack(means[name]).mean(0))
        torch.testing.assert_close(norm.running_var, torch.stack(variances[name]).mean(0))
        assert norm.momentum == 0.1
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters())
    again = {name: norm.running_var.clone() for name, norm in norms_of(network).items()}
    calibrate(network, batches)
    assert all(torch.equal(norm.running_var, again[name]) for name, norm in norms_of(network).items())


@each_spec
@torch.no_grad()
def test_a_subnet_leaves_the_supernet_alone(spec):
    space = uniform_space(spec, (3, 2))
    supernet, batches = supernet_of(space), images(2, 2)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    widths = space.widths(space.smallest)
    subnet = calibrated(supernet, widths, batches)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    plain = calibrate(supernet.extract(widths), batches)
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in subnet.state_dict().items())
    assert not torch.equal(subnet(batches[0]), supernet(batches[0], widths))


def test_modes_come_back():
    network = SPECS["resnet"].build().double().train()
    network.head.eval()
    modes = [module.training for module in network.modules()]
    output = calibrate(network, images(2))(images(1)[0])
    assert [module.training for module in network.modules()] == modes
    assert output.requires_grad


def test_networks_without_statistics_are_left_alone():
    network = ResnetSpec.uniform(2, blocks=1).build()
    assert calibrate(network, iter([])) is network


def test_no_images():
    network = SPECS["resnet"].build()
    with pytest.raises(DataError) as error:
        calibrate(network, [])
    text = "calibration needs at least one batch of images and got none; give it training images"
    assert str(error.value) == text
    assert all(norm.momentum == 0.1 for norm in norms_of(network).values())
