"""DeepLab v2, on a ResNet of one block a stage."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from pocketgan.errors import DataError
from pocketgan.pretrained.deeplab import FILE, RATES, DeepLab


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = DeepLab(classes=5, blocks=(1, 1, 1, 2)).eval()
    with torch.no_grad():  # norms that do something
        for name, value in network.named_buffers():
            if "running" in name:
                value.uniform_(0.5, 1.5)
    return network


def normed(x, layer):
    norm = layer.bn
    scale = norm.weight / (norm.running_var + 1e-5).sqrt()
    return x * scale.view(-1, 1, 1) + (norm.bias - norm.running_mean * scale).view(-1, 1, 1)


def spread(kernel, rate):
    """A dilated kernel written out, with its zeros."""
    full = kernel.new_zeros(*kernel.shape[:2], 2 * rate + 1, 2 * rate + 1)
    full[..., ::rate, ::rate] = kernel
    return full


def naive_block(x, block, stride, rate):
    y = normed(F.conv2d(x[..., ::stride, ::stride], block.reduce.conv.weight), block.reduce).relu()
    kernel = spread(block.conv3x3.conv.weight, rate)
    y = normed(F.conv2d(y, kernel, padding=rate), block.conv3x3).relu()
    y = normed(F.conv2d(y, block.increase.conv.weight), block.increase)
    short = x
    if y.shape != x.shape:
        short = normed(F.conv2d(x[..., ::stride, ::stride], block.shortcut.conv.weight), block.shortcut)
    return (y + short).relu()


def naive(x, base):
    """One scale, without dilations, strides or ceilings of torch."""
    x = normed(F.conv2d(x, base.layer1.conv1.conv.weight, stride=2, padding=3), base.layer1.conv1).relu()
    height, width = (-(-(side - 1) // 2) + 1 for side in x.shape[-2:])
    padded = F.pad(x, (1, 3, 1, 3), value=-torch.inf)
    x = padded.unfold(2, 3, 2).unfold(3, 3, 2)[:, :, :height, :width].amax((-2, -1))
    x = naive_block(x, base.layer2.block1, 1, 1)
    x = naive_block(x, base.layer3.block1, 2, 1)
    x = naive_block(x, base.layer4.block1, 1, 2)
    for block in base.layer5:
        x = naive_block(x, block, 1, 4)
    layers = zip(RATES, base.aspp.children(), strict=True)
    return sum(F.conv2d(x, spread(layer.weight, rate), layer.bias, padding=rate) for rate, layer in layers)


@pytest.mark.parametrize("size", [(33, 40), (24, 41)])
@torch.inference_mode()
def test_scores_are_the_highest_of_three_scales(network, size):
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    wanted = naive(x, network.base)
    assert wanted.shape[-2:] == tuple((side + 1) // 8 + 1 for side in size)
    for scale in (0.5, 0.75):
        small = naive(F.interpolate(x, scale_factor=scale, mode="bilinear"), network.base)
        wanted = torch.maximum(wanted, F.interpolate(small, wanted.shape[-2:], mode="bilinear"))
    torch.testing.assert_close(network(x), wanted, rtol=1e-4, atol=1e-4)


def test_tensors_have_the_names_of_the_released_file():
    with torch.device("meta"):
        state = DeepLab().state_dict()
    released = {
        "base.layer1.conv1.conv.weight": (64, 3, 7, 7),
        "base.layer2.block1.reduce.conv.weight": (64, 64, 1, 1),
        "base.layer2.block1.shortcut.bn.running_mean": (256,),
        "base.layer4.block23.conv3x3.conv.weight": (256, 256, 3, 3),
        "base.layer5.block3.increase.bn.bias": (2048,),
        "base.aspp.c3.weight": (182, 2048, 3, 3),
        "base.aspp.c0.bias": (182,),
    }
    assert {name: tuple(state[name].shape) for name in released} == released
    convolutions = 1 + 3 * (3 + 4 + 23 + 3) + 4  # stem, blocks, projections
    assert len(state) == convolutions * 6 + 4 * 2
    assert sum("shortcut.conv" in name for name in state) == 4


def test_files(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=f"deeplab needs its trained weights, .* get {FILE} from https://github"):
        DeepLab.load()
    save_file({"base.aspp.c3.bias": torch.zeros(182)}, tmp_path / "part.safetensors")
    with pytest.raises(DataError, match=f"holds no DeepLab v2 of 182 classes; give {FILE}$"):
        DeepLab.load(tmp_path / "part.safetensors")
