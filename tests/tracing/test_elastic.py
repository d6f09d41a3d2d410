"""A module as a supernet, as a user handles it."""

import doctest
import subprocess
import sys

import pytest
import torch
from torch import nn

import pocketgan as pg
from pocketgan.errors import SpecError
from pocketgan.models import load_model, save_model
from pocketgan.tracing import elastic as elastic_module
from pocketgan.tracing.trace import trace


class Small(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.Dropout(0.5))
        self.decode = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2 * width, 3, 3, padding=1), nn.Tanh())

    def forward(self, x):
        return self.decode(self.middle(self.encode(x)))


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Small()


@pytest.fixture(scope="module")
def traced(module):
    return trace(module, torch.rand(1, 3, 32, 32))


def test_the_examples_of_the_docstrings():
    failed, tried = doctest.testmod(elastic_module)
    assert (failed, tried > 5) == (0, True)


def test_the_module_itself_is_left_as_it_is(module):
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    supernet = pg.elastic(module.train(), torch.rand(1, 3, 16, 16))
    assert module.training
    supernet(torch.rand(2, 3, 24, 40), at=supernet.sample(seed=0)).sum().backward()
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert supernet.groups == {"encode.0": 16, "middle.0": 32}
    assert (supernet.largest, supernet.smallest) == ((16, 32), (4, 8))
    assert supernet.sample(seed=3) == supernet.sample(seed=3) != supernet.sample(seed=4)
    with pytest.raises(SpecError, match="widths are 2 whole numbers from 1 to 16_32, not 17_8"):
        supernet(torch.rand(1, 3, 16, 16), at=(17, 8))


def test_other_sides_other_batches_training_mode(module, traced):
    network, x = traced.generator(), torch.rand(3, 3, 20, 44)
    assert torch.equal(network(x), module.eval()(x))
    for each in (network.train(), module.train()):
        torch.manual_seed(1)
        each(x)
    assert torch.equal(network.get_buffer("encode.1.running_mean"), module.encode[1].running_mean)
    assert int(network.get_buffer("encode.1.num_batches_tracked")) == 1
    assert traced.spec.stride == 2
    assert traced.spec.taps == ("middle/1", "middle/2"), "named as adaptors can be"


def test_a_model_folder_needs_nothing_of_the_users_code(tmp_path, traced):
    network = traced.generator()
    save_model(tmp_path, network, {})
    loaded = load_model(tmp_path).network
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded(x), network(x))
    assert loaded.spec == traced.spec


class Coordinates(nn.Module):
    """Gated units, and a picture of fixed sides beside the image."""

    def __init__(self):
        super().__init__()
        self.register_buffer("grid", torch.rand(1, 1, 16, 24))
        self.into, self.out = nn.Conv2d(4, 32, 3, padding=1), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        seen = torch.cat([x, self.grid.expand(x.shape[0], -1, -1, -1)], 1)
        return self.out(nn.functional.glu(self.into(seen), 1))


def test_gates_and_fixed_sides():
    x = torch.rand(2, 3, 16, 24)
    supernet = pg.elastic(Coordinates(), x)
    small = supernet.extract(supernet.smallest)
    assert (supernet.groups, supernet.smallest, small.into.out_channels) == ({"into": 16}, (4,), 8)
    assert torch.equal(small(x), supernet(x, at=(4,)))
    assert supernet.spec.taps
    supernet.spec.check_size(16, 24)
    for sides in ((32, 48), (24, 16), (16,)):
        with pytest.raises(SpecError, match="was traced at 16 x 24 pixels, a size that its forward fixes"):
            supernet.spec.check_size(*sides)


class Taken(nn.Module):
    """Names that the exporter gives to parts of its own."""

    def __init__(self):
        super().__init__()
        self.code, self.graph, self.out = (
            nn.Parameter(torch.rand(1, 8, 1, 1)),
            nn.Conv2d(3, 8, 1),
            nn.Conv2d(8, 3, 1),
        )

    def forward(self, x):
        return self.out(self.graph(x).relu() * self.code)


@pytest.mark.usefixtures("real_export")
def test_names_that_the_exporter_takes(tmp_path):
    x = torch.rand(2, 3, 16, 16)
    supernet = pg.elastic(Taken(), x)
    small = supernet.extract(supernet.smallest)
    assert isinstance(small, Taken)
    assert torch.equal(small(x), supernet(x, at=supernet.smallest))
    assert pg.export(small, tmp_path / "small.onnx", size=16).largest < 1e-5


def test_importing_the_package_is_light():
    code = "import sys, pocketgan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'elastik'"):
        _ = pg.elastik
