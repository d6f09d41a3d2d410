"""Progressive shrinking: the subspaces of a space that its supernet learns one after another.

First kernels may shrink, then depth, then widths; each from the largest options on, one option more a phase.

Source: Cai et al., Once-for-All, ICLR 2020, section 3.3.
"""

from __future__ import annotations

from pocketgan.elastic.space import Choice, DepthChoice, EndsChoice, KernelChoice, SearchSpace

ORDER = {"kernel": (KernelChoice, EndsChoice), "depth": (DepthChoice,), "width": (Choice,)}


def shrinking(space: SearchSpace) -> tuple[SearchSpace, ...]:
    """The phases after the training of the largest network: each subspace holds the one before, the last is the
    space itself. A kind of choice takes as many phases as the longest of its lists has options beside the largest.
    """
    opened = [1] * len(space.choices)
    phases = []
    for kind, wanted in ORDER.items():
        columns = [column for column, choice in enumerate(space.choices) if isinstance(choice, wanted)]
        most = max((len(space.choices[column].options) for column in columns), default=1)
        for count in range(2, most + 1):
            for column in columns:
                opened[column] = min(count, len(space.choices[column].options))
            phases.append(_opened(space, opened, f"{space.name} ({count} of {most} options of {kind})"))
    return (*phases[:-1], space)


def first_of_width(phases: tuple[SearchSpace, ...]) -> int:
    """The position of the first phase in which widths shrink; as many as there are phases where none does."""
    widths = [[c.options for c in phase.choices if isinstance(c, Choice)] for phase in phases]
    return next((i for i, own in enumerate(widths) if any(len(options) > 1 for options in own)), len(phases))


def _opened(space: SearchSpace, opened: list[int], name: str) -> SearchSpace:
    choices = tuple(
        choice.model_copy(update={"options": choice.options[:count]})
        for choice, count in zip(space.choices, opened, strict=True)
    )
    return SearchSpace(name=name, spec=space.spec, choices=choices)
