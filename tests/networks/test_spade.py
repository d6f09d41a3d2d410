"""SPADE generators and the multi-scale discriminator: shapes, taps, spectral norm, bad values."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter, ValidationError
from torch import nn

from pocketgan.errors import SpecError
from pocketgan.models import load_model, save_model
from pocketgan.networks import GeneratorSpec, MultiscaleSpec, SpadeSpec, init_normal, parse_spec
from pocketgan.networks.spectral import SpectralConv2d, fold
from tests.elastic.toys import filled

LABELS = 5


def semantics(height: int, width: int, batch: int = 1) -> torch.Tensor:
    """Random one-hot label maps."""
    labels = torch.randint(LABELS, (batch, height, width), generator=torch.Generator().manual_seed(0))
    return F.one_hot(labels, LABELS).permute(0, 3, 1, 2).double()


def small(**fields) -> SpadeSpec:
    return SpadeSpec.uniform(1, in_channels=LABELS, **fields)


@pytest.mark.parametrize(
    ("upsampling", "blocks", "side"), [("normal", 7, 32), ("more", 7, 64), ("most", 8, 128)], ids=lambda v: str(v)
)
@torch.no_grad()
def test_sides_and_taps(upsampling, blocks, side):
    spec = SpadeSpec.uniform(2, in_channels=LABELS, upsampling=upsampling)
    assert (spec.stride, spec.smallest_side, len(spec.blocks)) == (side, 2 * side, blocks)
    seen = {}
    x = semantics(side, 2 * side).float()
    y = spec.build().eval()(x, lambda name, value: seen.setdefault(name, value))
    assert y.shape == (1, 3, side, 2 * side)
    assert y.abs().max() <= 1
    for name, value in seen.items():
        assert value.shape[1] == spec.tap_channels(name)
    assert set(spec.taps) < set(seen)
    assert len(seen) == blocks
    assert seen["middle1"].shape == (1, 32, 1, 2)
    assert seen[f"up{blocks - 3}"].shape[2:] == x.shape[2:]


@torch.no_grad()
def test_other_sizes_come_out_at_the_multiple_below():
    network = small(upsampling="normal").build().eval()
    assert network(semantics(70, 100).float()).shape == (1, 3, 64, 96)


@torch.no_grad()
def test_one_norm_written_out():
    network = filled(small(separable=("modulation",)).build()).double().eval()
    norm = network.up[0].norm1
    x, labels = torch.randn(2, 8, 6, 4, dtype=torch.float64), semantics(6, 4, 2)
    state = norm.state_dict()
    hidden = F.conv2d(labels, state["shared.weight"], state["shared.bias"], padding=1).clamp(min=0)
    made = {}
    for part in ("gamma", "beta"):
        y = F.conv2d(
            hidden, state[f"{part}.depthwise.weight"], state[f"{part}.depthwise.bias"], padding=1, groups=2
        )
        y = (y - y.mean((2, 3), True)) / (y.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        made[part] = F.conv2d(y, state[f"{part}.pointwise.weight"], state[f"{part}.pointwise.bias"])
    mean, var = (state[f"norm.running_{name}"][:, None, None] for name in ("mean", "var"))
    wanted = (x - mean) / (var + 1e-5).sqrt() * (1 + made["gamma"]) + made["beta"]
    torch.testing.assert_close(norm(x, labels), wanted)


def test_width_lists():
    spec = SpadeSpec.of("9_8_7_6_5_4_3_2", in_channels=LABELS)
    assert spec.genome == (9, 8, 7, 6, 5, 4, 3, 2)
    assert [tuple(block) for block in spec.blocks.values()] == [
        (144, 128, 144, (16, 16)),
        (144, 112, 144, (14, 14)),
        (144, 96, 144, (12, 12)),
        (144, 40, 40, (10, 10, 10)),
        (40, 16, 16, (8, 8, 8)),
        (16, 6, 6, (6, 6, 6)),
        (6, 2, 2, (4, 4, 4)),
    ]
    assert SpadeSpec.uniform(64).genome == (64,) * 8
    most = SpadeSpec.uniform(64, upsampling="most")
    assert most.genome == (64,) * 8 + (32,)
    assert most.blocks["up5"] == (64, 32, 32, (128, 128, 128))
    assert SpadeSpec.of(most.genome, upsampling="most") == most
    authors = SpadeSpec.uniform(8, hidden=64)
    assert {hidden for block in authors.blocks.values() for hidden in block.hidden} == {128}
    assert authors.genome == authors.widths
    assert SpadeSpec.of(authors.genome) == authors


def test_strings_and_json():
    assert parse_spec("spade:64") == SpadeSpec.uniform(64)
    assert parse_spec("spade:64@cityscapes") == SpadeSpec.uniform(64)
    coco = parse_spec("mobile-spade:40_32_32_40_32_40_24_24@coco")
    assert (coco.in_channels, coco.upsampling, coco.separable) == (184, "normal", ("modulation",))
    assert TypeAdapter(GeneratorSpec).validate_json(coco.model_dump_json()) == coco
    for text, message in (
        ("spade:64@cats", "unknown data set 'cats'; there are ade20k, cityscapes, coco"),
        ("resnet:64@coco", "'@coco' names label maps, which such a network does not take; leave it out"),
        ("spade:4_4", "4_4 has 2 widths; spade networks take 8"),
    ):
        with pytest.raises(SpecError) as error:
            parse_spec(text)
        assert str(error.value) == message


def test_what_does_not_fit():
    with pytest.raises(ValidationError, match="this spade has 30 positive widths, not 8"):
        SpadeSpec(widths=(4,) * 8)
    with pytest.raises(ValidationError, match="spectral norm is for dense residual convolutions"):
        small(separable=("residual",), spectral=True)
    with pytest.raises(SpecError, match="no tap 'down' in this spade; it has middle1, middle2"):
        small().tap_channels("down")
    with pytest.raises(SpecError, match="takes multiples of 64 from 128 on; use 256 or 320"):
        small().check_size(300)


@torch.no_grad()
def test_norms_inside_decomposed_convolutions():
    x = semantics(32, 64)
    outputs = []
    for norm in ("instance", "batch", None):
        network = small(separable=("modulation", "residual"), separable_norm=norm, upsampling="normal").build()
        outputs.append(init_normal(network, torch.Generator().manual_seed(1), std=0.2).double().eval()(x))
    assert not any(torch.equal(a, b) for a, b in ((outputs[0], outputs[1]), (outputs[0], outputs[2])))


@pytest.mark.filterwarnings("ignore:.*spectral_norm:FutureWarning")
def test_spectral_convolution_equals_pytorch():
    """Forward, gradients and power iterations are those of the function that the papers used."""
    ours = SpectralConv2d(3, 4, 3, stride=2, padding=1).double()
    theirs = nn.Conv2d(3, 4, 3, stride=2, padding=1).double()
    theirs.load_state_dict({"weight": ours.weight_orig.detach(), "bias": ours.bias.detach()})
    theirs = nn.utils.spectral_norm(theirs)
    with torch.no_grad():
        theirs.weight_u.copy_(ours.weight_u)
        theirs.weight_v.copy_(ours.weight_v)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for training in (True, True, False, True):
        for network in (ours.train(training), theirs.train(training)):
            network.zero_grad()
            network(x).pow(2).sum().backward()
        torch.testing.assert_close(ours(x).detach(), theirs(x).detach())
        torch.testing.assert_close(ours.weight_orig.grad, theirs.weight_orig.grad)
        torch.testing.assert_close(ours.weight_v, theirs.weight_v)
    for _ in range(200):
        ours.train()(x)
    assert torch.linalg.matrix_norm(ours.normalised().flatten(1), 2).item() == pytest.approx(1, rel=1e-6)


def test_two_forwards_before_one_backward():
    """The step that u and v take at the second forward must not spoil the gradients of the first."""
    conv = SpectralConv2d(2, 3, 3).train()
    x = torch.randn(1, 2, 5, 5)
    (conv(x).sum() + conv(x).sum()).backward()
    assert conv.weight_orig.grad.isfinite().all()


@torch.no_grad()
def test_folding(tmp_path):
    spec = small(spectral=True, upsampling="normal")
    network = init_normal(spec.build(), torch.Generator().manual_seed(0), std=0.1)
    x = semantics(32, 64, 2).float()
    network(x)
    network.eval()
    plain = fold(network)
    assert plain.spec == small(upsampling="normal")
    assert not any("weight_" in name for name in plain.state_dict())
    assert torch.equal(plain(x), network(x))
    assert fold(plain) is plain
    save_model(tmp_path, network, {})
    kept = load_model(tmp_path)
    assert kept.spec == plain.spec
    assert torch.equal(kept.network(x), network(x))


def test_initialisation_is_reproducible():
    spec = small(spectral=True)
    first, second = (init_normal(spec.build(), torch.Generator().manual_seed(7)).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert first["up.0.conv0.weight_orig"].std().item() == pytest.approx(0.02, rel=0.1)
    assert first["up.0.conv0.weight_u"].norm().item() == pytest.approx(1, rel=1e-5)


@torch.no_grad()
def test_feature_maps_of_all_scales():
    """The sides of the published discriminator for 256x512."""
    with torch.device("meta"):
        network = MultiscaleSpec().build()
        scales = network(torch.empty(1, 39, 256, 512))
    assert sum(p.numel() for p in network.parameters()) == 5_601_410
    assert [tuple(x.shape[1:]) for x in scales[0]] == [
        (64, 129, 257),
        (128, 65, 129),
        (256, 33, 65),
        (512, 34, 66),
        (1, 35, 67),
    ]
    assert len(scales) == 2
    assert scales[1][0].shape[2:] == (65, 129)


@torch.no_grad()
@pytest.mark.parametrize("norm", ["instance", "batch", None])
def test_smallest_sides_of_the_discriminator(norm):
    spec = MultiscaleSpec(in_channels=4, width=2, scales=3, norm=norm, spectral=norm != "batch")
    x = torch.rand(2, 4, spec.smallest_side, spec.smallest_side)
    scales = spec.build()(x)
    assert [len(features) for features in scales] == [5, 5, 5]
    assert all(features[-1].shape[1] == 1 and features[-1].isfinite().all() for features in scales)
    assert (spec.build().scales[0].middle[0].conv.bias is None) == (norm is not None)
