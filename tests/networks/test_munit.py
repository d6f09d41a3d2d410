import pytest
import torch
from pydantic import ValidationError

from pocketgan.elastic.cost import cost
from pocketgan.errors import SpecError
from pocketgan.networks import MsImageSpec, MunitSpec, init_normal, parse_spec
from pocketgan.networks.adain import AdaptiveNorm, LayerNorm
from pocketgan.networks.layers import Separable
from pocketgan.networks.munit import assemble

TEN = (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
MOBILE = dict(separable=("residual", "up"))
#: small enough for seconds
TINY = dict(blocks=1, mlp_width=3)


def images(side: int = 16, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_of_ten_numbers():
    spec = MunitSpec.of(TEN)
    assert spec.widths == (10, 10, 10, 10, 10, 9, 8, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 1)
    assert spec == MunitSpec.of("10_9_8_7_6_5_4_3_2_1") == MunitSpec.of(spec.widths)
    assert spec.genome == TEN
    assert dict(zip(spec.groups, spec.widths, strict=True)) == {
        **{f"style{i}": 10 for i in range(5)},
        **dict(stem=9, down=8, stream=7),
        **dict(content0=6, content1=6, content2=5, content3=5, decoder0=4, decoder1=4, decoder2=3, decoder3=3),
        **dict(up=2, last=1),
    }


def test_spec_strings():
    assert parse_spec("munit:64") == MunitSpec.uniform(64)
    assert parse_spec("mobile-munit:10_9_8_7_6_5_4_3_2_1") == MunitSpec.of(TEN, **MOBILE)
    with pytest.raises(SpecError) as error:
        parse_spec("munit:4_4")
    assert str(error.value) == "4_4 has 2 widths; munit networks take 10"


def test_widths_that_do_not_fit():
    for widths in ((8,) * 17, (8,) * 17 + (0,)):
        with pytest.raises(ValidationError, match="this munit has 18 positive widths"):
            MunitSpec(widths=widths)


@pytest.mark.parametrize(
    ("text", "params", "with_encoder", "without"),
    [
        ("munit:64", 15_026_187, 77.297, 71.043),
        ("mobile-munit:16_16_16_24_56_16_40_40_32_24", 1_100_347, 2.623, 2.116),
    ],
)
def test_published_costs(text, params, with_encoder, without):
    spec = parse_spec(text)
    given = spec.model_copy(update={"style_encoder": False})
    assert cost(spec, 256)["params"] == params
    for network, macs in ((spec, with_encoder), (given, without)):
        assert cost(network, 256)["macs"] / 1e9 == pytest.approx(macs, abs=5e-4)


def test_parameters_of_the_mobile_generator():
    assert cost(parse_spec("mobile-munit:64"), 256)["params"] == 5_705_483


def test_an_image_is_its_content_in_its_style():
    network, x = MunitSpec.uniform(2, **TINY).build(), images(20)
    content, style = network.content(x), network.style(x)
    assert content.shape == (2, 8, 5, 5)
    assert style.shape == (2, 8, 1, 1)
    image = network(x)
    assert image.shape == x.shape
    assert image.abs().max() <= 1
    assert torch.equal(image, network.decode(content, style))
    other = style + 10  # far enough to show whatever the weights are
    assert torch.equal(network(x, style=other), network.decode(content, other))
    assert not torch.allclose(network(x, style=other), image)


def test_taps():
    spec = MunitSpec.of((1,) * 3 + (3,) + (1,) * 6, **{**TINY, "blocks": 4})
    network, x, seen = spec.build(), images(), {}
    network(x, lambda name, value: seen.setdefault(name, value))
    assert {name: value.shape[1] for name, value in seen.items()} == {"content": 12, "style": 8}
    assert all(spec.tap_channels(name) == value.shape[1] for name, value in seen.items())
    other = network.style(x) + 1
    assert torch.equal(network(x, lambda n, v: other if n == "style" else v), network(x, style=other))
    with pytest.raises(SpecError) as error:
        spec.tap_channels("block1")
    assert str(error.value) == "no tap 'block1' in a munit; it has content, style"


def test_each_image_has_its_own_statistics():
    network, x = MunitSpec.uniform(2, **TINY).build().double(), images(batch=3).double()
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))


def test_without_style_encoder():
    """The style is the mean of the prior unless it is given."""
    spec = MunitSpec.uniform(2, **TINY, style_encoder=False)
    network, x = spec.build(), images()
    assert not any(name.startswith("style_encoder") for name in network.state_dict())
    assert torch.equal(network(x), network(x, style=torch.zeros(2, 8, 1, 1)))


def test_assembled_translator():
    """Content as one domain reads it, all else of the other."""
    spec, x = MunitSpec.uniform(2, **TINY), images()
    a, b, joined = (spec.build() for _ in range(3))
    joined.load_state_dict(assemble(a.state_dict(), b.state_dict()))
    style = b.style(x).flip(0)
    assert torch.equal(joined(x, style=style), b.decode(a.content(x), style))
    assert torch.equal(joined.style(x), b.style(x))


def test_decomposed_parts():
    network = MunitSpec.uniform(1, **TINY, **MOBILE).build()
    found = {
        name.rpartition(".conv")[0] for name, module in network.named_modules() if isinstance(module, Separable)
    }
    blocks = {f"{part}.blocks.0.{conv}" for part in ("content_encoder", "decoder") for conv in ("first", "second")}
    assert found == blocks | {"decoder.up.0.layer", "decoder.up.1.layer"}


def test_adaptive_norm_formula():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    shift, scale = torch.randn(2, 2, 3, dtype=torch.float64)
    mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
    wanted = (x - mean) / (var + 1e-5).sqrt() * scale[..., None, None] + shift[..., None, None]
    torch.testing.assert_close(AdaptiveNorm()(x, shift, scale), wanted)


def test_layer_norm_formula():
    norm, x = LayerNorm(3).double(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    norm.beta.data.normal_()
    for image, output in zip(x, norm(x), strict=True):
        flat = (image - image.mean()) / (image.std(unbiased=True) + 1e-5)
        torch.testing.assert_close(output, flat * norm.gamma[:, None, None] + norm.beta[:, None, None])


def test_layer_norm_starts_uniform():
    network = init_normal(MunitSpec.uniform(64, blocks=1).build(), torch.Generator().manual_seed(0))
    gamma = network.decoder.up[0].norm.gamma
    assert 0 <= gamma.min() < 0.1
    assert 0.9 < gamma.max() < 1
    assert abs(gamma.mean() - 0.5) < 0.1
    assert not network.decoder.up[0].norm.beta.any()


def test_discriminator_sees_three_scales():
    spec = MsImageSpec(width=2)
    maps = spec.build()(torch.zeros(2, 3, 64, 80))
    assert [tuple(scores.shape) for scores in maps] == [(2, 1, 4, 5), (2, 1, 2, 2), (2, 1, 1, 1)]
    assert MsImageSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(("layers", "scales"), [(4, 3), (2, 2), (3, 1)])
def test_smallest_side_of_the_discriminator(layers, scales):
    spec = MsImageSpec(width=1, layers=layers, scales=scales)
    side = spec.smallest_side
    assert spec.build()(torch.zeros(1, 3, side, side))[-1].shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        spec.build()(torch.zeros(1, 3, side - 1, side - 1))
