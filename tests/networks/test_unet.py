"""U-Nets against one written with plain functions, and what their specs say."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from pocketgan.deploy import export_verified
from pocketgan.errors import SpecError
from pocketgan.networks import UnetSpec, parse_spec
from tests.elastic.toys import filled, image

FIVE = (5, 4, 3, 2, 1)


def plain_unet(state: dict[str, torch.Tensor], levels: int, x: torch.Tensor) -> torch.Tensor:
    """The recursion of pix2pix, with its activations in place: what is joined has been through the leaky ReLU."""

    def norm(y: torch.Tensor, name: str) -> torch.Tensor:
        if f"{name}.running_mean" not in state:
            return F.instance_norm(y)
        return F.batch_norm(y, *(state[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")))

    def level(y: torch.Tensor, k: int) -> torch.Tensor:
        """What a level makes of its input, joined with that input; k counts from 0."""
        down, up = f"down.{k}.layer", f"up.{levels - 1 - k}.layer"
        y = F.leaky_relu(y, 0.2)
        inside = F.conv2d(y, state[f"{down}.conv.weight"], state.get(f"{down}.conv.bias"), 2, 1)
        if k < levels - 1:
            inside = level(norm(inside, f"{down}.norm"), k + 1)
        inside = F.relu(inside)
        inside = F.conv_transpose2d(inside, state[f"{up}.conv.weight"], state.get(f"{up}.conv.bias"), 2, 1)
        return torch.cat([y, norm(inside, f"{up}.norm")], 1)

    first = F.conv2d(x, state["down.0.layer.conv.weight"], state.get("down.0.layer.conv.bias"), 2, 1)
    last = F.relu(level(first, 1))
    return F.conv_transpose2d(last, state["head.conv.weight"], state["head.conv.bias"], 2, 1).tanh()


@pytest.mark.parametrize(("levels", "norm", "side"), [(5, "batch", 32), (6, "batch", 128), (5, "instance", 64)])
@torch.no_grad()
def test_written_out(levels, norm, side):
    network = filled(UnetSpec.uniform(2, levels=levels, norm=norm).build()).double().eval()
    x = image(side)
    torch.testing.assert_close(network(x), plain_unet(network.state_dict(), levels, x))
    assert network(x).shape == x.shape


@torch.no_grad()
def test_blocks_that_do_nothing():
    """A deep U-Net whose blocks add zero is the plain one."""
    plain = filled(UnetSpec.uniform(2, levels=5).build()).eval()
    deep = UnetSpec.uniform(2, levels=5, residuals=2).build().eval()
    missing = deep.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all(".blocks." in name or name.startswith("join.") for name in missing)
    for name, parameter in deep.named_parameters():
        if ".layers.3.norm." in name:
            parameter.zero_()
    x = image(32).float()
    torch.testing.assert_close(deep(x), plain(x))


@pytest.mark.parametrize(("levels", "blocks"), [(8, 28), (5, 16)])
def test_number_of_blocks(levels, blocks):
    """Two at every level but the last on the way down, but the last two on the way up, and at the end."""
    names = {name.rpartition(".layers")[0] for name in state_names(UnetSpec.uniform(1, levels=levels, residuals=2))}
    assert len({name for name in names if ".blocks." in name or name.startswith("join.")}) == blocks


def state_names(spec: UnetSpec) -> list[str]:
    with torch.device("meta"):
        return list(spec.build().state_dict())


def test_biases():
    """With batch norm only the last convolution has one, be there a norm behind it or not."""
    biases = [n for n in state_names(UnetSpec.uniform(1, levels=5)) if n.endswith("conv.bias")]
    assert biases == ["head.conv.bias"]
    names = state_names(UnetSpec.uniform(1, levels=5, norm="instance"))
    assert sum(name.endswith("conv.bias") for name in names) == 10
    assert not any("norm" in name for name in names)


def test_channels():
    spec = UnetSpec.of(FIVE, levels=5)
    assert spec.widths == (5, 4, 3, 2, 1, 2, 3, 4, 5)
    assert spec.groups == ("down1", "down2", "down3", "down4", "down5", "up4", "up3", "up2", "up1")
    assert list(spec.channels.values()) == [5, 8, 12, 16, 8, 16, 12, 8, 5]
    assert spec.genome == FIVE
    assert parse_spec("unet:5_4_3_2_1") == spec
    assert UnetSpec.of(spec.widths, levels=5) == spec


def test_widths_that_differ_within_a_level():
    widths = (5, 4, 3, 2, 1, 1, 3, 4, 5)
    assert UnetSpec(levels=5, widths=widths).genome == widths


def test_taps():
    spec, seen = UnetSpec(levels=5, widths=(1, 2, 3, 4, 5, 6, 7, 8, 9)), {}
    network = filled(spec.build()).eval()
    network(image(32, batch=1).float().repeat(1, 1, 1, 2), lambda name, value: seen.setdefault(name, value))
    assert list(seen) == ["down1", "down2", "down3", "down4", "join4", "join3", "join2", "join1"]
    assert set(spec.taps) <= set(seen)
    for name, value in seen.items():
        level = int(name[-1])
        assert value.shape == (1, spec.tap_channels(name), 32 // 2**level, 64 // 2**level)
        assert (value < 0).any() == name.startswith("down")
    torch.testing.assert_close(seen["join2"][:, :4], seen["down2"].relu())
    for tap in ("down5", "up4", "join5"):
        with pytest.raises(SpecError) as error:
            spec.tap_channels(tap)
        assert str(error.value) == (
            f"no tap '{tap}' in a unet of 5 levels; it has down1 ... down4 and join1 ... join4"
        )


def test_a_tap_may_replace_the_activation():
    network = UnetSpec.uniform(2, levels=5).build().eval()
    x = torch.rand(1, 3, 32, 32)
    silenced = [network(x * scale, lambda n, v: v * 0 if n == "join1" else v) for scale in (1, 0.5)]
    assert torch.equal(*silenced)


def test_dropout_acts_in_the_middle_and_in_training_only():
    network = UnetSpec.uniform(1, levels=8, dropout=0.5).build()
    assert [layer.dropout.p for layer in network.up] == [0, 0.5, 0.5, 0.5, 0, 0, 0]
    assert not any(layer.dropout.p for layer in network.down)
    network = UnetSpec.uniform(1, levels=6, dropout=0.5).build()
    x = torch.rand(2, 3, 64, 64)
    assert not torch.equal(network.train()(x), network.train()(x))
    assert torch.equal(network.eval()(x), network.eval()(x))


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("residuals", [0, 1])
def test_smallest_side(norm, residuals):
    spec = UnetSpec.uniform(1, levels=5, norm=norm, residuals=residuals)
    spec.check_size(spec.smallest_side)
    assert spec.build()(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_specs_that_do_not_fit():
    with pytest.raises(ValidationError, match="this unet has 9 positive widths, not 8"):
        UnetSpec(levels=5, widths=(1,) * 8)
    with pytest.raises(ValidationError, match="this unet has 9 positive widths"):
        UnetSpec(levels=5, widths=(1,) * 8 + (0,))
    with pytest.raises(ValidationError, match="levels"):
        UnetSpec.uniform(1, levels=4)
    with pytest.raises(SpecError) as error:
        UnetSpec.of((1, 2, 3, 4), levels=5)
    assert str(error.value) == "1_2_3_4 has 4 widths; unet networks take 5"


def test_spec_strings():
    assert parse_spec("unet:16") == UnetSpec.uniform(16)
    assert parse_spec("deep-unet:8") == UnetSpec.uniform(8, residuals=2)
    assert parse_spec("unet:8_8_8_8_8_8_8").levels == 7
    with pytest.raises(SpecError) as error:
        parse_spec("unet:8_8")
    assert str(error.value) == "8_8 has 2 widths; a unet takes one a level, of 5 levels or more"


def test_onnx(tmp_path):
    network = filled(UnetSpec.uniform(2, levels=5).build())
    assert export_verified(network, 32, tmp_path / "unet.onnx", image(32).float()).largest < 1e-4
