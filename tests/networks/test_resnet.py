import pytest
import torch
from pydantic import ValidationError

from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec, initialise
from pocketgan.networks.layers import ConvLayer, InstanceNorm, Separable

EIGHT = (8, 7, 6, 5, 4, 3, 2, 1)


def seen_taps(spec: ResnetSpec) -> dict[str, torch.Size]:
    seen: dict[str, torch.Size] = {}

    def tap(name, x):
        seen[name] = x.shape
        return x

    spec.build()(torch.zeros(1, spec.in_channels, 16, 24), tap)
    return seen


@pytest.mark.parametrize(
    ("blocks", "taps"),
    [
        (9, ("down", "block3", "block6", "block9")),
        (6, ("down", "block2", "block4", "block6")),
        (4, ("down", "block1", "block2", "block4")),
        (1, ("down", "block1")),
    ],
)
def test_taps(blocks, taps):
    spec = ResnetSpec.uniform(2, blocks=blocks).resized((2, 2, 3, *(2,) * blocks, 2, 2))
    assert spec.taps == taps
    seen = seen_taps(spec)
    assert list(seen) == ["down", *(f"block{i}" for i in range(1, blocks + 1))]
    assert all(shape == (1, spec.tap_channels(name), 4, 6) for name, shape in seen.items())
    assert spec.tap_channels("down") == 12


@pytest.mark.parametrize("tap", ["up", "block0", "block7", "blockade", "block"])
def test_no_such_tap(tap):
    with pytest.raises(SpecError) as error:
        ResnetSpec.uniform(2, blocks=6).tap_channels(tap)
    assert str(error.value) == f"no tap '{tap}' in a resnet of 6 blocks; it has down, block1 ... block6"


def test_a_tap_may_replace_the_activation():
    network = ResnetSpec.uniform(2, blocks=2).build()
    x = torch.rand(1, 3, 16, 16)
    silenced = network(x, lambda name, value: value * 0 if name == "block2" else value)
    assert torch.equal(silenced, network(x * 0.5, lambda name, value: value * 0 if name == "block2" else value))
    assert not torch.equal(silenced, network(x))


def test_of_eight_numbers():
    spec = ResnetSpec.of(EIGHT)
    assert spec.widths == (8, 7, 6, 5, 5, 5, 4, 4, 4, 3, 3, 3, 2, 1)
    assert spec == ResnetSpec.of("8_7_6_5_4_3_2_1")
    assert spec.genome == EIGHT
    assert ResnetSpec.of(EIGHT, blocks=6).widths == (8, 7, 6, 5, 5, 4, 4, 3, 3, 2, 1)


def test_of_six_numbers():
    """One inner width for all blocks."""
    assert ResnetSpec.of((8, 7, 6, 5, 2, 1)) == ResnetSpec.of((8, 7, 6, 5, 5, 5, 2, 1))


def test_of_a_legacy_list():
    """Only the first block of each run is narrowed."""
    spec = ResnetSpec.of(EIGHT, legacy=True)
    assert spec.widths == (8, 7, 6, 5, 6, 6, 4, 6, 6, 3, 6, 6, 2, 1)
    assert spec.genome == spec.widths, "its tied groups differ, so that no short list says it"
    assert ResnetSpec.of(spec.genome) == spec


def test_of_too_many():
    with pytest.raises(SpecError) as error:
        ResnetSpec.of((8,) * 7)
    assert str(error.value) == "8_8_8_8_8_8_8 has 7 widths; resnet networks take 8"


def test_widths_that_do_not_fit():
    for widths in ((8,) * 13, (8,) * 13 + (0,)):
        with pytest.raises(ValidationError, match="this resnet has 14 positive widths"):
            ResnetSpec(widths=widths)


def test_resized_keeps_the_rest():
    spec = ResnetSpec.uniform(3, blocks=6, norm="batch", padding="zero", dropout=0.5)
    narrow = spec.resized((2,) * 11)
    assert narrow == ResnetSpec.uniform(2, blocks=6, norm="batch", padding="zero", dropout=0.5)
    with pytest.raises(ValidationError):
        spec.resized((2,) * 10)


def test_sizes_that_fit():
    spec = ResnetSpec.uniform(1, blocks=1)
    for size in (16, 20, 48):
        spec.check_size(size)
        assert spec.build()(torch.zeros(1, 3, size, size)).shape == (1, 3, size, size)


def test_dropout_acts_in_training_only():
    x = torch.rand(2, 3, 16, 16)
    network = ResnetSpec.uniform(3, blocks=2, dropout=0.5).build()
    assert not torch.equal(network.train()(x), network.train()(x))
    assert torch.equal(network.eval()(x), network.eval()(x))
    plain = ResnetSpec.uniform(3, blocks=2).build()
    plain.load_state_dict(network.state_dict())
    assert torch.equal(plain.train()(x), network(x))


def test_output_lies_within_tanh():
    network = ResnetSpec.uniform(2, blocks=1).build()
    y = network(torch.rand(2, 3, 16, 16) * 20 - 10)
    assert y.shape == (2, 3, 16, 16)
    assert y.abs().max() <= 1


def test_clamped_input():
    clamped = ResnetSpec.uniform(2, blocks=1, clamp_input=True).build()
    x = torch.rand(1, 3, 16, 16) * 4 - 2
    assert torch.equal(clamped(x), clamped(x.clamp(-1, 1)))


