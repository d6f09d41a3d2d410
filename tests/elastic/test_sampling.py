import random

import pytest
from pydantic import TypeAdapter, ValidationError

from pocketgan.elastic.sampling import (
    AnySampling,
    LevelSampling,
    ResolutionSampling,
    SandwichSampling,
    UniformSampling,
)
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec, UnetSpec

SPACE = space_named("channels-48", ResnetSpec.uniform(1).mobile)


def test_uniform_is_one_draw_of_the_space():
    for seed in range(20):
        assert UniformSampling().draw(SPACE, random.Random(seed)) == (SPACE.sample(random.Random(seed)),)


def test_several_uniform_subnets_are_so_many_draws():
    rng = random.Random(4)
    drawn = UniformSampling(subnets=3).draw(SPACE, random.Random(4))
    assert drawn == tuple(SPACE.sample(rng) for _ in range(3))


def test_uniform_draws_every_option_equally():
    rng, draws = random.Random(0), 3000
    drawn = [UniformSampling().draw(SPACE, rng)[0] for _ in range(draws)]
    for number, choice in enumerate(SPACE.choices):
        share = 1 / len(choice.options)
        sigma = (share * (1 - share) / draws) ** 0.5
        for option in choice.options:
            found = sum(genome[number] == option for genome in drawn) / draws
            assert abs(found - share) < 5 * sigma


@pytest.mark.parametrize("count", [0, 1, 2])
def test_sandwich_has_both_ends_and_draws_what_is_between(count):
    rng = random.Random(7)
    largest, smallest, *drawn = SandwichSampling(random=count).draw(SPACE, random.Random(7))
    assert largest == (48, 48, 48, 48, 48, 48, 48, 48)
    assert smallest == (32, 32, 32, 32, 32, 32, 16, 16)
    assert drawn == [SPACE.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("favour", [0.5, 1.0, 3.0])
def test_levels_cover_all_sizes_and_favour_the_small(favour):
    """How far a genome is from the largest: the mean position of its options, 0 to 1."""
    space = uniform_space(ResnetSpec.uniform(1), (8, 7, 6, 5, 4, 3, 2, 1))
    rng, draws = random.Random(1), 4000
    levels = []
    for _ in range(draws):
        largest, smallest, genome = LevelSampling(favour=favour).draw(space, rng)
        assert (largest, smallest) == (space.largest, space.smallest)
        assert genome in space
        assert max(genome) - min(genome) <= 1, "neighbouring options"
        levels.append((8 - sum(genome) / len(genome)) / 7)
    wanted = favour / (1 + favour)
    assert abs(sum(level > 0.5 for level in levels) / draws - wanted) < 5 * (wanted * (1 - wanted) / draws) ** 0.5
    assert min(levels) < 0.02
    assert max(levels) > 0.98
    within = [level for level in levels if level < 0.5]
    assert abs(sum(level < 0.25 for level in within) / len(within) - 0.5) < 5 * (0.25 / len(within)) ** 0.5


def test_levels_without_ends_are_the_drawn_ones():
    """And a setting that was there before keeps its JSON."""
    _, _, drawn = LevelSampling().draw(SPACE, random.Random(5))
    assert LevelSampling(ends=False).draw(SPACE, random.Random(5)) == (drawn,)
    assert "ends" not in LevelSampling().model_dump()
    assert TypeAdapter(AnySampling).validate_python({"kind": "levels", "ends": False}) == LevelSampling(ends=False)
    with pytest.raises(ValidationError, match="set random to 1 or more"):
        LevelSampling(ends=False, random=0)


def test_resolutions_are_equally_frequent():
    sampling, rng, draws = ResolutionSampling(sizes=(64, 48, 32)), random.Random(3), 3000
    drawn = [sampling.size((128, 64), rng) for _ in range(draws)]
    for size in ((128, 64), (96, 48), (64, 32)):
        assert abs(drawn.count(size) / draws - 1 / 3) < 5 * (2 / 9 / draws) ** 0.5
    assert sampling.size((48, 96), random.Random(0)) in {(64, 128), (48, 96), (32, 64)}


def test_genomes_at_several_resolutions_are_those_of_the_other_sampling():
    sampling = ResolutionSampling(sizes=(64,), of=SandwichSampling(random=2))
    assert sampling.draw(SPACE, random.Random(5)) == sampling.of.draw(SPACE, random.Random(5))


@pytest.mark.parametrize(
    ("sizes", "spec", "message"),
    [
        (
            (96, 64),
            ResnetSpec.uniform(1),
            "a resolution of 96 is larger than the images, whose shorter side is 64; "
            "leave it out or raise the size of the task",
        ),
        (
            (64, 42),
            ResnetSpec.uniform(1),
            "size 42 does not fit a resnet generator, which takes multiples of 4 from 16 on; use 40 or 44",
        ),
        (
            (64, 48),
            UnetSpec.uniform(1, levels=5),
            "size 48 does not fit a unet generator, which takes multiples of 32 from 32 on; use 32 or 64",
        ),
    ],
)
def test_resolutions_that_do_not_fit(sizes, spec, message):
    ResolutionSampling(sizes=(64, 32)).check(spec, (64, 128))
    with pytest.raises(SpecError) as error:
        ResolutionSampling(sizes=sizes).check(spec, (64, 128))
    assert str(error.value) == message


def test_json_of_the_old_kinds_is_what_it_was():
    assert UniformSampling().model_dump(mode="json") == {"kind": "uniform"}
    assert SandwichSampling().model_dump(mode="json") == {"kind": "sandwich", "random": 2}


@pytest.mark.parametrize(
    "sampling",
    [
        UniformSampling(),
        UniformSampling(subnets=4),
        SandwichSampling(random=1),
        ResolutionSampling(sizes=(64, 48), of=SandwichSampling(random=0)),
    ],
)
def test_json_both_ways(sampling):
    reader = TypeAdapter(AnySampling)
    assert reader.validate_json(sampling.model_dump_json()) == sampling
    assert hash(sampling) == hash(sampling.model_copy())


def test_what_does_not_exist_is_refused():
    reader = TypeAdapter(AnySampling)
    for wrong in (
        {"kind": "progressive"},
        {"kind": "sandwich", "random": -1},
        {"kind": "uniform", "random": 1},
        {"kind": "uniform", "subnets": 0},
        {"kind": "resolution", "sizes": []},
        {"kind": "resolution", "sizes": [64], "of": {"kind": "resolution", "sizes": [64]}},
    ):
        with pytest.raises(ValidationError):
            reader.validate_python(wrong)
