import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pocketgan.elastic.space import Choice, DepthChoice, KernelChoice, SearchSpace
from pocketgan.elastic.spaces import space_named, uniform_space
from pocketgan.errors import SpecError
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec, UnetSpec

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
    space = space_named("channels-48", ResnetSpec.uniform(1).mobile)
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
    space = space_named("channels-48", ResnetSpec.uniform(1).mobile)
    assert space.spec.widths == space.widths(space.largest) == (48,) * 14
    assert space.spec.separable == ("residual",)


def test_what_is_no_genome():
    space = space_named("channels-32", ResnetSpec.uniform(1).mobile)
    assert space.largest in space
    assert (32,) * 7 not in space
    assert (32,) * 9 not in space
    assert (31, *(32,) * 7) not in space


def test_published_spaces_by_name():
    for name in ResnetSpec.spaces:
        space = space_named(name, ResnetSpec.uniform(1, blocks=6))
        assert (space.name, space.spec.blocks) == (name, 6)
        assert tuple(choice.options for choice in space.choices) == ResnetSpec.spaces[name]


def test_own_options():
    space = space_named("8_24_16_8", ResnetSpec.uniform(1).mobile)
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
        space_named("channels-64-pix2pxi", ResnetSpec.uniform(1).mobile)
    assert str(error.value).startswith(
        "unknown search space 'channels-64-pix2pxi'; did you mean channels-64-pix2pix"
    )


def test_unreadable_options():
    with pytest.raises(SpecError) as error:
        space_named("16__8", ResnetSpec.uniform(1).mobile)
    assert str(error.value) == (
        "widths '16__8' cannot be read; write positive whole numbers joined by '_', e.g. 32_32_48_32_48_48_16_16"
    )


# -- depth and kernels -------------------------------------------------------------------------------------------

FULL = "5_3,depth=4_2_1,kernel=7_5_3"


def test_further_choices():
    space = space_named(FULL, ResnetSpec.uniform(1, blocks=9, separable=("residual",), norm="batch"))
    assert space.name == FULL
    assert space.spec == ResnetSpec.uniform(5, blocks=4, kernel=7, separable=("residual",), norm="batch")
    assert space.choices[-2:] == (DepthChoice(options=(4, 2, 1)), KernelChoice(options=(7, 5, 3)))
    assert space.size == 2**8 * 3 * 3
    assert (space.largest, space.smallest) == ((5,) * 8 + (4, 7), (3,) * 8 + (1, 3))
    assert space.text((5, 3, 5, 3, 5, 3, 5, 3, 2, 5)) == "5_3_5_3_5_3_5_3,depth=2,kernel=5"
    assert space_named("channels-32", ResnetSpec.uniform(1).mobile).text((32,) * 8) == "32_32_32_32_32_32_32_32"


def test_a_network_of_widths_depth_and_kernel():
    """Four blocks are tied 0 + 1, 2, 3; of the widths, those of the blocks that are left out go with them."""
    space = space_named(FULL, ResnetSpec.uniform(1))
    genome = (5, 3, 5, 3, 5, 3, 3, 5)
    assert space.widths((*genome, 1, 3)) == (5, 3, 5, 3, 3, 5, 3, 3, 5)
    for depth, widths in ((4, (5, 3, 5, 3, 3, 5, 3, 3, 5)), (2, (5, 3, 5, 3, 3, 3, 5)), (1, (5, 3, 5, 3, 3, 5))):
        for kernel in (7, 5, 3):
            wanted = ResnetSpec(widths=widths, blocks=depth, kernel=kernel)
            assert space.subspec((*genome, depth, kernel)) == wanted
    assert space.subspec(space.largest) == space.spec


def test_of_widths_alone_the_network_is_the_resized_one():
    space = space_named("channels-48", ResnetSpec.uniform(1).mobile)
    for seed in range(5):
        genome = space.sample(random.Random(seed))
        assert space.subspec(genome) == space.spec.resized(space.widths(genome))


