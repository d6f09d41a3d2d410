"""A recipe: the tree of stages from data to a compressed generator."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pocketgan.data.samples import Split
from pocketgan.data.task import Task
from pocketgan.elastic.budget import Budget
from pocketgan.errors import DataError
from pocketgan.metrics.catalog import DEFAULT_PAIRED, DEFAULT_UNPAIRED
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.stages import Distil, Evaluate, Export, Extract, Given, Search, Train
from pocketgan.pipeline.store import MARK, Owner

#: how far a student's images are from its teacher's
AGAINST_TEACHER = ("teacher_l1", "teacher_ssim")


class Recipe(BaseModel):
    """What `pocketgan run` carries out.

    `predistilled`: the narrower student between teacher and supernet, where the recipe has that step. `tuned`: the
    subnet after fine-tuning, likewise; it is then the result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    method: str
    task: Task
    budget: Budget
    teacher: Train | Given
    predistilled: Distil | None = None
    supernet: Distil
    search: Search
    subnet: Extract
    tuned: Distil | None = None

    @property
    def result(self) -> Extract | Distil:
        """The stage whose model is the compressed generator."""
        return self.tuned or self.subnet

    @property
    def stages(self) -> dict[str, Stage]:
        """Every stage by its name, in the order in which they run."""
        stages: dict[str, Stage | None] = {
            "teacher": self.teacher,
            "pre-distillation": self.predistilled,
            "supernet": self.supernet,
            "search": self.search,
            "subnet": self.subnet,
            "fine-tuning": self.tuned,
        }
        for name, network in self.networks.items():
            stages[f"scores of the {name}"] = self.scores(network)
            stages[f"export of the {name}"] = Export(network=network, task=self.task)
        stages["teacher on select"] = self.scores(self.teacher, "select")
        return {name: stage for name, stage in stages.items() if stage}

    @property
    def networks(self) -> dict[str, Train | Given | Extract | Distil]:
        """What the report compares."""
        return {"teacher": self.teacher, "compressed": self.result}

    def scores(self, network: Train | Given | Extract | Distil, split: Split = "test") -> Evaluate:
        """The evaluation of a network: what suits the data, what the search looked at, and for a student how far it
        is from its teacher."""
        usual = DEFAULT_PAIRED if self.task.paired else DEFAULT_UNPAIRED
        student = network != self.teacher
        names = dict.fromkeys((*usual, self.search.metric, *(AGAINST_TEACHER if student else ())))
        teacher = self.teacher if student else None
        return Evaluate(network=network, task=self.task, split=split, metrics=tuple(names), teacher=teacher)

    @property
    def digest(self) -> str:
        """The address of the whole recipe."""
        parts = {name: stage.digest for name, stage in self.stages.items()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def owner(recipe: Recipe) -> Owner:
    """What marks the recipe's run folder; it keeps the place of the data, which is no part of the recipe itself."""
    content = {"data": str(recipe.task.root.resolve()), "recipe": recipe.model_dump(mode="json")}
    return Owner(recipe.name, recipe.digest, content)


def read_recipe(run: Path) -> Recipe:
    """The recipe of a run folder. Raises `DataError` where there is none, or where its data are gone."""
    if not (run / MARK).is_file():
        raise DataError(f"{run} is no run folder: there is no {MARK} in it; give the --out of a run")
    try:
        content = json.loads((run / MARK).read_text())
        recipe = Recipe.model_validate(_with_root(content["recipe"], content["data"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run / MARK} is damaged; remove {run} and run again") from error
    if not recipe.task.root.is_dir():
        raise DataError(f"the images of {run} are no longer in {recipe.task.root}; put them back")
    return recipe


def _with_root(node: Any, root: str) -> Any:
    """Every task in the tree gets the place of the data again."""
    if isinstance(node, dict):
        node = {key: _with_root(value, root) for key, value in node.items()}
        return {**node, "root": root} if "data_digest" in node else node
    return [_with_root(item, root) for item in node] if isinstance(node, list) else node
