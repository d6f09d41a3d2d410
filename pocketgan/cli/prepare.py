"""The verb that makes folders of published data sets: prepare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketgan.cli.options import Json, Quiet
from pocketgan.cli.show import print_json, say, table
from pocketgan.errors import SpecError
from pocketgan.progress import progress_shown

if TYPE_CHECKING:
    from pocketgan.prepare.sets import PublishedSet


def prepare(
    task: Annotated[str | None, typer.Argument(help="A name from --list.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to make; default data/TASK.")] = None,
    given: Annotated[
        Path | None, typer.Option("--from", help="An archive or folder that you have; nothing is downloaded.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Download without asking.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the published sets.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Download or convert a published data set, with its licence shown."""
    from pocketgan.prepare.sets import SETS, set_named

    if list_:
        return _show_sets(list(SETS.values()), as_json)
    if task is None:
        raise SpecError("which data set? name one of `pocketgan prepare --list`")
    published = set_named(task)
    if published.form == "bundled":
        return _show_bundled(published, as_json)
    folder = out or Path("data") / published.name

    from pocketgan.prepare.prepare import is_prepared
    from pocketgan.prepare.prepare import prepare as make

    if not (given or is_prepared(published, folder)):
        _ask(published, yes, as_json)
    with progress_shown(quiet=quiet) as progress:
        made = make(published, folder, given, progress)
    result = {"name": published.name, "folder": str(made.folder), "already": made.already, **_facts(published)}
    if as_json:
        return print_json(result)
    if quiet:
        return print(made.folder)
    say(f"{made.folder}: {'was prepared before, nothing to do' if made.already else published.about}")
    say(f"licence: {published.licence}")
    say(f"next: {result['command'].replace('FOLDER', str(made.folder))}")


def _ask(published: PublishedSet, yes: bool, as_json: bool) -> None:
    """Show what would be downloaded, under which licence; go on only where the user agrees."""
    from pocketgan.prepare.prepare import check_obtainable

    check_obtainable(published)
    if not as_json:
        say(f"{published.name}: {published.about}")
        say(f"licence: {published.licence}")
        for archive in published.archives:
            known = f"{archive.size:,} bytes, sha256 {archive.sha256}" if archive.sha256 else "as you brought it"
            say(f"{archive.url}: {known}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise SpecError(
            f"{published.name} is {_size(published)} under its licence ({published.licence}); "
            "add --yes to download it"
        )
    if input("Download it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise SpecError(f"{published.name} was not downloaded; name what you have of it with --from")


def _show_sets(sets: list[PublishedSet], as_json: bool) -> None:
    if as_json:
        return print_json([_facts(published) for published in sets])
    rows = [[own.name, own.about, _size(own), own.licence] for own in sets]
    table(["task", "what it is", "download", "licence"], rows)


def _show_bundled(published: PublishedSet, as_json: bool) -> None:
    from pocketgan.prepare.sets import BUNDLED

    if as_json:
        return print_json({**_facts(published), "folder": str(BUNDLED), "already": True})
    say(f"{BUNDLED}: {published.about}")
    say(f"licence: {published.licence}")


def _facts(published: PublishedSet) -> dict[str, Any]:
    height, width = published.size
    side = str(height) if height == width else f"{height}x{width}"
    return published.model_dump(mode="json") | {
        "pinned": published.pinned,
        "command": f"pocketgan compress FOLDER --budget 2.6G --size {side} --direction {published.direction}",
    }


def _size(published: PublishedSet) -> str:
    from pocketgan.units import bytes_text

    if published.form == "bundled":
        return "bundled"
    if not published.pinned:
        return "bring your own" if not any(own.sha256 for own in published.archives) else "in part"
    return bytes_text(published.download_size)
