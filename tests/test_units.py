import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgan.errors import BudgetError
from pocketgan.units import (
    both_sides,
    bytes_text,
    duration_text,
    number_text,
    parse_quantity,
    ratio_text,
    si,
    size_figure,
    size_text,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.2e9, "1.20 G"),
        (2_609_000_000, "2.61 G"),
        (357_412, "357 k"),
        (999_900_000, "1.00 G"),
        (999_499, "999 k"),
        (56_803_000_000, "56.8 G"),
        (512, "512"),
        (0, "0"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_si(value, text):
    assert si(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (41.234, "41.2"),
        (39.96, "40.0"),
        (9.996, "10.0"),
        (0.0123456, "0.0123"),
        (-1.5, "-1.50"),
        (1234.5, "1,234"),
        (999.7, "1,000"),
        (0, "0"),
        (2e-7, "2e-07"),
        (float("inf"), "–"),
        (None, "–"),
    ],
)
def test_number_text(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1_431_000, "1.4 MB"),
        (45_600_000, "45.6 MB"),
        (999_990, "1.0 MB"),
        (812_300, "812 kB"),
        (97, "97 bytes"),
    ],
)
def test_bytes_text(size, text):
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (45.2, "45 s"),
        (59.7, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (3661, "1 h 1 min"),
        (86_399, "1 d 0 h"),
        (2 * 86_400 + 3 * 3600 + 90, "2 d 3 h"),
    ],
)
def test_duration_text(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(12.34, "12.3×"), (120.2, "120×"), (1.05, "1.05×"), (2.0, "2.0×"), (4.8, "4.8×")]
)
def test_ratio_text(ratio, text):
    assert ratio_text(ratio) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.6G", 2_600_000_000),
        ("2.6 g", 2_600_000_000),
        ("800M", 800_000_000),
        (" 12k ", 12_000),
        ("1500000000", 1_500_000_000),
        ("1.5e9", 1_500_000_000),
        (".5M", 500_000),
        ("3.", 3),
    ],
)
def test_parse_quantity(text, value):
    assert parse_quantity(text) == value


def test_sizes():
    assert both_sides(256) == (256, 256)
    assert both_sides((256, 512)) == (256, 512)
    assert size_text((256, 256)) == "256"
    assert size_text((256, 512)) == "256x512"
    assert size_figure((256, 256)) == 256
    assert size_figure((256, 512)) == "256x512"


@pytest.mark.parametrize(
    "text", ["2,6G", "", "G", "-3G", "nan", "inf", "2.6T", "2.6 GMACs", "1_000", "٣G", "1e999"]
)
def test_unreadable_quantities_are_refused(text):
    with pytest.raises(BudgetError) as refusal:
        parse_quantity(text)
    assert str(refusal.value) == (
        f"budget '{text}' cannot be read; write a number with K, M or G, e.g. 2.6G, 800M or 1500000000"
    )


@pytest.mark.parametrize("text", ["0", "0.4", "0G", "1e30", "9" * 400])
def test_quantities_out_of_range_are_refused(text):
    with pytest.raises(BudgetError, match="must lie between 1 and 1e18"):
        parse_quantity(text)


@given(st.integers(1, 10**15))
def test_what_si_writes_can_be_parsed_up_to_its_rounding(value):
    if value < 10**12:
        assert parse_quantity(si(value)) == pytest.approx(value, rel=0.00501)
    assert parse_quantity(str(value)) == value
