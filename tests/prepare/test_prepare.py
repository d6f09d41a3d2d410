"""prepare from end to end: a local server or the user's own files, the folder, and all that can go wrong."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocketgan.data.layouts import read_layout
from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.prepare import prepare as module
from pocketgan.prepare.prepare import cached, prepare
from pocketgan.prepare.sets import BUNDLED, SETS, Archive, PublishedSet, set_named

from ..conftest import Outcome
from ..webserver import Server, running
from .originals import coco, domains, picture, small, streets, tarred, zipped

Cli = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def animals(tmp_path: Path) -> bytes:
    return zipped(domains(tmp_path / "made" / "horse2zebra"), "horse2zebra")


@pytest.fixture
def server(animals: bytes) -> Iterator[Server]:
    with running({"horse2zebra.zip": animals}) as server:
        yield server


@pytest.fixture
def zebras(server: Server, animals: bytes, monkeypatch: pytest.MonkeyPatch) -> PublishedSet:
    """horse2zebra as the local server has it, in the table of sets."""
    pinned = Archive(
        url=server.url("horse2zebra.zip"), sha256=hashlib.sha256(animals).hexdigest(), size=len(animals)
    )
    own = small("horse2zebra", archives=(pinned,), counts={"trainA": 3, "trainB": 4, "testA": 2, "testB": 1})
    monkeypatch.setitem(SETS, "horse2zebra", own)
    return own


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# -- what is made ------------------------------------------------------------------------------------------------


def test_a_set_is_downloaded_and_becomes_a_folder(
    zebras: PublishedSet, server: Server, tmp_path: Path, cache: Path
):
    out = tmp_path / "data" / "zebras"
    seen: list[str] = []
    made = prepare(zebras, out, progress=lambda name, done, total: seen.append(name))
    assert made == (out, False)
    assert left(out) == {"trainA", "trainB", "testA", "testB", "LICENCE.txt", "prepared.json"}
    assert left(out.parent) == {"zebras"}
    assert read_layout(out).kind == "unaligned"
    assert list(dict.fromkeys(seen)) == [
        "download horse2zebra.zip",
        "unpack horse2zebra.zip",
        "convert trainA",
        "convert trainB",
        "convert testA",
        "convert testB",
    ]
    facts = json.loads((out / "prepared.json").read_text())
    assert facts["archives"] == [zebras.archives[0].model_dump()]
    assert (facts["name"], facts["licence"], facts["given"]) == ("horse2zebra", zebras.licence, False)
    assert f"Licence: {zebras.licence}\n" in (out / "LICENCE.txt").read_text()

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert prepare(zebras, out) == (out, True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    prepare(zebras, tmp_path / "second")
    assert len(server.asked) == 1, "the archive stays in the cache"
    assert (cache / "horse2zebra.zip").is_file()


def test_an_interrupted_download_is_continued(zebras: PublishedSet, server: Server, tmp_path: Path, cache: Path):
    server.drops = 99
    with pytest.raises(DataError, match="the connection broke off 5 times"):
        prepare(zebras, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    there = (cache / "horse2zebra.zip.part").stat().st_size
    server.drops = 0
    prepare(zebras, tmp_path / "out")
    assert server.asked[-1] == ("/horse2zebra.zip", f"bytes={there}-")


@pytest.mark.parametrize("form", ["zip", "tar.gz", "folder", "folder of archives"])
def test_what_the_user_has_is_converted(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    mine = tmp_path / "mine"
    root = domains(tmp_path / "made" / "horse2zebra")
    mine.mkdir()
    if form == "folder":
        given = root.parent
    elif form == "tar.gz":
        given = mine / "animals.tar.gz"
        given.write_bytes(tarred(root, "horse2zebra"))
    else:
        given = mine / "horse2zebra.zip"
        given.write_bytes(zipped(root, "horse2zebra"))
        given = mine if form == "folder of archives" else given
    out = prepare(small("horse2zebra"), tmp_path / "out", given).folder
    assert left(out) == {"trainA", "trainB", "testA", "testB", "LICENCE.txt", "prepared.json"}
    assert json.loads((out / "prepared.json").read_text())["given"] is True
    assert (root / "trainA" / "a0.png").is_file(), "the originals stay"


def test_two_archives_in_one_folder(tmp_path: Path):
    town = streets(tmp_path / "town", "train", tuple(f"ulm_{number}" for number in range(9)))
    streets(town, "val", ("bonn_1",))
    mine = tmp_path / "mine"
    mine.mkdir()
    for part in ("gtFine", "leftImg8bit"):
        (mine / f"{part}_trainvaltest.zip").write_bytes(zipped(town / part, part))
    out = prepare(small("cityscapes-originals"), tmp_path / "out", mine).folder
    assert read_layout(out).kind == "labels"


def test_an_archive_that_is_not_pinned_may_lie_in_the_cache(tmp_path: Path, cache: Path):
    published = small("edges2shoes")
    with pytest.raises(DataError) as lacking:
        prepare(published, tmp_path / "out")
    url = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/edges2shoes.tar.gz"
    assert str(lacking.value) == (
        f"edges2shoes.tar.gz is not downloaded: no SHA-256 of it is published; get it from {url} and put it at "
        f"{cache}/edges2shoes.tar.gz, or run pocketgan prepare edges2shoes --from with your archives or folder"
    )
    for split in ("train", "val"):
        picture(tmp_path / "made" / split / "1_AB.jpg")
    cache.mkdir(parents=True)
    (cache / "edges2shoes.tar.gz").write_bytes(tarred(tmp_path / "made", "edges2shoes"))
    assert left(prepare(published, tmp_path / "out").folder) == {"train", "val", "LICENCE.txt", "prepared.json"}


def test_coco_asks_for_what_is_not_pinned_before_it_downloads(tmp_path: Path):
    with pytest.raises(DataError, match=r"^stuffthingmaps_trainval2017\.zip is not downloaded: no SHA-256"):
        prepare(SETS["coco-stuff"], tmp_path / "out")
    with pytest.raises(
        DataError, match=r"^gtFine_trainvaltest\.zip is not downloaded: it needs an account of your own"
    ):
        prepare(SETS["cityscapes"], tmp_path / "out")


def test_coco_archives_share_names_of_folders(tmp_path: Path):
    root = coco(tmp_path / "made", "train2017", ("000000000001",))
    coco(root, "val2017", ("000000000002",))
    mine = tmp_path / "mine"
    mine.mkdir()
    for year in ("train2017", "val2017"):
        (mine / f"{year}.zip").write_bytes(zipped(root / "images" / year, year))
    (mine / "annotations_trainval2017.zip").write_bytes(zipped(root / "annotations", "annotations"))
    (mine / "stuffthingmaps_trainval2017.zip").write_bytes(zipped(root / "labels", "."))
    out = prepare(small("coco-stuff"), tmp_path / "out", mine).folder
    assert {path.name for path in out.rglob("*.*")} == {
        *("LICENCE.txt", "prepared.json"),
        *(f"00000000000{number}.{suffix}" for number in (1, 2) for suffix in ("png", "jpg")),
    }


# -- whole or not at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["traversal", "cut off", "incomplete", "interrupted", "checksum", "size"])
def test_nothing_is_left_half_made(
    wrong: str, zebras: PublishedSet, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, given = tmp_path / "out" / "zebras", tmp_path / "horse2zebra.zip"
    given.write_bytes(server.files["horse2zebra.zip"])
    error: type[BaseException] = DataError
    if wrong == "traversal":
        given.write_bytes(zipped(tmp_path / "made", "../.."))
    elif wrong == "cut off":
        given.write_bytes(given.read_bytes()[:-100])
    elif wrong == "incomplete":
        zebras = zebras.model_copy(update={"counts": {"testB": 2}})
    elif wrong == "interrupted":
        error = KeyboardInterrupt

        def stop(*words: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setitem(module.CONVERTERS, "unaligned", stop)
    else:
        changed = {"checksum": {"sha256": "0" * 64}, "size": {"size": 9}}[wrong]
        zebras = zebras.model_copy(update={"archives": (zebras.archives[0].model_copy(update=changed),)})
        given = None
    with pytest.raises(error) as failed:
        prepare(zebras, out, given)
    assert left(out.parent) == set()
    assert "\n" not in str(failed.value)


def test_what_is_there_is_never_touched(zebras: PublishedSet, tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(OutputError) as taken:
        prepare(zebras, tmp_path)
    assert (
        str(taken.value) == f"{tmp_path} holds something other than horse2zebra; choose another --out or remove it"
    )
    with pytest.raises(OutputError, match="holds something other than horse2zebra"):
        prepare(zebras, tmp_path / "mine")
    (tmp_path / ".out.part").mkdir()
    with pytest.raises(OutputError) as busy:
        prepare(zebras, tmp_path / "out")
    assert str(busy.value) == (
        f"{tmp_path}/.out.part is there: another command prepares horse2zebra, or one was killed; "
        "wait, or delete it"
    )
    with pytest.raises(OutputError, match=r"mine/\.out\.part cannot be made: .*; choose another --out"):
        prepare(zebras, tmp_path / "mine" / "out")


def test_given_must_be_something(zebras: PublishedSet, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("")
    for name in ("notes.txt", "nowhere"):
        with pytest.raises(DataError) as neither:
            prepare(zebras, tmp_path / "out", tmp_path / name)
        assert str(neither.value) == (
            "--from must name a folder or an archive (.zip .tar .tar.gz .tgz .tar.bz2 .tar.xz), "
            f"and {tmp_path / name} is neither; give one"
        )


# -- the table ---------------------------------------------------------------------------------------------------


def test_the_table():
    for name, published in SETS.items():
        assert published.name == name
        for archive in published.archives:
            assert (archive.sha256 is None) == (archive.size is None), archive.url
            assert len(archive.sha256 or "0" * 64) == 64
        assert (published.form == "bundled") == (not published.archives)
    assert {name for name, own in SETS.items() if own.pinned} == {
        *("facades", "maps", "horse2zebra", "summer2winter_yosemite", "apple2orange", "iphone2dslr_flower"),
        *(f"{painter}2photo" for painter in ("monet", "cezanne", "ukiyoe", "vangogh")),
    }
    assert SETS["horse2zebra"].download_size == 116_867_962
    assert SETS["coco-stuff"].download_size is None
    assert read_layout(BUNDLED / "stained").kind == "folders"
    assert cached(SETS["maps"].archives[0]).name == "maps.zip"


def test_names_that_are_not_sets():
    with pytest.raises(SpecError) as backwards:
        set_named("zebra2horse")
    assert str(backwards.value) == (
        "zebra2horse is horse2zebra the other way round; prepare horse2zebra and train it with --direction BtoA"
    )
    with pytest.raises(SpecError, match="unknown data set 'horse2zebras'; did you mean horse2zebra"):
        set_named("horse2zebras")


# -- the verb ----------------------------------------------------------------------------------------------------


def test_the_verb(cli: Cli, zebras: PublishedSet, server: Server, tmp_path: Path):
    out = tmp_path / "zebras"
    refused = cli("prepare", "horse2zebra", "--out", out)
    pinned = zebras.archives[0]
    assert refused.code == 2
    assert f"{pinned.url}: {pinned.size:,} bytes, sha256 {pinned.sha256}\n" in refused.out
    assert f"licence: {zebras.licence}\n" in refused.out
    assert "add --yes to download it" in refused.err
    assert server.asked == []
    done = cli("prepare", "horse2zebra", "--out", out, "--yes")
    assert done.code == 0
    assert f"next: pocketgan compress {out} --budget 2.6G --size 256 --direction AtoB\n" in done.out
    again = cli("prepare", "horse2zebra", "--out", out)
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith(f"{out}: was prepared before, nothing to do\n")
    facts = json.loads(cli("prepare", "horse2zebra", "--out", out, "--json").out)
    assert (facts["name"], facts["folder"], facts["already"]) == ("horse2zebra", str(out), True)


def test_the_verb_without_a_network(
    cli: Cli, zebras: PublishedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    ended = cli("prepare", "horse2zebra", "--out", tmp_path / "out", "--yes")
    assert ended.code == 2
    assert ended.err == (
        f"pocketgan: horse2zebra.zip cannot be downloaded: POCKETGAN_OFFLINE is set ({zebras.archives[0].url}); "
        f"unset it, or download it elsewhere and put it at {cached(zebras.archives[0])}, "
        "or name your own with --from\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_verb_asks_at_a_terminal(
    cli: Cli, zebras: PublishedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    no = cli("prepare", "horse2zebra", "--out", tmp_path / "out")
    assert (no.code, no.err) == (
        2,
        "pocketgan: horse2zebra was not downloaded; name what you have of it with --from\n",
    )
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    assert cli("prepare", "horse2zebra", "--out", tmp_path / "out").code == 0


def test_the_verb_lists_and_points(cli: Cli):
    shown = json.loads(cli("prepare", "--list", "--json").out)
    assert [own["name"] for own in shown] == list(SETS)
    assert shown[-1]["pinned"] is False
    table = cli("prepare", "--list").out
    assert all(name in table for name in SETS)
    nuclei = cli("prepare", "nuclei")
    assert nuclei.out.startswith(f"{BUNDLED}: maps of nuclei")
    assert json.loads(cli("prepare", "nuclei", "--json").out)["folder"] == str(BUNDLED)
    nothing = cli("prepare")
    assert (nothing.code, nothing.err) == (2, "pocketgan: which data set? name one of `pocketgan prepare --list`\n")
