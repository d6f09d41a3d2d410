"""Encoding on a device gives exactly the numbers of that on a CPU, and a device is sent bytes."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pocketgan.data.batches import evaluation_batches, target_batches, training_batches
from pocketgan.data.cache import Examples, Images
from pocketgan.data.labels import LabelMaps
from pocketgan.data.packed import Packed

CPU = torch.device("cpu")
LEVELS = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 8, 3)

MAPS = {
    "classes": LabelMaps(classes=5),
    "do not care": LabelMaps(classes=5, dont_care=True),
    "all that fit": LabelMaps(classes=255, dont_care=True),
    "instances": LabelMaps(classes=5, instances=True),
    "everything": LabelMaps(classes=7, dont_care=True, instances=True),
}


def maps(of: LabelMaps, seed: int = 0) -> Packed:
    """Every label, and instances whose numbers differ in either byte."""
    chance = np.random.default_rng(seed)
    every = [*range(of.classes), *([255] if of.dont_care else [])]
    pixels = np.zeros((2, 24, 16, of.bytes), np.uint8)
    pixels[..., 0] = np.resize(chance.permutation(every), pixels.shape[:3])
    pixels[..., 1:] = chance.integers(0, 2, (2, 6, 4, of.bytes - 1)).repeat(4, 1).repeat(4, 2) * 200
    return Packed(pixels, of)


def same_on(packed: Packed, device: torch.device) -> bool:
    here, there = packed.on(CPU), packed.on(device)
    assert there.device == device
    assert there.is_contiguous()
    return here.dtype == there.dtype and torch.equal(here, there.cpu())


def test_every_level(accelerator):
    found = Packed(LEVELS).on(accelerator).cpu()
    assert torch.equal(found, torch.from_numpy(LEVELS).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert same_on(Packed(LEVELS), accelerator)
    assert same_on(Packed(LEVELS[:0]), accelerator)


@pytest.mark.parametrize("name", MAPS)
def test_label_maps(name, accelerator):
    packed = maps(MAPS[name])
    assert same_on(packed, accelerator)
    assert not torch.equal(packed.on(CPU), maps(MAPS[name], 1).on(CPU))


def test_a_device_is_sent_bytes(accelerator):
    sent = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, inputs=(), named=None):
            result = function(*inputs, **(named or {}))
            if function is torch.ops.aten._to_copy.default and inputs[0].device == CPU and inputs[0].numel() > 256:
                sent.append(inputs[0].dtype)
            return result

    with Watch():
        Packed(LEVELS).on(accelerator)
        maps(MAPS["everything"]).on(accelerator)
    assert sent == [torch.uint8, torch.uint8]


def test_batches_of_every_kind(accelerator):
    names = ["a", "b", "c"]
    examples = Examples(
        Images(names, maps(MAPS["everything"]).pixels.repeat(2, 0)[:3], MAPS["everything"]),
        Images(names, np.resize(LEVELS, (3, 24, 16, 3))),
    )
    options = dict(batch_size=2, size=(16, 16), flip=True, seed=0, epoch=0)
    for make in (
        lambda place: (each.on(place) for each in training_batches(examples, **options)),
        lambda place: evaluation_batches(examples, 2, place),
        lambda place: target_batches(examples, 2, place),
    ):
        for here, there in zip(make(CPU), make(accelerator), strict=True):
            assert here.names == there.names
            for part in set(here._fields) - {"names"}:
                assert torch.equal(getattr(here, part), getattr(there, part).cpu())
