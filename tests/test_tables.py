"""The papers' tables: parameters and MACs of every network in them, as printed.

MACs are in G, by three conventions: `legacy` (without instance norms), `macs` (with them) and `true`. Where the
authors' own figures contradict each other the row says so, and the test holds it to that.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from pocketgan.catalog.catalog import ENTRIES, Entry
from pocketgan.elastic.cost import cost, official_macs
from pocketgan.networks import MunitSpec, NetworkSpec, ResnetSpec, parse_spec


class Row(NamedTuple):
    network: str | NetworkSpec
    params: int
    legacy: float | None
    macs: float | None
    true: float | None
    size: tuple[int, int] = (256, 256)


class Published(NamedTuple):
    """Parameters in M and MACs in G as the authors printed them, how they `counted`, and what is wrong (`but`)."""

    row: Row
    params: str
    macs: str
    counted: str = "torchprofile_macs"
    but: str = ""


WIDE = (256, 512)


def legacy(numbers: str) -> ResnetSpec:
    return ResnetSpec.of(numbers, legacy=True, separable=("residual",))


def city(numbers: str, *figures) -> Row:
    return Row(f"mobile-spade:{numbers}@cityscapes", *figures, WIDE)


def without_style_encoder(spec: NetworkSpec) -> NetworkSpec:
    return spec.model_copy(update={"style_encoder": False})


NETWORKS = [
    Row("resnet:64", 11_378_179, 56.799, 56.832, 49.552),
    Row("mobile-resnet:96", 4_418_307, 40.155, 40.232, 23.848),
    Row("mobile-resnet:64", 1_987_075, 18.314, 18.366, 11.067),
    Row("mobile-resnet:48", 1_130_883, 10.565, 10.603, 6.488),
    Row("mobile-resnet:32", 514_307, 4.929, 4.955, 3.117),
    Row("mobile-resnet:24", 295_875, 2.904, 2.924, 1.885),
    Row("mobile-resnet:16", 137_347, 1.408, 1.421, 0.955),
    Row("mobile-resnet:12", 80_547, 0.858, 0.867, 0.603),
    Row("mobile-resnet:8", 38_723, 0.440, 0.446, 0.326),
    Row("unet:64", 54_413_955, 18.140, 18.140, 6.048),
    Row("unet:48", 30_611_427, 10.289, 10.289, 3.430),
    Row("unet:24", 7_656_435, 2.657, 2.657, 0.886),
    Row("unet:16", 3_404_451, 1.219, 1.219, 0.406),
    Row("unet:12", 1_915_899, 0.707, 0.707, 0.236),
    Row("unet:8", 852_307, 0.333, 0.333, 0.111),
    Row("deep-unet:16", 44_171_939, 18.344, 18.344, 17.532),
    Row("deep-unet:12", 24_856_251, 10.340, 10.340, 9.869),
    Row("deep-resnet:16", 2_547_123, 18.237, 18.281, 17.784),
    Row("deep-resnet:12", 1_436_583, 10.324, 10.357, 10.069),
    Row("deep-resnet:24", 5_715_723, 40.769, 40.836, 39.750),
    Row("spade:64@cityscapes", 93_048_003, 281.277, 281.277, 281.277, WIDE),
    Row("spade:64@coco", 97_480_899, 191.140, 191.140, 191.140),
    city("64", 70_680_771, 118.603, 118.737, 118.603),
    city("48", 39_975_315, 71.056, 71.157, 71.056),
    Row("mobile-spade:64@coco", 75_113_667, 108.798, 108.865, 108.798),
    city("32_32_32_32_32_24_24_24", 17_647_899, 26.028, 26.078, 26.028),
    Row("munit:64", 15_026_187, 77.281, 77.297, 77.281),
    Row("mobile-munit:64", 5_705_483, None, None, None),
]

#: MACs without the style encoder, whose parameters count all the same
STYLE_GIVEN = [
    Row("munit:64", 15_026_187, 71.027, 71.043, 71.027),
    Row("mobile-munit:16_16_16_24_56_16_40_40_32_24", 1_100_347, 2.096, 2.116, 2.096),
]

OTHER_LIST = "the launch script's list is not that of the README's figures"

RELEASED = {
    "horse2zebra": Published(
        Row("mobile-resnet:16_16_32_16_32_32_16_16", 356_867, 2.525, 2.546, 1.846), "0.357", "2.55"
    ),
    "horse2zebra, fast": Published(
        Row("mobile-resnet:16_16_24_16_32_64_16_24", 355_235, 2.618, 2.641, 1.939), "0.355", "2.64"
    ),
    "edges2shoes-r": Published(
        Row("mobile-resnet:32_32_48_32_48_48_16_16", 822_051, 4.962, 4.994, 4.056), "0.822", "4.99"
    ),
    "edges2shoes-r, fast": Published(
        Row("mobile-resnet:24_24_40_56_24_56_16_40", 702_835, 4.832, 4.863, 3.699), "0.703", "4.83", "legacy_macs"
    ),
    "cityscapes": Published(
        Row("mobile-resnet:32_32_48_32_32_48_24_24", 780_819, 5.560, 5.592, 4.031), "0.781", "5.59"
    ),
    "cityscapes, fast": Published(
        Row("mobile-resnet:16_24_48_56_40_48_24_16", 886_307, 5.419, 5.451, 4.060), "0.867", "5.61", but=OTHER_LIST
    ),
    "map2sat": Published(
        Row("mobile-resnet:32_32_48_32_48_32_16_16", 746_211, 4.653, 4.683, 3.747), "0.746", "4.68"
    ),
    "map2sat, fast": Published(
        Row("mobile-resnet:16_16_40_40_40_64_24_16", 719_507, 4.540, 4.570, 3.351), "0.708", "4.53", but=OTHER_LIST
    ),
    "horse2zebra, paper": Published(
        Row("mobile-resnet:24_24_24_32_20_16", 341_627, 2.649, 2.670, 1.941), "0.342", "2.67"
    ),
    "horse2zebra, paper, in the legacy form": Published(
        Row(legacy("24_24_24_32_20_16"), 302_651, None, 2.510, None),
        *("0.342", "2.67"),
        but="one of the official scripts builds it so, but the figures are those of the usual form",
    ),
    "edges2shoes-r, paper": Published(
        Row(legacy("32_32_40_48_16_32"), 699_875, 4.778, 4.809, 3.759), "0.700", "4.81"
    ),
    "cityscapes, paper": Published(
        Row("mobile-resnet:48_32_40_40_24_32", 707_347, 5.633, 5.665, 4.104), "0.707", "5.66"
    ),
    "cityscapes, paper, in the legacy form": Published(
        Row(legacy("48_32_40_40_24_32"), 707_347, 5.633, 5.665, 4.104), "0.707", "5.66"
    ),
    "GauGAN cityscapes": Published(
        city("32_40_40_32_40_24_32_24", 21_002_811, 31.114, 31.168, 31.114),
        "21.0",
        "31.2",
    ),
    "GauGAN cityscapes, fast": Published(
        city("32_32_32_48_32_24_24_32", 20_174_275, 31.155, 31.218, 31.155),
        "20.2",
        "31.3",
    ),
    "GauGAN cityscapes, paper": Published(
        city("32_32_48_32_32_32_32_24", 20_425_019, 31.608, 31.663, 31.608),
        "20.4",
        "31.7",
    ),
    "GauGAN COCO, fast": Published(
        Row("mobile-spade:40_32_32_40_32_40_24_24@coco", 25_985_755, 35.415, 35.441, 35.415), "26.0", "35.5"
    ),
    "MUNIT, fast": Published(
        Row("mobile-munit:16_16_16_24_56_16_40_40_32_24", 1_100_347, 2.603, 2.623, 2.603), "1.10", "2.63"
    ),
    "CycleGAN and pix2pix": Published(Row("resnet:64", 11_378_179, 56.799, 56.832, 49.552), "11.4", "56.8"),
    "GauGAN cityscapes, original": Published(
        Row("spade:64@cityscapes", 93_048_003, 281.277, 281.277, 281.277, WIDE), "93.0", "281"
    ),
    "GauGAN COCO, original": Published(Row("spade:64@coco", 97_480_899, 191.140, 191.140, 191.140), "97.5", "191"),
    "MUNIT, original": Published(Row("munit:64", 15_026_187, 77.281, 77.297, 77.281), "15.0", "77.3"),
}
OMGD = [
    ("unet:16", "3.404", "1.219"),
    ("unet:12", "1.916", "0.707"),
    ("unet:8", "0.852", "0.333"),
    ("mobile-resnet:16", "0.137", "1.408"),
    ("mobile-resnet:12", "0.081", "0.858"),
    ("mobile-resnet:8", "0.039", "0.440"),
]
RELEASED |= {
    f"OMGD {network}": Published(
        next(row for row in NETWORKS if row.network == network), params, macs, "legacy_macs"
    )
    for network, params, macs in OMGD
}


def spec_of(row: Row) -> NetworkSpec:
    return parse_spec(row.network) if isinstance(row.network, str) else row.network


def check(row: Row, spec: NetworkSpec) -> None:
    found = official_macs(spec, *row.size)
    for name, printed in (("legacy_macs", row.legacy), ("macs", row.macs), ("true_macs", row.true)):
        assert printed is None or f"{found[name] / 1e9:.3f}" == f"{printed:.3f}", name


@pytest.mark.parametrize("row", NETWORKS, ids=lambda row: row.network)
def test_networks(row: Row):
    spec = spec_of(row)
    assert cost(spec, *row.size)["params"] == row.params
    check(row, spec)


@pytest.mark.parametrize("row", STYLE_GIVEN, ids=lambda row: row.network)
def test_munit_with_a_given_style(row: Row):
    spec = spec_of(row)
    assert isinstance(spec, MunitSpec)
    assert cost(spec, *row.size)["params"] == row.params
    check(row, without_style_encoder(spec))


@pytest.mark.parametrize("name", RELEASED)
def test_released_configurations(name: str):
    row, params, macs, counted, but = RELEASED[name]
    spec = spec_of(row)
    check(row, spec)
    found = cost(spec, *row.size)["params"]
    assert found == row.params
    ours = (as_printed(found / 1e6, params), as_printed(official_macs(spec, *row.size)[counted] / 1e9, macs))
    assert (ours == (params, macs)) == (not but), but or ours


def as_printed(value: float, like: str) -> str:
    """With as many decimals."""
    return f"{value:.{len(like.partition('.')[2])}f}"


#: the released network of a recipe, by its name in `RELEASED`
NETWORK_OF = {
    "edges2shoes-r": "edges2shoes-r",
    "fast-edges2shoes-r": "edges2shoes-r, fast",
    "cityscapes": "cityscapes",
    "fast-cityscapes": "cityscapes, fast",
    "map2sat": "map2sat",
    "fast-map2sat": "map2sat, fast",
    "horse2zebra": "horse2zebra",
    "fast-horse2zebra": "horse2zebra, fast",
    "gaugan-cityscapes": "GauGAN cityscapes",
    "fast-gaugan-cityscapes": "GauGAN cityscapes, fast",
    "fast-gaugan-coco": "GauGAN COCO, fast",
    "fast-munit-edges2shoes-r": "MUNIT, fast",
}
METRIC = {"fid": "FID", "miou": "mIoU"}
OMGD_WIDTH = {"1.5x": 24, "1.0x": 16, "0.75x": 12, "0.5x": 8}


def network_of(entry: Entry) -> tuple[NetworkSpec, tuple[int, int], str]:
    """The published network of a recipe, its size, and how its MACs were counted."""
    if entry.name in NETWORK_OF:
        row, _, _, counted, _ = RELEASED[NETWORK_OF[entry.name]]
        return spec_of(row), row.size, counted
    _, family, *_, scale = entry.name.split("-")
    form = "unet" if family == "unet" else "mobile-resnet"
    return parse_spec(f"{form}:{OMGD_WIDTH[scale]}"), (256, 256), "legacy_macs"


def line_of(entry: Entry) -> str:
    """A row of the page: what was published, and what our arithmetic says of the same network."""
    told = dict(entry.published or {})
    params, macs = told.pop("params"), told.pop("macs")
    scores = [f"{METRIC[name]} {value:g}" for name, value in told.items()] or ["none"]
    spec, size, counted = network_of(entry)
    own = cost(spec, *size)["params"] / 1e6, official_macs(spec, *size)[counted] / 1e9
    sizes = (params / 1e6, macs / 1e9, *own)
    return f"| `{entry.name}` | {scores[0]} | {' | '.join(f'{size:.3f}' for size in sizes)} |"


def test_the_page_has_every_published_row():
    page = (Path(__file__).resolve().parents[1] / "docs" / "reproduce.md").read_text().splitlines()
    wanted = [line_of(entry) for entry in ENTRIES.values() if entry.published]
    assert [line for line in page if line.startswith("| `")] == wanted
