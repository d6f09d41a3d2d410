"""What the settings of every method have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pocketgan.data.inputs import Inputs
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import SpecError
from pocketgan.metrics.catalog import FRECHET, metric_named
from pocketgan.networks import GeneratorSpec, parse_spec
from pocketgan.networks.traced import TracedSpec
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.games import Distilling, FeatureNetwork, Imitating, InPlaceGames, Teaching, needs_features
from pocketgan.pipeline.recipe import Recipe
from pocketgan.pipeline.teacher_file import TeacherFile


def _parsed(value: Any) -> Any:
    return parse_spec(value) if isinstance(value, str) else value


#: a metric that there is
KnownMetric = Annotated[str, AfterValidator(metric_named)]
#: a network, or its spec string, e.g. resnet:48
NamedGenerator = Annotated[GeneratorSpec, BeforeValidator(_parsed)]


class RecipeSettings(BaseModel):
    """Base of the settings of all methods: every number of a method, and `recipe`, which makes its stages of them.

    Attributes:
        metric: the score that counts; where there is something to choose, it chooses.
        whole_train: whether all but what is searched learns from the selection split too, as in the papers.
        feature_network: what the perceptual terms look through.
        guard: so many images as a share of all that the stages learn from, a network like the result learns from
            scratch, for the report to compare; 0 leaves it out.
    """

    # a space of one width reads as a number on the command line
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    #: the name of the method
    method: ClassVar[str]
    #: of settings that may be null: what it means
    why_off: ClassVar[dict[str, str]] = {}

    if TYPE_CHECKING:
        #: the spec of the one that plays against the generator: a field of every subclass where there is one
        discriminator: Any = None

    metric: KnownMetric = FRECHET
    whole_train: bool = False
    feature_network: FeatureNetwork = FeatureNetwork()
    guard: Annotated[float, Field(ge=0, le=1)] = 0.0
    precision: Precision = "fp32"
    seed: int = 233

    @property
    def games(self) -> tuple[Teaching | Distilling | Imitating | InPlaceGames, ...]:
        """The settings of the games that are played."""
        raise NotImplementedError

    def recipe(
        self,
        name: str,
        task: Task,
        budget: Budget,
        teacher: TeacherFile | None = None,
        unlabelled: Inputs | None = None,
    ) -> Recipe:
        """The recipe.

        Args:
            teacher: a finished one, instead of one that is trained.
            unlabelled: inputs without a partner, for the methods whose students learn from such.

        Raises:
            DataError: the method needs other data, or more of them.
            SpecError: networks, games and images do not belong together; an unknown space.
            BudgetError: the smallest network is over the budget.
        """
        raise NotImplementedError

    @property
    def alone(self) -> Teaching:
        """The game in which a network learns from images, without a teacher."""
        raise NotImplementedError

    def of_generator(
        self, generator: TracedSpec, student: TracedSpec | None, task: Task, budget: Budget | None
    ) -> RecipeSettings:
        """The settings for a user's generator, and for its students where they have another form.

        Raises `SpecError` for a method that trains networks of its own kinds.
        """
        raise SpecError(
            "--generator is for in-place, fast-gan-compression, gan-compression and once-for-all, and this is "
            f"{self.method}; choose another --method"
        )

    @property
    def _splits(self) -> dict[str, Any]:
        """Whose images a training learns from that is not searched."""
        return dict(splits=("train", "select")) if self.whole_train else {}

    def features_of(self, game: Teaching | Distilling | Imitating) -> FeatureNetwork | None:
        """What the perceptual term of a game looks through, where it has one."""
        return self.feature_network if needs_features(game) else None
