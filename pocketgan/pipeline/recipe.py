"""A recipe: the stages from data to a compressed generator, by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializeAsAny, model_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import DataError
from pocketgan.metrics.catalog import DEFAULT_PAIRED, DEFAULT_UNPAIRED
from pocketgan.networks import GeneratorSpec
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.from_scratch import FromScratch
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.owner import MARK, Owner, read_mark
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import all_inputs, stages_of, table_of
from pocketgan.pipeline.training import Training

#: how far a student's images are from its teacher's
AGAINST_TEACHER = ("teacher_l1", "teacher_ssim")


class Roles(BaseModel):
    """The names of the stages that a run looks for.

    Attributes:
        teacher: what the result is compared with.
        result: the stage whose model is the compressed generator.
        search: the search that found it, where there was one.
        front_latency: the measured front of that search, where there is one.
        guard: the network from scratch that the result is held against, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: str = "teacher"
    result: str
    search: str | None = None
    front_latency: str | None = None
    guard: str | None = None


class Recipe(BaseModel):
    """What `pocketgan run` carries out.

    Attributes:
        method: the name of the method that made it.
        metric: the score by which networks are chosen.
        seed: that of its trainings.
        stages: the stages that train and choose, by name, in the order in which they run.
        roles: which of them is what.
        published: a generator of the papers' size, where no teacher is trained that would show how much
            smaller the result is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    method: str
    task: Task
    budget: Budget
    metric: str
    seed: int
    stages: dict[str, SerializeAsAny[Stage]]
    roles: Roles
    published: GeneratorSpec | None = None

    @model_validator(mode="after")
    def _roles_are_taken(self) -> Recipe:
        for role, name in self.roles:
            if name is not None and name not in self.stages:
                raise ValueError(f"the {role} of a recipe is one of its stages, and {name} is none")
        return self

    def __getitem__(self, name: str) -> Any:
        """The stage of that name."""
        return self.all_stages[name]

    @property
    def teacher(self) -> Stage:
        return self.stages[self.roles.teacher]

    @property
    def result(self) -> Stage:
        return self.stages[self.roles.result]

    @property
    def search(self) -> Search | None:
        return self._step(self.roles.search, Search)

    @property
    def front_latency(self) -> FrontLatency | None:
        return self._step(self.roles.front_latency, FrontLatency)

    @property
    def guard(self) -> FromScratch | None:
        return self._step(self.roles.guard, FromScratch)

    def _step(self, name: str | None, kind: type[Any]) -> Any:
        step = self.stages[name] if name else None
        assert step is None or isinstance(step, kind), f"{name} is a {kind.__name__}"
        return step

    @property
    def networks(self) -> dict[str, Stage]:
        """What is exported and measured: before and after."""
        return {"teacher": self.teacher, "compressed": self.result}

    @property
    def trainings(self) -> tuple[Training, ...]:
        return tuple(stage for stage in self.stages.values() if isinstance(stage, Training))

    @property
    def scored(self) -> dict[str, Stage]:
        """What the report compares."""
        guard = {self.roles.guard: self.guard} if self.roles.guard and self.guard else {}
        return {**self.networks, **guard}

    @property
    def all_stages(self) -> dict[str, Stage]:
        """Every stage by its name, in the order in which they run: last what the report needs."""
        stages = dict(self.stages)
        if self.search and self.search.latency:
            stages = {"latency model": self.search.latency, **stages}
        for name, network in self.scored.items():
            stages[f"scores of the {name}"] = self.scores(network)
            if name in self.networks:
                stages[f"export of the {name}"] = Export(network=network, task=self.task)
        if served := self.served:
            stages[f"export for {served.runtime}"] = served
        stages["teacher on select"] = self.scores(self.teacher, "select")
        return stages

    @property
    def served(self) -> Export | None:
        """The result as a file for the runtime on which its latency is bounded, where that is not the usual one."""
        if self.budget.runtime is None:
            return None
        name = self.budget.runtime.partition(":")[0]
        usual = Export(network=self.result, task=self.task)
        return None if name == usual.runtime else usual.model_copy(update={"runtime": name})

    @property
    def picked(self) -> Pick | None:
        """The choice of a subnet, where there is one."""
        return next((step for step in self.stages.values() if isinstance(step, Pick)), None)

    def every_stage(self) -> Iterable[Stage]:
        """The stages of the recipe and all that these build on."""
        return all_inputs(self.all_stages.values()).values()

    @property
    def unlabelled(self) -> Inputs | None:
        """Inputs without a partner from which a student learns besides."""
        return next((own for step in self.stages.values() if (own := getattr(step, "unlabelled", None))), None)

    def scores(self, network: Stage | Pick, split: Split = "test") -> Evaluate:
        """The evaluation of a network: what suits the data, what the search looked at, and for a student how far it
        is from its teacher."""
        usual = DEFAULT_PAIRED if self.task.paired else DEFAULT_UNPAIRED
        student = network != self.teacher
        names = dict.fromkeys((*usual, self.metric, *(AGAINST_TEACHER if student else ())))
        teacher = self.teacher if student else None
        return Evaluate(network=network, task=self.task, split=split, metrics=tuple(names), teacher=teacher)

    def notes(self) -> Iterator[str]:
        """What a reader of the report must know of the stages."""
        for step in self.stages.values():
            yield from step.notes()

    @property
    def digest(self) -> str:
        """The address of the whole recipe."""
        parts = {name: stage.digest for name, stage in self.all_stages.items()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def owner(recipe: Recipe) -> Owner:
    """What marks the run folder; it keeps the places of the data, which are no part of the recipe itself."""
    places = {"data": str(recipe.task.root.resolve())}
    if recipe.unlabelled:
        places["unlabelled"] = str(recipe.unlabelled.root.resolve())
    content = recipe.model_dump(mode="json", exclude={"stages"}) | {
        "stages": {name: step.digest for name, step in recipe.stages.items()}
    }
    return Owner(
        recipe.name, recipe.digest, {**places, "recipe": content, "table": table_of(recipe.stages.values())}
    )


def read_recipe(run: Path, data: Path | None = None) -> Recipe:
    """The recipe of a run folder. `data`: where its images are now, if they were moved.

    Raises `DataError` where there is none, where its data are gone, or where others lie in their place.
    """
    if not (run / MARK).is_file():
        raise DataError(f"{run} is no run folder: there is no {MARK} in it; give the --out of a run")
    try:
        content = read_mark(run / MARK)
        if "study" in content:
            raise DataError(f"{run} holds a study, see {run / 'study.html'}; give the --out of a run")
        places = {**content, **({"data": str(data)} if data else {})}
        stages = stages_of(content["table"], places)
        fields = dict(content["recipe"])
        fields["stages"] = {name: stages[digest] for name, digest in fields["stages"].items()}
        fields["task"] = {**fields["task"], "root": places["data"]}
        recipe = Recipe.model_validate(fields)
        if recipe.digest != content["digest"]:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{run / MARK} is damaged, or of another version; remove it and run the same command again"
        ) from error
    if not recipe.task.root.is_dir():
        raise DataError(
            f"the images of {run} are no longer in {recipe.task.root}; put them back, "
            "or name their folder with --data"
        )
    return recipe
