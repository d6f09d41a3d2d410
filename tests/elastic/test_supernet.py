"""What a supernet is beside what `test_conformance` says of every one."""

import pytest
import torch

from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec
from tests.elastic.toys import filled, image, small_space, supernet_of


def test_dropout_acts_in_training_only():
    supernet, x = Supernet(ResnetSpec.uniform(3, blocks=6, dropout=0.5)).eval(), image().float()
    calm = supernet(x, (2,) * 11)
    assert torch.equal(supernet(x, (2,) * 11), calm)
    assert not torch.equal(supernet.train()(x, (2,) * 11), calm)
    assert torch.equal(supernet.eval()(x, (2,) * 11), calm)


def test_extracted_weights_are_its_own():
    space = small_space(separable=("residual",), blocks=6)
    supernet, x = supernet_of(space), image()
    subnet = supernet.extract(space.widths(space.smallest))
    output = subnet(x)
    filled(supernet, seed=5)
    assert torch.equal(subnet(x), output)


def test_wider_than_the_supernet():
    supernet = Supernet(ResnetSpec.uniform(2, blocks=1))
    with pytest.raises(SpecError) as error:
        supernet(image().float(), (3, 2, 2, 2, 2, 2))
    assert str(error.value) == "a subnet wants 3 channels where the supernet has 2; widen the supernet"
