from pathlib import Path

import pytest

from pocketgan.catalog.catalog import ENTRIES, NUCLEI, entry_named, recipe_of
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import DataError, SpecError
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.methods.gan_compression import GanCompression
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.games import check_sides
from pocketgan.prepare.sets import SETS
from pocketgan.recipes.changes import changed
from pocketgan.recipes.games import GAMES, game_of
from pocketgan.recipes.supernet import SupernetSettings
from pocketgan.search import Evolution
from pocketgan.training.schedule import Schedule
from pocketgan.units import both_sides, parse_quantity


def sample() -> FastGanCompression:
    """Settings of every kind: networks, schedules, a search."""
    return FastGanCompression(
        **GAMES["pix2pix"].parts(32, 64).fields,
        teaching=Schedule(constant=30, decay=30, batch_size=4),
        space="24_16_12_8",
        supernet=Schedule(constant=20, decay=20, batch_size=4),
        tuning=Schedule(constant=5, decay=15, batch_size=4),
        search=Evolution(population=20, generations=3),
    )


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_every_entry_holds_together(entry):
    settings = entry.settings()
    assert parse_quantity(entry.budget) > 0
    if isinstance(settings, SupernetSettings):
        check_sides(both_sides(entry.size), settings.teacher, settings.discriminator)
        space = space_named(settings.space, settings.teacher.mobile)
        assert game_of(settings.objective).distilling == settings.distillation.kind
        if isinstance(settings, GanCompression):
            assert entry.method == "gan-compression"
            assert settings.teacher.folded == settings.teacher.mobile, "its channels can be pruned"
            assert max(space.spec.widths) < max(settings.teacher.widths)
    if entry.published:
        assert entry.published["macs"] <= parse_quantity(entry.budget) < 1.15 * entry.published["macs"]
        assert entry.prepare in SETS
        assert entry.direction == SETS[entry.prepare].direction
        assert both_sides(entry.size) == SETS[entry.prepare].size


def test_an_entry_by_name():
    assert entry_named("demo").data == NUCLEI
    with pytest.raises(SpecError, match="unknown recipe 'dmo'; did you mean demo"):
        entry_named("dmo")


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("seed=1", ("seed",), 1),
        ("supernet.constant=40", ("supernet", "constant"), 40),
        ("objective.lr=1e-3", ("objective", "lr"), 1e-3),
        ("objective.betas=[0.9,0.99]", ("objective", "betas"), (0.9, 0.99)),
        ("distillation.gan_mode=vanilla", ("distillation", "gan_mode"), "vanilla"),
        ("space=32_16", ("space",), "32_16"),
        ("space=16", ("space",), "16"),
        ("metric=ssim", ("metric",), "ssim"),
        ("tuning=null", ("tuning",), None),
        ("teacher=mobile-resnet:8", ("teacher",), ResnetSpec.uniform(8, separable=("residual",))),
        ("teacher.norm=batch", ("teacher", "norm"), "batch"),
        ("search.population=7", ("search", "population"), 7),
        ('search={"kind":"random","candidates":5}', ("search", "candidates"), 5),
        ('tuning={"constant":1,"decay":2}', ("tuning",), Schedule(constant=1, decay=2)),
    ],
)
def test_a_change_reaches_its_place_and_no_other(change: str, path: tuple[str, ...], value: object):
    before, after = sample(), changed(sample(), [change])
    found = after
    for name in path:
        found = getattr(found, name)
    assert found == value
    for name in type(before).model_fields:
        assert getattr(before, name) == getattr(after, name) or name == path[0]


def test_no_change_and_many():
    assert changed(sample(), []) == sample()
    made = changed(sample(), ["seed=1", "teacher.blocks=1", "teacher.widths=[8,8,8,8,8,8]", "seed=2"])
    assert made.seed == 2
    assert made.teacher == ResnetSpec.uniform(8, blocks=1)
    assert isinstance(made.search, Evolution)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["seed"], r"--set seed has no '='; write e\.g\. --set seed=1"),
        (["sede=1"], r"unknown setting 'sede'; did you mean seed"),
        (["supernet.decoy=1"], r"unknown setting 'supernet\.decoy'; did you mean supernet\.decay"),
        (["seed.low=1"], r"unknown setting 'seed\.low'; did you mean seed"),
        (["=1"], r"unknown setting ''; there are "),
        (
            ["seed=x", "supernet.constant=1"],
            r"^--set seed=x: input should be a valid integer, unable to parse string as an integer; choose another",
        ),
        (
            ["search.population=5", "search.population=1", "search.generations=2"],
            r"^--set search\.population=1: input",
        ),
        (["search.generations=2", "search.parent_ratio=2"], r"^--set search\.parent_ratio=2: input should be less"),
        (
            ["teacher.blocks=2", "seed=4"],
            r"^--set teacher\.blocks=2: this resnet has 7 positive widths, not 14; choose another value$",
        ),
        (
            ["teacher.blocks=2", "teacher.widths=[1]"],
            r"^--set teacher\.blocks=2 --set teacher\.widths=\[1\]: this resnet",
        ),
        (
            ["tuning.constant=0", "tuning.decay=0"],
            r"^--set tuning\.constant=0 --set tuning\.decay=0: constant and decay",
        ),
        (["teacher.blocks=2", "teacher=null"], r"^--set teacher=null: input"),
        (["metric=lpisp"], r"unknown metric 'lpisp'; did you mean"),
    ],
)
def test_changes_that_cannot_be_made(changes: list[str], message: str):
    with pytest.raises(SpecError, match=message):
        changed(sample(), changes)


def test_the_recipe_of_an_entry():
    entry = entry_named("demo")
    recipe = recipe_of(entry, changed(entry.settings(), ["tuning=null", "seed=5"]), None, "200M", None)
    assert recipe.name == "demo"
    assert recipe.budget.macs == 200_000_000
    assert (recipe.task.size, recipe.task.direction) == ((96, 96), "AtoB")
    assert "fine-tuning" not in recipe.stages
    assert recipe.search.seed == recipe["supernet"].seed == 5
    assert recipe_of(entry, entry.settings(), None, None, None).budget.macs == 166_000_000
    assert recipe_of(entry, entry.settings(), None, None, (64, 64)).task.load_size == (72, 72)


def test_a_recipe_without_data(tmp_path: Path):
    entry = entry_named("fast-map2sat")
    with pytest.raises(DataError, match="recipe fast-map2sat needs its images; name their folder with --data"):
        recipe_of(entry, entry.settings(), None, None, None)
    with pytest.raises(DataError, match="must be a folder of images"):
        recipe_of(entry, entry.settings(), tmp_path / "nowhere", None, None)