def test_depth_of_the_other_families():
    munit = space_named("4_2,depth=3_1", MunitSpec.uniform(1))
    shallow = munit.subspec((4, 2, 4, 4, 2, 4, 2, 4, 4, 2, 1))
    assert shallow == MunitSpec(widths=(4,) * 5 + (2, 4, 4) + (2, 2) + (4, 2), blocks=1)
    unet = space_named("4_2,depth=2_0", UnetSpec.uniform(1, levels=5))
    assert unet.spec == UnetSpec.uniform(4, levels=5, residuals=2)
    assert unet.subspec((4, 2, 4, 2, 4, 0)) == UnetSpec.of((4, 2, 4, 2, 4), levels=5)


def test_one_network_has_one_canonical_genome():
    space = space_named("3_2_1,depth=3_2_1,kernel=5_3", ResnetSpec.uniform(1))
    genomes = space.genomes(np.arange(space.size))
    canonical = [tuple(genome) for genome in space.canonical(genomes).tolist()]
    networks = {}
    for genome, own in zip(map(tuple, genomes.tolist()), canonical, strict=True):
        networks.setdefault(space.subspec(genome), set()).add(own)
        assert space.subspec(own) == space.subspec(genome)
    assert all(len(same) == 1 for same in networks.values())
    assert len(networks) == 2 * 3**5 * (3**3 + 3**2 + 3)
    widths = space_named("channels-32", ResnetSpec.uniform(1).mobile)
    some = widths.genomes(np.arange(20))
    assert np.array_equal(widths.canonical(some), some)


def test_json_of_all_kinds():
    space = space_named(FULL, ResnetSpec.uniform(1))
    fields = space.model_dump(mode="json")
    assert fields["choices"][-2:] == [
        {"kind": "depth", "options": [4, 2, 1]},
        {"kind": "kernel", "options": [7, 5, 3]},
    ]
    again = SearchSpace.model_validate_json(space.model_dump_json())
    assert again == space
    assert hash(again) == hash(space)


def test_json_of_widths_is_what_it_was():
    """Digests of stages and journals of searches rest on it."""
    spec = ResnetSpec.uniform(1, blocks=1)
    text = uniform_space(spec, (2, 1)).model_dump_json(exclude={"spec"})
    choices = ",".join(f'{{"positions":[{i}],"options":[2,1]}}' for i in range(6))
    assert text == f'{{"name":"2_1","choices":[{choices}]}}'


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        (
            "4,kernel=5_3",
            SpadeSpec,
            "the kernel of a spade cannot be chosen; leave 'kernel' out of its search space",
        ),
        ("4,depth=2", SpadeSpec, "the depth of a spade cannot be chosen; leave 'depth' out of its search space"),
        ("4,kernel=6_3", ResnetSpec, "there is no resnet with kernel=6; choose other options"),
        ("4,kernel=5_4", ResnetSpec, "there is no resnet with kernel=4; choose other options"),
        ("4,depth=2_0", MunitSpec, "there is no munit with blocks=0; choose other options"),
        ("4,kernel", ResnetSpec, "'kernel' of a search space cannot be read; write e.g. kernel=7_5_3"),
        ("4,depth=3_x", ResnetSpec, "'depth=3_x' of a search space cannot be read; write e.g. depth=9_6_3"),
        ("4,dept=3", ResnetSpec, "unknown choice of a search space 'dept'; did you mean depth?"),
        (
            "4,depth=3,depth=2",
            ResnetSpec,
            "a search space has one depth, and 'depth=3,depth=2' names it twice; give it once",
        ),
    ],
)
def test_choices_that_there_are_not(text, spec, message):
    with pytest.raises(SpecError) as error:
        space_named(text, spec.uniform(1))
    assert str(error.value) == message


def test_the_spec_is_the_largest():
    with pytest.raises(SpecError) as error:
        SearchSpace(name="mine", spec=ResnetSpec.uniform(1), choices=(DepthChoice(options=(6, 3)),))
    assert str(error.value) == (
        "the largest network of a space has its largest options: blocks=6, not 9; change its spec"
    )
    with pytest.raises(SpecError, match="can be chosen once each, got kernel, kernel"):
        SearchSpace(name="mine", spec=ResnetSpec.uniform(1), choices=(KernelChoice(options=(3,)),) * 2)
