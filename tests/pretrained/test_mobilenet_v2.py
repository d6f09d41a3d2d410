import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from pocketgan.pretrained.mobilenet_v2 import DIMENSIONS, WEIGHTS, MobileNetV2

pytestmark = pytest.mark.usefixtures("real_features")

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "metrics"


@pytest.fixture(scope="module")
def network():
    return MobileNetV2.load()


def images(count, size):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_finite_deterministic_and_each_image_is_its_own(network):
    x = images(3, 224)
    features = network(x)
    assert features.shape == (3, DIMENSIONS)
    assert features.isfinite().all()
    assert torch.equal(features, network(x))
    torch.testing.assert_close(features[1:2], network(x[1:2]), rtol=1e-4, atol=1e-5)


def test_the_network_is_frozen_and_in_eval_mode(network):
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_other_sizes_are_resized_as_pillow_does(network):
    drawing = Image.new("RGB", (320, 256), "skyblue")
    draw = ImageDraw.Draw(drawing)
    draw.rectangle((60, 90, 250, 256), fill="firebrick", outline="white", width=5)
    draw.ellipse((110, 110, 200, 190), fill="gold")
    x = np.asarray(drawing)
    resized = np.asarray(drawing.resize((224, 224), Image.Resampling.BILINEAR))
    ours, theirs = (
        network(torch.tensor(array).permute(2, 0, 1).unsqueeze(0) / 127.5 - 1) for array in (x, resized)
    )
    # Pillow rounds to whole grey levels, twice.
    assert (ours - theirs).norm() < 0.03 * theirs.norm()


def test_the_weights_are_those_that_their_readme_names():
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert digest in (WEIGHTS.parent / "README.md").read_text()


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs the golden data in ../shared")
def test_golden_features(network):
    assert "1e-4 relative" in json.loads((GOLDEN / "mobilenet_v2_features.json").read_text())["check"]
    tensors = load_file(GOLDEN / "mobilenet_v2_features.safetensors")
    features = network(tensors["input_u8.x"] / 127.5 - 1)
    torch.testing.assert_close(features, tensors["output.pool"], rtol=1e-4, atol=1e-4)


def test_taps_have_the_images_own_size(network):
    features = network.taps(images(2, 96))
    assert {tap: tuple(f.shape) for tap, f in features.items()} == {
        "stride2": (2, 96, 48, 48),
        "stride4": (2, 144, 24, 24),
        "stride8": (2, 192, 12, 12),
        "stride16": (2, 576, 6, 6),
        "stride32": (2, DIMENSIONS, 3, 3),
    }
    assert all(f.min() >= 0 and f.std() > 0 for f in features.values())


def test_the_deepest_tap_is_what_is_pooled(network):
    x = images(2, 224)
    torch.testing.assert_close(network.taps(x)["stride32"].mean(dim=(2, 3)), network(x))


@pytest.mark.parametrize("size", [33, 50, 63, 96])
def test_sides_are_those_of_same_padding(network, size):
    sides = [f.shape[-1] for f in network.taps(images(1, size)).values()]
    assert sides == [-(-size // stride) for stride in (2, 4, 8, 16, 32)]


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs the golden data in ../shared")
def test_golden_taps(network):
    """The case has the mean of what the block behind the tap of stride 4 filters out of it."""
    tensors = load_file(GOLDEN / "mobilenet_v2_features.safetensors")
    tap = network.taps(tensors["input_u8.x"] / 127.5 - 1)["stride4"]
    filtered = network.blocks[3].depthwise(tap).clamp(0, 6)
    torch.testing.assert_close(filtered.mean(dim=(2, 3)), tensors["output_chmean.op12"], rtol=1e-4, atol=1e-4)
