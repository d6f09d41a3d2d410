import pytest

from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec, SpadeSpec, parse_spec, read_numbers, write_numbers


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("resnet:64", ResnetSpec.uniform(64)),
        ("mobile-resnet:48", ResnetSpec.uniform(48, separable=("residual",))),
        (
            "mobile-resnet:32_32_48_32_48_48_16_16",
            ResnetSpec.of((32, 32, 48, 32, 48, 48, 16, 16), separable=("residual",)),
        ),
        ("resnet:8_7_6_5_2_1", ResnetSpec.of((8, 7, 6, 5, 5, 5, 2, 1))),
        ("mobile-resnet:8,ends=5,up=shuffle", ResnetSpec.uniform(8, ends=5, up="shuffle").mobile),
        ("resnet:8,blocks=6,clamp_input=true", ResnetSpec.uniform(8, blocks=6, clamp_input=True)),
        ("spade:8@5,separable_norm=null", SpadeSpec.uniform(8, separable_norm=None, **SpadeSpec.label_fields("5"))),
    ],
)
def test_spec_strings(text, spec):
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnt:64", "unknown network 'resnt'; did you mean resnet or deep-resnet or mobile-resnet?"),
        ("resnet", "'resnet' names no width; write e.g. resnet:64"),
        (
            "resnet:",
            "widths '' cannot be read; write positive whole numbers joined by '_', e.g. 32_32_48_32_48_48_16_16",
        ),
        (
            "resnet:0",
            "widths '0' cannot be read; write positive whole numbers joined by '_', e.g. 32_32_48_32_48_48_16_16",
        ),
        ("resnet:4_4", "4_4 has 2 widths; resnet networks take 8"),
        ("resnet:4,ends=4", "'ends=4' is no part of a spec string: input should be 3, 5 or 7"),
        ("resnet:4,blocks=null", "'blocks=null' is no part of a spec string: input should be a valid integer"),
        ("resnet:4,end=5", "unknown field of a resnet 'end'; did you mean ends?"),
    ],
)
def test_texts_that_are_no_spec(text, message):
    with pytest.raises(SpecError) as error:
        parse_spec(text)
    assert str(error.value) == message


def test_numbers():
    assert read_numbers("32_32_48") == (32, 32, 48)
    assert write_numbers((32, 32, 48)) == "32_32_48"
    for text in ("", "_", "3_", "-3", "1.5", "٣", "3 3"):
        with pytest.raises(SpecError):
            read_numbers(text)
