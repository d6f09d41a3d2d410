"""From a published set to a folder that training reads: obtain, unpack, convert, describe; whole or not at all."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pocketgan import __version__
from pocketgan.download import fetch
from pocketgan.errors import DataError, OutputError
from pocketgan.prepare import cityscapes, coco, pairs
from pocketgan.prepare.archives import SUFFIXES, extract, is_archive, remove
from pocketgan.prepare.folders import Progress
from pocketgan.prepare.lists import write_papers_split
from pocketgan.prepare.sets import Archive, Form, PublishedSet

NOTE, LICENCE = "prepared.json", "LICENCE.txt"
#: originals folder, result folder
Converter = Callable[[Path, Path, PublishedSet, Progress], None]
CONVERTERS: dict[Form, Converter] = {
    "aligned": pairs.aligned,
    "unaligned": pairs.unaligned,
    "shoes": pairs.shoes,
    "shoes-unaligned": pairs.shoes_unaligned,
    "cityscapes": cityscapes.pix2pix_pairs,
    "cityscapes-originals": cityscapes.original_folders,
    "coco-stuff": coco.label_folders,
}


class Prepared(NamedTuple):
    """A prepared folder; `already`: nothing was left to do."""

    folder: Path
    already: bool


def is_prepared(published: PublishedSet, out: Path) -> bool:
    """Whether `out` holds this set, complete.

    Raises:
        OutputError: it holds something else.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads((out / NOTE).read_text(encoding="utf-8"))["name"] == published.name:
            return True
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} holds something other than {published.name}; choose another --out or remove it")
    return False


def prepare(
    published: PublishedSet, out: Path, given: Path | None = None, progress: Progress | None = None
) -> Prepared:
    """Make the folder `out` of a published set; where it is there already, do nothing.

    given: what the user has of it: an archive, a folder of the archives, or the unpacked folder. Without it the
        archives are downloaded into the user's cache, those that are pinned; what is not must lie there.
    progress: called with the name of what is done, how much of it, and all of it.

    Raises:
        DataError: an archive cannot be had or is damaged, images are missing; one line with what to do.
        OutputError: `out` is taken or cannot be written.
    """
    tell = progress or (lambda name, done, total: None)
    if is_prepared(published, out):
        return Prepared(out, already=True)
    work = out.with_name(f".{out.name}.part")
    try:
        work.mkdir(parents=True)
    except FileExistsError as error:
        raise OutputError(
            f"{work} is there: another command prepares {published.name}, or one was killed; wait, or delete it"
        ) from error
    except OSError as error:
        raise OutputError(f"{work} cannot be made: {error.strerror}; choose another --out") from error
    try:
        archives = _given(published, given) if given else _obtained(published, tell)
        for archive in archives:
            # each into a folder of its own: those of COCO share names
            extract(archive, work / "originals" / archive.name, partial(tell, f"unpack {archive.name}"))
        result = work / "result"
        result.mkdir()
        originals = work / "originals" if archives else given
        assert originals is not None  # without archives the folder was given
        CONVERTERS[published.form](originals, result, published, tell)
        write_papers_split(result, published)
        _describe(published, result, given)
        with suppress(FileNotFoundError):
            out.rmdir()
        os.replace(result, out)
    except OSError as error:
        place = error.filename or out
        raise OutputError(
            f"{place} cannot be read or written: {error.strerror}; mend it, or choose another --out"
        ) from error
    finally:
        remove(work)
    return Prepared(out, already=False)


def cached(archive: Archive) -> Path:
    """Where the archive of a set lies once it is downloaded."""
    from pocketgan.pretrained.weights import cache_folder

    return cache_folder() / "data" / archive.file


def _given(published: PublishedSet, given: Path) -> list[Path]:
    """The archives to unpack among what the user has; none where it is unpacked."""
    if given.is_dir():
        return [given / own.file for own in published.archives if (given / own.file).is_file()]
    if given.is_file() and is_archive(given):
        return [given]
    raise DataError(
        f"--from must name a folder or an archive ({' '.join(SUFFIXES)}), and {given} is neither; give one"
    )


def _obtained(published: PublishedSet, progress: Progress) -> list[Path]:
    """The archives in the user's cache, downloaded where they are not there."""
    check_obtainable(published)
    for archive in published.archives:
        if archive.sha256:
            show = partial(progress, f"download {archive.file}")
            try:
                fetch(archive.url, cached(archive), sha256=archive.sha256, size=archive.size, progress=show)
            except DataError as error:
                raise DataError(f"{error}, or name your own with --from") from error
    return [cached(archive) for archive in published.archives]


def check_obtainable(published: PublishedSet) -> None:
    """Raise a `DataError`, with what the user does instead, where an archive is neither pinned nor in the cache.

    Before gigabytes of the others are downloaded.
    """
    for archive in published.archives:
        if not (archive.sha256 or cached(archive).is_file()):
            reason = "it needs an account of your own" if archive.account else "no SHA-256 of it is published"
            raise DataError(
                f"{archive.file} is not downloaded: {reason}; get it from {archive.url} and put it at "
                f"{cached(archive)}, or run pocketgan prepare {published.name} --from with your archives or folder"
            )


def _describe(published: PublishedSet, result: Path, given: Path | None) -> None:
    """The licence for the reader and the facts for programs."""
    sources = [
        f"Source: {own.url} ({f'SHA-256 {own.sha256}' if own.sha256 else 'no SHA-256 is published'})"
        for own in published.archives
    ]
    made = "Made from files of the user's own, which were not verified." if given else "Made from these archives."
    lines = [f"{published.name}: {published.about}", f"Licence: {published.licence}", *sources, made]
    (result / LICENCE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    facts = published.model_dump(mode="json", include={"name", "licence", "direction", "size", "archives"})
    facts |= {"given": given is not None, "pocketgan": __version__}
    (result / NOTE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
