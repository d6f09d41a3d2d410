import pytest
import torch

from pocketgan.networks import PatchSpec


@pytest.mark.parametrize(("layers", "side"), [(1, 14), (2, 6), (3, 2)])
def test_one_score_a_patch(layers, side):
    """Each stride-2 convolution halves the side, each of the last two takes one off."""
    spec = PatchSpec(width=2, layers=layers)
    assert spec.build()(torch.zeros(2, 6, 32, 32)).shape == (2, 1, side, side)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_smallest_side(layers):
    spec = PatchSpec(width=2, layers=layers)
    side = spec.smallest_side
    assert spec.build()(torch.rand(1, 6, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises((RuntimeError, ValueError)):
        spec.build()(torch.rand(1, 6, side - 1, side - 1))


def test_receptive_field_is_70_pixels():
    """The published PatchGAN: the gradient of one score reaches 70x70 pixels."""
    network = PatchSpec(width=1, in_channels=1, norm="batch").build().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.1)
    x = torch.rand(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    scores = network(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows, columns = (x.grad[0, 0] != 0).nonzero().T
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == 70


def test_channels_double_up_to_eight_times():
    network = PatchSpec(width=2, layers=4).build()
    assert [layer.conv.out_channels for layer in network.layers] == [2, 4, 8, 16, 16, 1]


def test_json_round_trip():
    spec = PatchSpec(in_channels=3, width=8, layers=2, norm="batch")
    assert PatchSpec.model_validate_json(spec.model_dump_json()) == spec
