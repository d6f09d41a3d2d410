"""A recipe: the tree of stages from data to a compressed generator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from pocketgan.data.inputs import Inputs
from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import DataError
from pocketgan.metrics.catalog import DEFAULT_PAIRED, DEFAULT_UNPAIRED
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import (
    Distil,
    Evaluate,
    Export,
    Extract,
    Front,
    Given,
    OnlineDistil,
    Pick,
    Product,
    Search,
    Sorted,
    Train,
)
from pocketgan.pipeline.store import MARK, Owner

#: how far a student's images are from its teacher's
AGAINST_TEACHER = ("teacher_l1", "teacher_ssim")

Teacher = Train | Given | Product
Student = Extract | Distil | OnlineDistil


class Recipe(BaseModel):
    """What `pocketgan run` carries out.

    What is compressed is either a `student` of its own or a `supernet`, then its `search` and the `subnet` found.
    A teacher that learns beside its student is a `Product` of it.

    `predistilled`: the narrower student between teacher and supernet, where the recipe has that step. `phases`:
    what a supernet that shrinks was before its last phase, likewise. `warmed`: an online teacher as it is when its
    student begins, likewise. `tuned`: the subnet after fine-tuning, likewise; then it is the result. `front`: the
    measured front of the search, likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    method: str
    task: Task
    budget: Budget
    teacher: Teacher
    predistilled: Distil | None = None
    phases: tuple[Distil | Sorted, ...] = ()
    warmed: Train | None = None
    student: OnlineDistil | None = None
    supernet: Distil | OnlineDistil | None = None
    search: Search | None = None
    subnet: Extract | None = None
    tuned: Distil | OnlineDistil | None = None
    front: Front | None = None

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        searched = [self.supernet, self.search, self.subnet]
        if any(part is None for part in searched) if self.student is None else any([*searched, self.tuned]):
            raise ValueError("a recipe trains a student, or a supernet in which a subnet is found")
        return self

    @property
    def result(self) -> Student:
        """The stage whose model is the compressed generator."""
        result = self.tuned or self.subnet or self.student
        assert result is not None, "checked at construction"
        return result

    @property
    def distillation(self) -> Distil | OnlineDistil:
        """The training that makes the student, before any fine-tuning."""
        trained = self.supernet or self.student
        assert trained is not None, "checked at construction"
        return trained

    @property
    def metric(self) -> str:
        """The score by which networks are chosen; of a student of its own, the one that counts."""
        if self.search:
            return self.search.metric
        assert self.student is not None, "checked at construction"
        return self.student.metric

    @property
    def unlabelled(self) -> Inputs | None:
        """Inputs without a partner from which the student learns besides."""
        return self.distillation.unlabelled if isinstance(self.distillation, OnlineDistil) else None

    @property
    def stages(self) -> dict[str, Stage]:
        """Every stage by its name, in the order in which they run."""
        teaching: dict[str, Stage | None] = {"teacher": self.teacher}
        training: dict[str, Stage | None] = {
            "warm-up": self.warmed,
            "pre-distillation": self.predistilled,
            "student": self.student,
            **dict(zip(_names(self.phases), self.phases, strict=True)),
            "supernet": self.supernet,
        }
        together = isinstance(self.teacher, Product)
        stages: dict[str, Stage | None] = {
            **(training | teaching if together else teaching | training),
            "search": self.search,
            "subnet": self.subnet,
            "fine-tuning": self.tuned,
            "front": self.front,
        }
        for name, network in self.networks.items():
            stages[f"scores of the {name}"] = self.scores(network)
            stages[f"export of the {name}"] = Export(network=network, task=self.task)
        stages["teacher on select"] = self.scores(self.teacher, "select")
        return {name: stage for name, stage in stages.items() if stage}

    @property
    def networks(self) -> dict[str, Teacher | Student]:
        """What the report compares."""
        return {"teacher": self.teacher, "compressed": self.result}

    def scores(self, network: Teacher | Student | Pick, split: Split = "test") -> Evaluate:
        """The evaluation of a network: what suits the data, what the search looked at, and for a student how far it
        is from its teacher."""
        usual = DEFAULT_PAIRED if self.task.paired else DEFAULT_UNPAIRED
        student = network != self.teacher
        names = dict.fromkeys((*usual, self.metric, *(AGAINST_TEACHER if student else ())))
        teacher = self.teacher if student else None
        return Evaluate(network=network, task=self.task, split=split, metrics=tuple(names), teacher=teacher)

    @property
    def digest(self) -> str:
        """The address of the whole recipe."""
        parts = {name: stage.digest for name, stage in self.stages.items()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _names(phases: tuple[Distil | Sorted, ...]) -> Iterator[str]:
    number = count(1)
    for phase in phases:
        yield "sorting" if isinstance(phase, Sorted) else f"phase {next(number)}"


def owner(recipe: Recipe) -> Owner:
    """What marks the run folder; it keeps the places of the data, which are no part of the recipe itself."""
    places = {"data": str(recipe.task.root.resolve())}
    if recipe.unlabelled:
        places["unlabelled"] = str(recipe.unlabelled.root.resolve())
    content = {**places, "recipe": recipe.model_dump(mode="json")}
    return Owner(recipe.name, recipe.digest, content)


def read_recipe(run: Path) -> Recipe:
    """The recipe of a run folder. Raises `DataError` where there is none, or where its data are gone."""
    if not (run / MARK).is_file():
        raise DataError(f"{run} is no run folder: there is no {MARK} in it; give the --out of a run")
    try:
        content = json.loads((run / MARK).read_text())
        if "study" in content:
            raise DataError(f"{run} holds a study, see {run / 'study.html'}; give the --out of a run")
        recipe = Recipe.model_validate(_with_roots(content["recipe"], content["data"], content.get("unlabelled")))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run / MARK} is damaged; remove {run} and run again") from error
    if not recipe.task.root.is_dir():
        raise DataError(f"the images of {run} are no longer in {recipe.task.root}; put them back")
    return recipe


def _with_roots(node: Any, data: str, unlabelled: str | None) -> Any:
    """Every task in the tree gets the place of the data again, and inputs without a partner get theirs."""
    if isinstance(node, dict):
        node = {key: _with_roots(value, data, unlabelled) for key, value in node.items()}
        if "data_digest" not in node:
            return node
        return {**node, "root": data if "layout" in node else unlabelled}
    return [_with_roots(item, data, unlabelled) for item in node] if isinstance(node, list) else node
