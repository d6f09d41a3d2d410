"""The training engine on a GPU. Numbers differ from a CPU's in the last places alone, in float64."""

import random

import pytest
import torch

from pocketgan.objectives.precision import in_precision
from pocketgan.pretrained.perceptual import perceptual_network
from pocketgan.runtime import Runtime
from tests.data.test_packed import LEVELS, MAPS, Packed, maps, same_on
from tests.objectives.test_bursts import GAMES as BURSTS
from tests.objectives.test_golden import GAMES
from tests.objectives.test_online import GAMES as ONLINE
from tests.objectives.toys import fitting_batch, tensors
from tests.training.test_device import tensors_in
from tests.training.test_fit import distiller, pix2pix, stopping_at, train

GAMES = {**GAMES, **ONLINE, **BURSTS}


@pytest.mark.parametrize("name", GAMES)
def test_steps_are_those_on_a_cpu(name, device):
    make, settings = GAMES[name]
    here, there = make(**settings), make(**settings)
    there.setup(device, "fp32")
    for number in range(3):
        batch = fitting_batch(here, number)
        wanted = here.step(batch, random.Random(number))
        losses = there.step(batch.on(device), random.Random(number))
        for key, loss in wanted.items():
            assert losses[key].item() == pytest.approx(loss.item(), rel=1e-6), key
    there.finite.check()


@pytest.mark.parametrize("make", [pix2pix, distiller])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_that_was_stopped_goes_on(make, precision, device, tmp_path):
    options = dict(runtime=Runtime(device="cuda", checkpoint_seconds=0, log_steps=1), precision=precision)
    whole, first, second = make(), make(), make()
    train(whole, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        train(first, tmp_path / "run", **options, progress=stopping_at(5))
    train(second, tmp_path / "run", **options)
    assert all(tensor.device == device for tensor in tensors_in(second.state_dict()))
    found, wanted = tensors(second), tensors(whole)
    for key, tensor in wanted.items():
        torch.testing.assert_close(found[key], tensor, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_bundled_perceptual_network_computes_in_float32(precision, device):
    network = perceptual_network("mobilenet_v2")
    x = (torch.rand(2, 3, 64, 64) * 2 - 1).bfloat16().float()
    wanted = network(x)
    found = in_precision(network.to(device), device, precision)(x.to(device))
    for stage, features in found.items():
        assert features.dtype == torch.float32
        # TF32 keeps 10 bits, as float16 does, but products are summed in float32
        torch.testing.assert_close(features.cpu(), wanted[stage], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", MAPS)
def test_label_maps_are_encoded_there(name, device):
    assert same_on(maps(MAPS[name]), device)


def test_images_are_encoded_there(device):
    assert same_on(Packed(LEVELS), device)
    assert same_on(Packed(LEVELS[:0]), device)
