import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pocketgan.elastic.space import Choice, SearchSpace
from pocketgan.elastic.spaces import RESNET, resnet_space, uniform_space
from pocketgan.errors import SpecError
from pocketgan.networks import ResnetSpec

options = st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True).map(tuple)
eight = st.lists(options, min_size=8, max_size=8).map(tuple)


def drawn_space(own: tuple[tuple[int, ...], ...]) -> SearchSpace:
    return SearchSpace.over("drawn", ResnetSpec.uniform(1), own)


@given(own=eight)
@settings(max_examples=30, deadline=None)
def test_numbers_and_genomes_match_one_to_one(own):
    space = drawn_space(own)
    genomes = [tuple(genome) for genome in space.genomes(np.arange(space.size)).tolist()]
    assert len(set(genomes)) == space.size == math.prod(len(choice.options) for choice in space.choices)
    assert all(genome in space for genome in genomes)
    assert genomes == sorted(genomes, reverse=True)
    assert (genomes[0], genomes[-1]) == (space.largest, space.smallest)


@given(own=eight, seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_samples(own, seed):
    space = drawn_space(own)
    genome = space.sample(random.Random(seed))
    assert genome in space
    assert genome == space.sample(random.Random(seed))
    assert space.spec.resized(space.widths(genome)).genome == genome
    assert space.all_widths(np.array([genome])).tolist() == [list(space.widths(genome))]


def test_samples_are_uniform():
    space = resnet_space("channels-48")
    rng = random.Random(0)
    drawn = np.array([space.sample(rng) for _ in range(4000)])
    for column, choice in enumerate(space.choices):
        expected = 4000 / len(choice.options)
        counts = [(drawn[:, column] == option).sum() for option in choice.options]
        assert all(abs(count - expected) < 5 * math.sqrt(expected) for count in counts)


@given(own=eight)
@settings(max_examples=10, deadline=None)
def test_json_round_trip(own):
    space = drawn_space(own)
    again = SearchSpace.model_validate_json(space.model_dump_json())
    assert again == space
    assert type(again.spec) is ResnetSpec
    assert hash(again) == hash(space)


def test_the_spec_of_a_space_is_its_widest_network():
    space = resnet_space("channels-48")
    assert space.spec.widths == space.widths(space.largest) == (48,) * 14
    assert space.spec.separable == ("residual",)


def test_what_is_no_genome():
    space = resnet_space("channels-32")
    assert space.largest in space
    assert (32,) * 7 not in space
    assert (32,) * 9 not in space
    assert (31, *(32,) * 7) not in space


def test_published_spaces_by_name():
    for name in RESNET:
        space = resnet_space(name, ResnetSpec.uniform(1, blocks=6))
        assert (space.name, space.spec.blocks) == (name, 6)
        assert tuple(choice.options for choice in space.choices) == RESNET[name]


def test_own_options():
    space = resnet_space("8_24_16_8")
    assert space.name == "24_16_8"
    assert space.size == 3**8
    assert space == uniform_space(ResnetSpec.uniform(1, separable=("residual",)), (24, 16, 8))


@pytest.mark.parametrize("wrong", [(8, 16), (8, 8), ()])
def test_options_out_of_order(wrong):
    with pytest.raises(ValidationError) as error:
        Choice(positions=(0,), options=wrong)
    (first,) = error.value.errors()
    assert first["msg"] == f"Value error, options must be distinct and listed largest first, got {list(wrong)}"


def test_wrong_number_of_choices():
    with pytest.raises(SpecError) as error:
        SearchSpace.over("mine", ResnetSpec.uniform(1), ((8, 4),) * 7)
    assert str(error.value) == "a resnet space has 8 choices, 7 were given"


def test_unknown_space():
    with pytest.raises(SpecError) as error:
        resnet_space("channels-64-pix2pxi")
    assert str(error.value).startswith(
        "unknown search space 'channels-64-pix2pxi'; did you mean channels-64-pix2pix"
    )


def test_unreadable_options():
    with pytest.raises(SpecError) as error:
        resnet_space("16__8")
    assert str(error.value) == (
        "widths '16__8' cannot be read; write positive whole numbers joined by '_', e.g. 32_32_48_32_48_48_16_16"
    )
