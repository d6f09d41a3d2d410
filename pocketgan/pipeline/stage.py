"""What a stage is: a frozen value that says how to make one artifact.

Its digest is its address. It covers the kind and revision of the stage, every field, the digests of the stages
that it builds on, and the content of the data; so equal stages share artifacts and a changed field makes a new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, PrivateAttr

from pocketgan.distributed import World
from pocketgan.models import load_model
from pocketgan.networks import GeneratorSpec
from pocketgan.runtime import Runtime

if TYPE_CHECKING:
    from pocketgan.pipeline.timing import Stopwatch

Progress = Callable[[int, int], None]
Kind = TypeVar("Kind", bound="Stage")


@dataclass(frozen=True)
class Workspace:
    """What a stage may use while it runs.

    Attributes:
        folder: its own; `state/` in it survives an interruption and goes away at the end.
        artifact: where to write the result; it becomes visible as a whole when the stage returns.
        cache: decoded images, shared by all stages.
        inputs: for each stage that this one builds on, the folder of its finished artifact.
        runtime: the device to compute on, and what else is no part of a recipe.
        progress: called with (done, total).
    """

    folder: Path
    artifact: Path
    cache: Path
    inputs: Callable[[Stage], Path]
    runtime: Runtime
    progress: Progress

    @property
    def world(self) -> World:
        """This process among those that make a `shared` stage together."""
        return self.runtime.world

    def network(self, stage: Stage, name: str = "model") -> Any:
        """A network that a stage has left, in evaluation mode, on the runtime's device."""
        return load_model(self.inputs(stage) / name).network.to(self.runtime.place)


class Stage(BaseModel):
    """Base of all stages.

    A stage says what it reads (`inputs`), what it leaves (`leaves`, `spec`), how many steps it trains (`steps`),
    how long it takes (`seconds`) and what a reader of the report must know of it (`notes`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: raised whenever the same fields come to mean other numbers
    revision: ClassVar[int] = 1
    #: whether all processes of a run make it together: then `run` is called in each, and the first one writes
    shared: ClassVar[bool] = False

    kind: str
    _digest: str = PrivateAttr("")

    def run(self, work: Workspace) -> None:
        """Make the artifact in `work.artifact`, going on from `work.folder / 'state'` if there is any."""
        raise NotImplementedError

    def inputs(self) -> Iterable[Stage]:
        """The stages that this one reads: those of its fields."""
        return self._stages.values()

    @property
    def leaves(self) -> tuple[str, ...]:
        """The names of what is in its artifact."""
        raise NotImplementedError

    def spec(self, name: str = "model") -> GeneratorSpec:
        """The spec of the generator that it leaves in the folder of that name, known before the stage has run."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """How many steps it trains; 0 where it trains nothing."""
        return 0

    def seconds(self, watch: Stopwatch) -> float:
        """How long it will take, from what can be measured before it runs."""
        return 1.0

    def notes(self) -> tuple[str, ...]:
        """Sentences for the report."""
        return ()

    @property
    def _stages(self) -> dict[str, Stage]:
        """The fields that are stages."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Stage)}

    def fields(self) -> dict[str, Any]:
        """Every field as JSON; a stage stands as its digest, and places of files are left out."""
        stages = self._stages
        own = self.model_dump(mode="json", exclude=set(stages))
        return own | {name: {"stage": stage.digest} for name, stage in stages.items()}

    @property
    def digest(self) -> str:
        """The address of the artifact: SHA-256 in hexadecimal. Computed once."""
        if not self._digest:
            content = {"kind": self.kind, "revision": self.revision, "fields": self.fields()}
            self._digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return self._digest

    @property
    def address(self) -> str:
        """The folder name in a store."""
        return f"{self.kind}-{self.digest[:12]}"

    def __eq__(self, other: object) -> bool:
        # by digest: walking through the fields would meet a stage once for each way that leads to it
        return isinstance(other, Stage) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def model_copy(self: Kind, *, update: Any = None, deep: bool = False) -> Kind:
        copied = super().model_copy(update=update, deep=deep)
        copied._digest = ""
        return copied


def _with_model(stage: Stage) -> Stage:
    if "model" not in stage.leaves:
        raise ValueError(f"a stage that leaves a network is needed, and {stage.kind} leaves none")
    return stage


#: a stage that leaves a generator as `model/`
Network = Annotated[Stage, AfterValidator(_with_model)]
