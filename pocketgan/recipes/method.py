"""What a method of compression is: a name, and settings for a user's wish. Each is a file in `methods`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import SpecError
from pocketgan.recipes.games import GAMES, Game
from pocketgan.recipes.settings import RecipeSettings

#: how wide and how long
Effort = Literal["quick", "standard", "paper"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asks of a method.

    Attributes:
        game: what the data are and how a teacher learns from them, e.g. that of pix2pix.
        budget: where the student's size follows from it.
    """

    effort: Effort
    task: Task
    game: Game
    budget: Budget | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of compressing.

    Attributes:
        about: one sentence for the command line.
        settings: every number of the method, for a wish.
        games: the names of those that it knows.
        unlabelled: whether its students learn from inputs without a partner too.
        inherits: whether a student may go on with the discriminator of a finished teacher.
    """

    name: str
    about: str
    settings: Callable[[Wish], RecipeSettings]
    games: tuple[str, ...] = tuple(GAMES)
    unlabelled: bool = False
    inherits: bool = True

    def __call__(self, wish: Wish) -> RecipeSettings:
        """The settings. Raises `SpecError` where the method does not know the game."""
        if wish.game.name not in self.games:
            raise SpecError(
                f"{self.name} compresses {' and '.join(self.games)}, and this is {wish.game.name}; "
                "choose --method fast-gan-compression or gan-compression"
            )
        return self.settings(wish)
