"""The FID's Inception: its resizings, its folding, its pools. The golden case holds the whole (tests/parity)."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from pocketgan.errors import DataError
from pocketgan.pretrained import inception
from pocketgan.pretrained.inception import DIMENSIONS, SIZE, SOURCE, Inception, resize_clean, resize_legacy


def official_name(place):
    """Mixed_5b.1.branch5x5_2 -> Mixed_5b.branch5x5_2"""
    return ".".join(dict.fromkeys((place.partition(".")[0], place.rpartition(".")[2])))


def official_state():
    """Random weights with the names of pytorch-fid's file."""
    random = torch.Generator().manual_seed(0)
    state = {}
    for place, layer in Inception().layers.named_modules():
        if isinstance(layer, nn.Conv2d):
            name, channels = official_name(place), layer.out_channels
            deviation = (2 / layer.weight[0].numel()) ** 0.5
            state[f"{name}.conv.weight"] = torch.randn(layer.weight.shape, generator=random) * deviation
            state[f"{name}.bn.weight"] = torch.rand(channels, generator=random) + 0.5
            state[f"{name}.bn.bias"] = torch.randn(channels, generator=random) / 5
            state[f"{name}.bn.running_mean"] = torch.randn(channels, generator=random) / 5
            state[f"{name}.bn.running_var"] = torch.rand(channels, generator=random) + 0.5
            state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)
    return state | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}


@pytest.fixture(scope="module")
def state():
    return official_state()


@pytest.fixture(scope="module")
def network(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "weights.safetensors"
    save_file(state | {"AuxLogits.fc.weight": torch.zeros(1008, 768)}, path)
    return Inception.load(path)


def images(height, width):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_clean_resizing_is_pillows_in_floating_point():
    for x in (images(70, 90), images(420, 350)):
        ours = resize_clean(x)
        for i in range(2):
            for channel in range(3):
                levels = Image.fromarray(((x[i, channel] + 1) * 127.5).numpy())
                wanted = np.asarray(levels.resize((SIZE, SIZE), Image.Resampling.BICUBIC)).clip(0, 255)
                np.testing.assert_allclose(ours[i, channel], (wanted - 128) / 128, atol=1e-4)


def test_legacy_resizing_takes_four_neighbours():
    x = images(310, 17)
    places = [(np.arange(SIZE) + 0.5) * side / SIZE - 0.5 for side in x.shape[-2:]]
    (y, wy), (z, wz) = ((np.floor(np.maximum(p, 0)).astype(int), np.maximum(p, 0) % 1) for p in places)
    below, right = np.minimum(y + 1, 309), np.minimum(z + 1, 16)
    grid, wy = x.double().numpy(), wy[:, None]
    wanted = (
        (1 - wy) * (1 - wz) * grid[..., y[:, None], z]
        + (1 - wy) * wz * grid[..., y[:, None], right]
        + wy * (1 - wz) * grid[..., below[:, None], z]
        + wy * wz * grid[..., below[:, None], right]
    )
    np.testing.assert_allclose(resize_legacy(x), wanted, atol=1e-4)


def test_an_image_of_the_right_size_stays():
    x = images(SIZE, SIZE)
    torch.testing.assert_close(resize_legacy(x), x, rtol=0, atol=1e-6)
    torch.testing.assert_close(resize_clean(x), ((x + 1) * 127.5 - 128) / 128, rtol=0, atol=1e-5)


def test_batch_norms_are_folded_in(state, network):
    x = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    norm = nn.BatchNorm2d(32, eps=1e-3).eval()
    norm.load_state_dict({k.rpartition(".")[2]: v for k, v in state.items() if k.startswith("Conv2d_1a_3x3.bn.")})
    wanted = norm(nn.functional.conv2d(x, state["Conv2d_1a_3x3.conv.weight"], stride=2)).relu()
    torch.testing.assert_close(network.layers.Conv2d_1a_3x3(x), wanted)


def test_every_tensor_of_the_published_network_is_used(state, network):
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 94
    # torchvision's inception_v3 has 27,161,264 parameters, 2,049,000 of them in its classifier and 3,326,696 in its
    # auxiliary head; a batch norm has two for each channel, which folding leaves one of
    assert sum(m.weight.numel() + 2 * m.out_channels for m in convolutions) == 27_161_264 - 2_049_000 - 3_326_696
    assert len({k for k in state if k.endswith("conv.weight")}) == 94


def test_averages_do_not_count_the_padding(network):
    block = network.layers.Mixed_5b
    pool = block[-1].branch_pool
    x = torch.rand(1, 192, 5, 6, generator=torch.Generator().manual_seed(1))
    padded, ones = nn.functional.pad(x, (1, 1, 1, 1)), nn.functional.pad(torch.ones(5, 6), (1, 1, 1, 1))
    rows = [
        [(padded[..., i : i + 3, j : j + 3].sum((2, 3)), ones[i : i + 3, j : j + 3].sum()) for j in range(6)]
        for i in range(5)
    ]
    averages = torch.stack([torch.stack([total / count for total, count in row], -1) for row in rows], -2)
    wanted = nn.functional.conv2d(averages, pool.weight, pool.bias).relu()
    torch.testing.assert_close(block(x)[:, -32:], wanted, rtol=1e-4, atol=1e-5)


def test_the_last_block_pools_by_the_maximum(network):
    block = network.layers.Mixed_7c
    x = torch.randn(1, 2048, 4, 4, generator=torch.Generator().manual_seed(1))
    padded = nn.functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
    largest = padded.unfold(2, 3, 1).unfold(3, 3, 1).amax((-2, -1))
    wanted = block[-1].branch_pool(largest)
    torch.testing.assert_close(block(x)[:, -192:], wanted, rtol=1e-4, atol=1e-5)


def test_features_are_of_each_image_alone(network):
    x = images(SIZE, SIZE)
    features = network(x)
    assert features.shape == (2, DIMENSIONS)
    torch.testing.assert_close(features[1:], network(x[1:]), rtol=1e-4, atol=1e-5)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_another_networks_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2, 2)}, path)
    with pytest.raises(DataError, match=f"^{path} holds no Inception-v3 of the FID; give {SOURCE.file}$"):
        Inception.load(path)


def test_weights_are_found_by_the_rule(network, state, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    with pytest.raises(DataError, match="inception needs its trained weights"):
        Inception.load()
    assert inception.SOURCE.file.rpartition("-")[2].startswith(SOURCE.sha256[:8])
