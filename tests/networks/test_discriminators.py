import pytest
import torch
from pydantic import ValidationError

from pocketgan.networks import PatchSpec, PixelSpec, SharedPatchSpec


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


@pytest.mark.parametrize("shared", range(6))
@torch.no_grad()
def test_heads_share_the_first_layers(shared):
    """Each head is a PatchGAN; they differ in the layers that are not shared, and there are no more parameters."""
    spec = SharedPatchSpec(width=2, shared=shared, norm="batch")
    network, x = spec.build().eval(), torch.rand(1, 6, 32, 32)
    plain = PatchSpec(width=2, norm="batch").build().eval()
    scores = []
    for head in (0, 1):
        names = {
            f"layers.{k}.{part}": f"layers.{k}.{0 if k < shared else head}.{part}"
            for k in range(5)
            for part in ("conv", "norm")
        }
        state = network.state_dict()
        plain.load_state_dict(
            {key: state[f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}"] for key in plain.state_dict()}
        )
        scores.append(network(x, head))
        assert torch.equal(scores[-1], plain(x))
    assert torch.equal(*scores) == (shared == 5)
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in plain.layers]
    assert sum(p.numel() for p in network.parameters()) == sum(sizes[:shared]) + 2 * sum(sizes[shared:])


def test_every_parameter_of_a_head_learns():
    network, x = SharedPatchSpec(width=2, shared=2, heads=3).build(), torch.rand(2, 6, 32, 32)
    sum(network(x, head).square().mean() for head in range(3)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_more_layers_to_share_than_there_are():
    with pytest.raises(ValidationError, match="6 convolutions cannot be shared where there are 5"):
        SharedPatchSpec(shared=6)


@torch.no_grad()
def test_a_pixel_is_scored_by_itself():
    network, x = PixelSpec(width=3, norm="batch").build().eval(), torch.rand(1, 6, 5, 7)
    assert network(x).shape == (1, 1, 5, 7)
    torch.testing.assert_close(network(x[:, :, 2:4, 3:6]), network(x)[:, :, 2:4, 3:6])
    assert network.layers[2].conv.bias is None
    assert PixelSpec(norm="instance").build().layers[2].conv.bias is not None
