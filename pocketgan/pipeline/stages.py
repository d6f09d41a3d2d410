"""All stages by their kinds, and a set of stages as JSON: a table in which stages refer to each other by digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.fixed_norms import FixNorms
from pocketgan.pipeline.from_scratch import FromScratch
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.latency_model import ModelLatency
from pocketgan.pipeline.online import OnlineDistil, TeacherOf
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.sort_channels import SortChannels
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.training import Train

#: the class of each kind
STAGES: dict[str, type[Stage]] = {
    stage.model_fields["kind"].default: stage
    for stage in (
        Train,
        TeacherFile,
        Distil,
        OnlineDistil,
        InPlaceTraining,
        FromScratch,
        FixNorms,
        TeacherOf,
        SortChannels,
        ModelLatency,
        Search,
        FrontLatency,
        Pick,
        Evaluate,
        Export,
    )
}

Table = dict[str, dict[str, Any]]


def all_inputs(stages: Iterable[Stage]) -> dict[str, Stage]:
    """These stages and all that they build on by digest, each once, inputs first."""
    ordered: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        if stage.digest not in ordered:
            for needed in stage.inputs():
                add(needed)
            ordered[stage.digest] = stage

    for stage in stages:
        add(stage)
    return ordered


def table_of(stages: Iterable[Stage]) -> Table:
    """These stages and all that they build on as JSON, each once: by digest, its fields."""
    return {digest: stage.fields() for digest, stage in all_inputs(stages).items()}


def stages_of(table: Table, places: Mapping[str, str | Path]) -> dict[str, Stage]:
    """The stages of a table by the digests that they have in it.

    Args:
        places: where the images are, which a table does not say: of the task by 'data', of inputs without a partner
            by 'unlabelled'.

    Raises KeyError, TypeError or ValueError for what is no such table.
    """
    stages: dict[str, Stage] = {}
    for digest, fields in table.items():
        restored = {name: _restored(value, stages, places) for name, value in fields.items()}
        stages[digest] = STAGES[fields["kind"]].model_validate(restored)
    return stages


def _restored(value: Any, stages: Mapping[str, Stage], places: Mapping[str, str | Path]) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"stage"}:
        return stages[value["stage"]]
    if "data_digest" in value:
        return {**value, "root": places["data" if "layout" in value else "unlabelled"]}
    return value
