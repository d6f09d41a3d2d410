"""Kernel matrices in artifacts: there where there are any, whole or refused."""

import pytest
import torch

from pocketgan.elastic.spaces import space_named
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import DataError
from pocketgan.models import load_model, save_model
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.supernets import KERNELS, load_kernels, load_supernet, save_kernels
from tests.elastic.toys import filled, image

SPACE = space_named("2_1,kernel=7_5_3", ResnetSpec.uniform(1, blocks=1))


def saved(folder, spec) -> Supernet:
    made = filled(Supernet(spec)).eval()
    save_model(folder, made.network, {})
    save_kernels(folder, made)
    return made


@torch.no_grad()
def test_a_supernet_comes_back_with_its_matrices(tmp_path):
    made, x = saved(tmp_path, SPACE.spec), image().float()
    again = load_supernet(tmp_path, SPACE.spec)
    assert not again.training
    for genome in (SPACE.largest, SPACE.smallest, (2, 1, 2, 1, 2, 1, 5)):
        spec = SPACE.subspec(genome)
        assert torch.equal(again(x, spec), made(x, spec)), genome
    untouched = Supernet(SPACE.spec).eval()
    untouched.network = made.network
    assert not torch.equal(untouched(x, SPACE.subspec(SPACE.smallest)), again(x, SPACE.subspec(SPACE.smallest)))


def test_other_networks_have_none(tmp_path):
    saved(tmp_path, ResnetSpec.uniform(1, blocks=1))
    save_kernels(tmp_path, ResnetSpec.uniform(1, blocks=1, kernel=7).build())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    load_supernet(tmp_path, ResnetSpec.uniform(1, blocks=1))


def test_the_model_itself_is_one_like_any_other(tmp_path):
    made = saved(tmp_path, SPACE.spec)
    network = load_model(tmp_path).network
    assert network.spec == SPACE.spec
    assert torch.equal(network(image().float()), made.network(image().float()))


def test_a_network_that_was_no_supernet_gives_no_matrices(tmp_path):
    save_model(tmp_path, SPACE.spec.build(), {})
    student = Supernet(SPACE.spec)
    load_kernels(tmp_path, student)
    assert torch.equal(student.kernels.to3, torch.eye(9).repeat(2, 1, 1))


@pytest.mark.parametrize("damage", ["missing", "cut short", "of another network"])
def test_damage_is_said(tmp_path, damage):
    saved(tmp_path, SPACE.spec)
    file = tmp_path / KERNELS
    if damage == "missing":
        file.unlink()
    elif damage == "cut short":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        save_kernels(tmp_path, Supernet(ResnetSpec.uniform(2, blocks=2, kernel=7)))
    why = "is missing" if damage == "missing" else "is cut short or of another network"
    with pytest.raises(DataError) as error:
        load_supernet(tmp_path, SPACE.spec)
    assert str(error.value) == (
        f"the model in {tmp_path} is damaged: kernels.safetensors {why}; make or copy it again"
    )
