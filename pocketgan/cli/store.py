"""The verb of stores: what lies in one, whether it is whole, and what may go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pocketgan.cli.options import Json
from pocketgan.cli.show import print_json, say, table
from pocketgan.errors import DataError, SpecError

Action = Annotated[
    Literal["list", "check", "prune"],
    typer.Argument(
        help="list what lies there; check every file against its digest (exit code 1 where one is damaged); or "
        "prune: remove what is damaged, left over, or not needed by its run.",
        show_default=False,
    ),
]
Place = Annotated[Path, typer.Argument(help="A run folder, or what --store named.", show_default=False)]
Keep = Annotated[
    list[Path] | None,
    typer.Option(help="For prune in a store of several runs: stages of this run stay (repeatable), others go."),
]


def store(
    action: Action,
    place: Place,
    keep: Keep = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Look after the folder in which the stages of runs are kept."""
    from pocketgan.pipeline.owner import MARK
    from pocketgan.pipeline.store import Store
    from pocketgan.pipeline.upkeep import kept
    from pocketgan.runs.run import store_of

    is_run = (place / MARK).is_file()
    found = store_of(place) if is_run else Store(place)
    stages = kept(found)
    if not stages and not is_run:
        raise DataError(f"{place} holds no stages; give a run folder, or a folder that --store named")
    if keep and action != "prune":
        raise SpecError(f"--keep is for prune, and this is {action}; leave it out")
    if action == "prune":
        return _prune(found, place if is_run else None, keep or [], yes, as_json)
    rows: list[dict[str, Any]] = [each._asdict() for each in stages]
    if action == "list":
        return _shown(rows, as_json)
    _check(found, rows, as_json)


def _shown(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        return print_json(rows)
    from pocketgan.units import si

    table(
        ["stage", "status", "size", "damaged"],
        [[r["address"], r["status"], f"{si(r['size_bytes'])}B", ", ".join(r["damaged"])] for r in rows],
    )


def _check(found: Any, rows: list[dict[str, Any]], as_json: bool) -> None:
    from pocketgan.pipeline.upkeep import damaged_images

    files = [found.folder / row["address"] / name for row in rows for name in row["damaged"]]
    files += damaged_images(found)
    if as_json:
        print_json([str(file) for file in files])
    else:
        print(*(f"{file} is damaged" for file in files), sep="\n", end="\n" if files else "")
    if files:
        say("run its command again: what is damaged is made again", err=True)
        raise typer.Exit(1)
    if not as_json:
        print(f"{len(rows)} stages, every file as it was")


def _prune(found: Any, run: Path | None, keep: list[Path], yes: bool, as_json: bool) -> None:
    from contextlib import nullcontext

    from pocketgan.cli.runs import at_terminal
    from pocketgan.pipeline.owner import STAGES, claim
    from pocketgan.pipeline.recipe import read_recipe
    from pocketgan.pipeline.upkeep import prune
    from pocketgan.runs.run import owner_of, store_of
    from pocketgan.units import si

    if run and found.folder != run / STAGES:
        raise SpecError(f"the store of {run} may serve other runs; prune {found.folder} with --keep {run}")
    recipes = {folder: read_recipe(folder) for folder in (*keep, *([run] if run else []))}
    for folder in keep:
        if store_of(folder).folder.resolve() != found.folder.resolve():
            raise SpecError(f"{folder} does not keep its stages in {found.folder}; leave it out")
    needed = {stage.address for recipe in recipes.values() for stage in recipe.every_stage()} if recipes else None
    if at_terminal() and not yes and not typer.confirm("remove what is not needed?", default=False, err=True):
        raise typer.Exit
    with claim(run, owner_of(recipes[run], run, found)) if run else nullcontext():
        removed, freed = prune(found, needed)
    if as_json:
        return print_json({"removed": removed, "bytes": freed})
    print(*removed, f"{si(freed)}B freed", sep="\n")
