"""ESPNet with its bundled weights. What it recognises in street scenes: benchmarks/segmentation.py."""

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from pocketgan.errors import DataError
from pocketgan.pretrained.espnet import WEIGHTS, ESPNet

OFFICIAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "weights" / "espnet"
CLASSES = {"camvid": 12, "cityscapes": 20}


def image(height, width):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0)) / 255


def naive(x, s):
    """The network as the paper draws it, from the tensors alone."""

    def act(y, name, norm=".bn", slope=".act"):
        n = {k: s[f"{name}{norm}.{k}"].view(-1, 1, 1) for k in ("weight", "bias", "running_mean", "running_var")}
        y = (y - n["running_mean"]) / (n["running_var"] + 1e-3).sqrt() * n["weight"] + n["bias"]
        return y if slope is None else torch.where(y > 0, y, y * s[f"{name}{slope}.weight"].view(-1, 1, 1))

    def pyramid(y, name, stride=1):
        kernel = s[f"{name}.c1.conv.weight"]
        y = F.conv2d(y, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        d = {r: F.conv2d(y, s[f"{name}.d{r}.conv.weight"], padding=r, dilation=r) for r in (1, 2, 4, 8, 16)}
        two, four = d[2], d[2] + d[4]
        return torch.cat([d[1], two, four, four + d[8], four + d[8] + d[16]], 1)

    def blocks(y, name):
        number = 0
        while f"{name}.{number}.c1.conv.weight" in s:
            y = act(y + pyramid(y, f"{name}.{number}"), f"{name}.{number}.bn")
            number += 1
        return y

    half = F.avg_pool2d(x, 3, 2, 1)
    quarter = F.avg_pool2d(half, 3, 2, 1)
    first = act(F.conv2d(x, s["encoder.level1.conv.weight"], stride=2, padding=1), "encoder.level1")
    joined = act(torch.cat([first, half], 1), "encoder.b1")
    down = act(pyramid(joined, "encoder.level2_0", 2), "encoder.level2_0")
    second = act(torch.cat([blocks(down, "encoder.level2"), down, quarter], 1), "encoder.b2")
    down = act(pyramid(second, "encoder.level3_0", 2), "encoder.level3_0")
    third = act(torch.cat([down, blocks(down, "encoder.level3")], 1), "encoder.b3")
    scores = act(F.conv2d(third, s["encoder.classifier.conv.weight"]), "", "br", None)
    scores = F.conv_transpose2d(scores, s["up_l3.0.weight"], stride=2)
    y = act(torch.cat([F.conv2d(second, s["level3_C.conv.weight"]), scores], 1), "combine_l2_l3.0")
    y = act(pyramid(y, "combine_l2_l3.1"), "combine_l2_l3.1.bn")
    y = act(F.conv_transpose2d(y, s["up_l2.0.weight"], stride=2), "up_l2.1")
    seen = joined if s["conv.conv.weight"].shape[1] == y.shape[1] + joined.shape[1] else first
    y = act(F.conv2d(torch.cat([y, seen], 1), s["conv.conv.weight"], padding=1), "conv")
    return F.conv_transpose2d(y, s["classifier.weight"], stride=2)


@pytest.mark.parametrize("data", CLASSES)
@torch.inference_mode()
def test_bundled_weights_give_what_the_paper_draws(data):
    network, x = ESPNet.load(data=data), image(64, 104)
    scores = network(x)
    assert scores.shape == (1, CLASSES[data], 64, 104)
    wanted = naive(x.double(), {name: value.double() for name, value in load_file(WEIGHTS[data]).items()})
    torch.testing.assert_close(scores.double(), wanted, rtol=1e-4, atol=1e-4)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the published files are not beside the repository")
@pytest.mark.parametrize("depth", [3, 5, 8])
@torch.inference_mode()
def test_the_published_files_are_read(depth):
    file = OFFICIAL / f"espnet_p_2_q_{depth}.pth"
    network = ESPNet.load(file)
    assert len(network.encoder.level3) == depth
    if depth == 8:
        assert torch.equal(network(image(32, 32)), ESPNet.load(data="cityscapes")(image(32, 32)))
    else:
        state = torch.load(file, map_location="cpu", weights_only=True)
        torch.testing.assert_close(network(image(32, 32)), naive(image(32, 32), state), rtol=1e-3, atol=1e-3)


def test_the_weights_are_those_that_their_readme_names():
    readme = (WEIGHTS["camvid"].parent / "README.md").read_text()
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() in readme for path in WEIGHTS.values())
    assert "MIT License" in (WEIGHTS["camvid"].parent / "espnet.LICENSE").read_text()


def test_sides_are_multiples_of_eight():
    with pytest.raises(
        DataError, match=r"^ESPNet takes images whose sides are multiples of 8, and got 100 x 64 pix"
    ):
        ESPNet.load()(image(64, 100))


def test_another_networks_file_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    for state in ({"weight": torch.zeros(2)}, {**load_file(WEIGHTS["camvid"]), "br.bias": torch.zeros(3)}):
        save_file(state, path)
        with pytest.raises(DataError, match=f"^{path} holds no ESPNet; give a file of its pretrained/decoder$"):
            ESPNet.load(path)
