"""Helping with the search of a run, from any machine that has its store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pocketgan.errors import DataError
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.runs.run import store_of
from pocketgan.runtime import Runtime


def help_with_search(run: Path, runtime: Runtime, data: Path | None, progress: Callable[[int], None]) -> int:
    """Score candidates of a run's search, which its own process leads, until the search is over.

    Args:
        data: where the images of the run are now, if they were moved.
        progress: called with how many candidates this process has scored.

    Returns how many these were. Raises `DataError` where the run has no search, or none that goes on.
    """
    recipe = read_recipe(run, data)
    stage, store = recipe.search, store_of(run, runtime.store)
    if stage is None:
        raise DataError(f"the run in {run} searches nothing; there is nothing to help with")
    if store.status(stage) == "finished":
        raise DataError(f"the search of {run} is finished; there is nothing to help with")
    names = {each: name for name, each in recipe.all_stages.items()}
    for needed in stage.inputs():
        if (status := store.status(needed)) != "finished":
            raise DataError(
                f"no search is waiting in {run}: its {names.get(needed, needed.kind)} is {status} in "
                f"{store.folder}; come again when the run searches"
            )
    work = store.workspace(stage, store.artifact(stage), runtime, lambda stage, done, total: progress(done))
    return stage.help(work)
