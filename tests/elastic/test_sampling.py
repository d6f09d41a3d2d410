import random

import pytest
from pydantic import TypeAdapter, ValidationError

from pocketgan.elastic.sampling import AnySampling, SandwichSampling, UniformSampling
from pocketgan.elastic.spaces import resnet_space

SPACE = resnet_space("channels-48")


def test_uniform_is_one_draw_of_the_space():
    for seed in range(20):
        assert UniformSampling().draw(SPACE, random.Random(seed)) == (SPACE.sample(random.Random(seed)),)


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


@pytest.mark.parametrize("sampling", [UniformSampling(), SandwichSampling(random=1)])
def test_json_both_ways(sampling):
    reader = TypeAdapter(AnySampling)
    assert reader.validate_json(sampling.model_dump_json()) == sampling
    assert hash(sampling) == hash(sampling.model_copy())


def test_what_does_not_exist_is_refused():
    reader = TypeAdapter(AnySampling)
    for wrong in ({"kind": "progressive"}, {"kind": "sandwich", "random": -1}, {"kind": "uniform", "random": 1}):
        with pytest.raises(ValidationError):
            reader.validate_python(wrong)
