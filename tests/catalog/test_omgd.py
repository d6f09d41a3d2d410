"""OMGD's table: what the students and their teachers cost, and lengths and weights of single rows."""

import pytest

from pocketgan.catalog.catalog import ENTRIES
from pocketgan.catalog.omgd import ROWS, STUDENTS
from pocketgan.elastic.cost import cost, official_macs
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.units import parse_quantity

#: what the paper's tables say, in billions and millions
PAPER = {
    ("unet", 16): (1.219, 3.404),
    ("unet", 12): (0.707, 1.916),
    ("unet", 8): (0.333, 0.852),
    ("resnet", 16): (1.408, 0.137),
    ("resnet", 12): (0.858, 0.081),
    ("resnet", 8): (0.440, 0.039),
}


def test_there_is_an_entry_for_every_row():
    assert {row.name for row in ROWS} == {name for name, entry in ENTRIES.items() if entry.method == "omgd"}
    assert len({row.name for row in ROWS}) == len(ROWS) == 20
    assert {(row.family, row.width) for row in ROWS} == STUDENTS.keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_student_costs_what_the_paper_says(row):
    settings = row.settings()
    costs, legacy = cost(settings.student, 256), official_macs(settings.student, 256)["legacy_macs"]
    assert costs["params"] == row.params
    assert round(legacy / 1e9, 3) == row.macs / 1e9, "the paper leaves instance norms out"
    assert costs["macs"] == STUDENTS[row.family, row.width][2]
    assert costs["macs"] <= parse_quantity(row.budget) < costs["macs"] + 1e7
    if printed := PAPER.get((row.family, row.width)):
        assert printed == (row.macs / 1e9, round(row.params / 1e6, 3))


@pytest.mark.parametrize(
    ("name", "wide", "deep"),
    [
        ("omgd-unet-cityscapes-1.0x", 54_413_955, 44_171_939),
        ("omgd-unet-edges2shoes-r-0.5x", 30_611_427, 24_856_251),
        ("omgd-resnet-cityscapes-1.0x", 1_987_075, 2_547_123),
        ("omgd-resnet-edges2shoes-r-0.75x", 1_130_883, 1_436_583),
        ("omgd-resnet-edges2shoes-r-1.5x", 4_418_307, 5_715_723),
        ("omgd-resnet-horse2zebra-0.5x", 1_130_883, None),
    ],
)
def test_teachers_have_the_official_parameters(name, wide, deep):
    settings = ENTRIES[name].settings()
    found = [spec and cost(spec, 256)["params"] for spec in (settings.wide, settings.deep)]
    assert found == [wide, deep]


def test_what_the_launch_scripts_say():
    """One row of each kind, in full."""
    unet, resnet, zebra = (
        ENTRIES[f"omgd-{name}"].settings()
        for name in ("unet-cityscapes-0.5x", "resnet-edges2shoes-r-0.75x", "resnet-horse2zebra-0.75x")
    )
    for settings in (unet, resnet, zebra):
        terms = settings.objective
        assert (terms.ssim, terms.style, terms.feature, terms.total_variation) == (10, 1e4, 10, 1e-5)
        assert (terms.lr, terms.betas, settings.feature_network.name) == (2e-4, (0.5, 0.999), "vgg16")
    assert (unet.shared, unet.discriminator.width, unet.discriminator.norm) == (3, 96, "batch")
    assert (unet.objective.channel, unet.objective.n_dis, unet.schedule.batch_size) == (50, 3, 4)
    assert (unet.schedule.constant, unet.schedule.decay, unet.metric) == (300, 450, "fd_mobilenet_v2")
    assert (unet.objective.teaching.gan_mode, unet.objective.teaching.recon) == ("hinge", 100)
    assert (resnet.shared, resnet.discriminator.width, resnet.discriminator.norm) == (3, 96, "instance")
    assert (resnet.objective.channel, resnet.objective.n_dis, resnet.metric) == (1000, 1, "fid_legacy")
    assert isinstance(zebra.objective, BurstSettings)
    assert (zebra.objective.every, zebra.objective.n_dis, zebra.objective.channel) == (12, 4, 500)
    teaching = zebra.objective.teaching
    assert (teaching.gan_mode, teaching.cycle, teaching.identity, teaching.pool) == ("lsgan", 10, 5, 50)
    assert (unet.whole_train, zebra.whole_train) == (True, False), "its teacher is chosen on the selection split"


def test_where_a_figure_comes_from():
    about = {name: ENTRIES[f"omgd-{name}"].about for name in ("unet-cityscapes-1.0x", "resnet-horse2zebra-0.5x")}
    assert about["unet-cityscapes-1.0x"] == "OMGD, cityscapes: mIoU 48.91 at 1.219 G MACs; days on a GPU"
    assert "FID 71.3 (read off a plot) at 0.44 G" in about["resnet-horse2zebra-0.5x"]
    shoes = ENTRIES["omgd-resnet-edges2shoes-r-1.5x"]
    assert "as intended (the official script does not run), no figure published" in shoes.about
    assert shoes.published.keys() == {"params", "macs"}
