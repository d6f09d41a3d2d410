"""Progressive shrinking: which subspaces, in which order."""

import itertools

import pytest

from pocketgan.elastic.shrinking import first_of_width, shrinking
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.spaces import space_named
from pocketgan.networks import MunitSpec, ResnetSpec

WHOLE = "6_4_2,depth=3_2_1,kernel=7_5_3"


def inside(small: SearchSpace, large: SearchSpace) -> bool:
    """Whether every network of one space is one of the other, and not the other way round."""
    pairs = zip(small.choices, large.choices, strict=True)
    return small.size < large.size and all(set(a.options) <= set(b.options) for a, b in pairs)


def test_kernel_then_depth_then_width():
    phases = shrinking(space_named(WHOLE, ResnetSpec.uniform(1)))
    opened = [tuple(p.choices[column].options for column in (-1, -2, 0)) for p in phases]
    assert opened == [
        ((7, 5), (3,), (6,)),
        ((7, 5, 3), (3,), (6,)),
        ((7, 5, 3), (3, 2), (6,)),
        ((7, 5, 3), (3, 2, 1), (6,)),
        ((7, 5, 3), (3, 2, 1), (6, 4)),
        ((7, 5, 3), (3, 2, 1), (6, 4, 2)),
    ]
    assert first_of_width(phases) == 4
    assert phases[0].name == f"{WHOLE} (2 of 3 options of kernel)"


@pytest.mark.parametrize(
    "space",
    [
        space_named(WHOLE, ResnetSpec.uniform(1)),
        space_named("4_2,depth=3_1", MunitSpec.uniform(1)),
        space_named("channels-48", ResnetSpec.uniform(1).mobile),
    ],
    ids=lambda space: space.name,
)
def test_each_holds_the_one_before_and_the_last_is_the_whole(space):
    phases = shrinking(space)
    assert phases[-1] == space
    assert all(inside(a, b) for a, b in itertools.pairwise(phases))
    assert all(phase.largest == space.largest and phase.spec == space.spec for phase in phases)
    largest = SearchSpace(
        name="largest",
        spec=space.spec,
        choices=[c.model_copy(update={"options": c.options[:1]}) for c in space.choices],
    )
    assert inside(largest, phases[0])
    assert len({phase.name for phase in phases}) == len(phases)


def test_widths_alone():
    """Lists of two, three and four options: the short ones are open from the first phases on."""
    phases = shrinking(space_named("channels-48", ResnetSpec.uniform(1).mobile))
    assert [[len(choice.options) for choice in phase.choices] for phase in phases] == [
        [2, 2, 2, 2, 2, 2, 2, 2],
        [2, 2, 3, 3, 3, 3, 3, 3],
        [2, 2, 3, 3, 3, 3, 4, 4],
    ]
    assert first_of_width(phases) == 0


def test_where_no_width_is_a_choice():
    space = space_named("4,kernel=5_3", ResnetSpec.uniform(1, blocks=1))
    assert shrinking(space) == (space,)
    assert first_of_width(shrinking(space)) == 1
