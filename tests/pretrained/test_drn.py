"""DRN-D-105. The golden case holds the whole network (tests/parity)."""

import pytest
import torch

from pocketgan.errors import DataError
from pocketgan.pretrained.drn import CLASSES, DRN, FILE


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DRN().eval()


@pytest.mark.parametrize(("side", "seen"), [(32, 32), (33, 40)])
@torch.inference_mode()
def test_log_probabilities_at_the_size_of_the_image(network, side, seen):
    scores = network(torch.rand(1, 3, side, 32))
    assert scores.shape == (1, CLASSES, seen, 32)
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(1, seen, 32))


@torch.inference_mode()
def test_enlarging_is_linear_and_by_class(network):
    ramp = torch.arange(6.0).expand(1, CLASSES, 5, 6) * torch.arange(CLASSES).view(-1, 1, 1)
    large = network.up(ramp)
    # the middle of an enlarged pixel is (i + 0.5) / 8 - 0.5 in the small one; the border falls off to zero
    wanted = (torch.arange(48) + 0.5) / 8 - 0.5
    for number in (1, 18):
        torch.testing.assert_close(large[0, number, 20, 4:-4], number * wanted[4:-4])


def test_an_old_file_without_counters_is_enough(network, tmp_path):
    state = {name: value.clone() for name, value in network.state_dict().items() if "num_batches" not in name}
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / FILE)
    loaded = DRN.load(tmp_path / FILE)
    assert torch.equal(loaded.seg.weight, network.seg.weight)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    torch.save({"seg.bias": state["seg.bias"]}, tmp_path / "broken.pth")
    with pytest.raises(DataError, match=r"broken.pth holds no DRN-D-105 of 19 classes; give drn-d-105_ms"):
        DRN.load(tmp_path / "broken.pth")


def test_where_to_get_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    with pytest.raises(DataError) as caught:
        DRN.load()
    assert str(caught.value) == (
        "drn needs its trained weights, which are published without a checksum and so never downloaded; get "
        f"drn-d-105_ms_cityscapes.pth from https://github.com/fyu/drn and put it at {tmp_path / 'weights' / FILE}, "
        "or give the file with --weights drn=FILE"
    )
    with pytest.raises(DataError, match=r"nowhere.pth, given as the weights of drn, is no file; give drn-d-105_ms"):
        DRN.load(tmp_path / "nowhere.pth")