def test_separable_parts():
    def parts(*separable) -> set[str]:
        network = ResnetSpec.uniform(2, blocks=1, separable=separable).build()
        return {name.partition(".")[0] for name, module in network.named_modules() if isinstance(module, Separable)}

    assert parts() == set()
    assert parts("residual") == {"blocks"}
    assert parts("down", "residual") == {"blocks", "down"}
    assert parts("up") == {"up"}


def test_norms():
    """A decomposed convolution normalises inside by instance, whatever the network does."""
    network = ResnetSpec.uniform(2, blocks=1, norm="batch", separable=("residual",)).build()
    first = network.blocks[0].first
    assert isinstance(first.norm, torch.nn.BatchNorm2d)
    assert isinstance(first.conv.norm, InstanceNorm)
    assert network.stem.conv.bias is None
    assert first.conv.pointwise.bias is not None


def test_instance_norm_formula():
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(InstanceNorm()(x), (x - mean) / (var + 1e-5).sqrt())


@pytest.mark.parametrize(("padding", "corner"), [("reflect", 3.0), ("replicate", 0.0), ("zero", 0.0)])
def test_padding(padding, corner):
    """A kernel that reads the upper left neighbour, on pixels 0 1 / 2 3: the pad shows in the corner."""
    layer = ConvLayer(1, 1, 3, pad=1, padding=padding)
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.bias.zero_()
        layer.conv.weight[0, 0, 0, 0] = 1
    y = layer(torch.arange(4.0).view(1, 1, 2, 2))
    assert y.shape == (1, 1, 2, 2)
    assert y[0, 0, 0, 0] == corner
    assert y[0, 0, 1, 1] == 0
    assert y[0, 0, 0, 1] == {"reflect": 2, "replicate": 0, "zero": 0}[padding]


@pytest.mark.parametrize("skip", [False, True])
def test_input_skip_brings_the_level_of_flat_images_to_the_output(skip):
    """Instance norm removes it; what is added in front of tanh is a 1x1 convolution of the image."""
    network = initialise(ResnetSpec.uniform(4, blocks=1, input_skip=skip).build(), torch.Generator().manual_seed(0))
    # in float64, as instance norm blows up the rounding of a flat channel
    network = network.double().eval()
    dark, light = (network.stem(torch.full((1, 3, 16, 16), level).double()) for level in (-0.5, 0.5))
    torch.testing.assert_close(dark, light, atol=1e-9, rtol=0)
    dark, light = (network(torch.full((1, 3, 16, 16), level).double()) for level in (-0.5, 0.5))
    moved = torch.zeros_like(dark)
    if skip:
        # each pixel by itself: the two layers as matrix products
        (first, bias), second = network.input_skip.first.parameters(), network.input_skip.second.weight
        levels = [torch.relu(level * first.flatten(1).sum(1) + bias) for level in (-0.5, 0.5)]
        moved = moved + (second.flatten(1) @ (levels[1] - levels[0]))[:, None, None]
    torch.testing.assert_close(light.atanh() - dark.atanh(), moved, atol=1e-5, rtol=0)
    assert moved.abs().max() > 1e-2 or not skip


def test_input_skip_starts_with_kinks_over_the_whole_range():
    network = initialise(
        ResnetSpec.uniform(2, in_channels=1, input_skip=True).build(), torch.Generator().manual_seed(0)
    )
    first = network.input_skip.first
    kinks = (-first.bias / first.weight.flatten()).detach()
    assert ((kinks > -1) & (kinks < 0)).any()
    assert ((kinks > 0) & (kinks < 1)).any()
    assert network.stem.conv.weight.std() < 0.03


def test_ends_and_ways_up():
    network = ResnetSpec.uniform(2, blocks=1, ends=5, up="resize").build()
    assert {network.stem.conv.kernel_size, network.head.conv.kernel_size} == {(5, 5)}
    assert not any(isinstance(module, torch.nn.ConvTranspose2d) for module in network.modules())
    for up in ("transposed", "resize", "shuffle"):
        assert ResnetSpec.uniform(1, blocks=1, ends=3, up=up).build()(torch.zeros(1, 3, 16, 20)).shape[2:] == (
            16,
            20,
        )


def test_what_was_trained_before_ends_were_a_choice_keeps_its_address():
    fields = ResnetSpec.uniform(2).model_dump(mode="json")
    assert not {"ends", "up", "input_skip"} & fields.keys()
    assert ResnetSpec.model_validate(fields) == ResnetSpec.uniform(2, ends=7, up="transposed")
    assert (
        ResnetSpec.uniform(2, ends=5, up="resize").model_dump(mode="json").items()
        >= {"ends": 5, "up": "resize"}.items()
    )


@pytest.mark.parametrize("separable", [(), ("up",)])
@torch.no_grad()
def test_a_shuffle_starts_as_a_resize(separable):
    """All four pixels of one are alike: the same as the convolution of one of them, enlarged."""
    spec = ResnetSpec.uniform(2, blocks=1, separable=separable, up="shuffle")
    layer = initialise(spec.build(), torch.Generator().manual_seed(0)).up[0]
    y = layer(torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(1)))
    assert y.shape == (1, 4, 8, 8)
    assert torch.equal(y, y[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert y.std() > 0.1
