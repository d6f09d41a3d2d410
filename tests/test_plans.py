"""Dry runs of one's own data, what is asked before long work, and where results may be written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan.data.values import Values
from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec
from tests.conftest import TOY, TOY_STUDENT, Outcome
from tests.data.pictures import write_folders, write_labels, write_picture, write_sets

Cli = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured beforehand: an hour a stage."""
    monkeypatch.setattr(
        "pocketgan.runs.run.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.all_stages, 3600.0),
    )


# -- plan path/to/images -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more", "told"),
    [
        ("pairs", (), "pairs by equal names"),
        ("pairs", ("--unpaired",), "two sets without pairs, as --unpaired says"),
        ("sets", (), "two sets without pairs, because no name is in both"),
        ("pairs", ("--load-size", 28, "--no-flip"), "random crops of 24 from images resized to 28"),
        ("pairs", ("--crop", "--rotate"), "random crops of 24 from images as they are"),
        ("pairs", (), "in-place, budget"),
        ("pairs", ("--method", "gan-compression"), "gan-compression, budget"),
        ("sets", (), "fast-gan-compression, budget"),
        ("labels", ("--size", 128), "label maps of 5 classes"),
    ],
)
def test_a_plan_of_images(cli: Cli, tmp_path: Path, kind: str, more: tuple, told: str):
    folder = tmp_path / kind
    if kind == "pairs":
        write_folders(folder, 12, side=28)
    elif kind == "sets":
        write_sets(folder, 12, 14, side=28)
    else:
        write_labels(folder, 12, side=128, instances=False)
    ended = cli("plan", folder, "--budget", "10G", "--size", 24, *more)
    assert ended.code == 0, ended.err
    assert told in ended.out
    assert "network from scratch " in ended.out
    assert sorted(path.name for path in tmp_path.iterdir()) == [kind], "a plan writes nothing"


def test_a_plan_is_that_of_compress(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same stages at the same addresses."""
    started = []

    def started_with(recipe, *others):
        started.append({name: stage.digest for name, stage in recipe.all_stages.items()})
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketgan.runs.run.run_recipe", started_with)
    words = (write_folders(tmp_path / "pairs", 12, side=28), "--budget", "1G", "--size", 24, "--no-flip", *TOY)
    plan = json.loads(cli("plan", *words, "--json").out)
    assert cli("compress", *words, "--out", tmp_path / "run", "--yes").code == 2
    assert started == [{stage["stage"]: stage["digest"] for stage in plan["stages"]}]


def write_values(folder: Path, a: np.ndarray, b: np.ndarray) -> Path:
    """Twelve equal pairs of images of these values: .npy, or PNG of one channel."""
    for name, values in (("A", a), ("B", b)):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            if values.ndim == 2:
                Image.fromarray(values).save(folder / name / f"p{number}.png")
            else:
                np.save(folder / name / f"p{number}.npy", values)
    return folder


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "A: gray, values 0 to 1,023; B: 4 channels, values 0 to 255"),
        (("--range", "0:4095"), "A: gray, values 0 to 4,095; B: 4 channels, values 0 to 255"),
        (
            ("--range", "A=-100:900", "--range", "B=0:1"),
            "A: gray, values -100 to 900; B: 4 channels, values 0 to 1",
        ),
        (("--channels", "3:4"), "A: 3 channels (as colours), values 0 to 1,023; B: 4 channels, values 0 to 255"),
        (("--direction", "BtoA"), "A: gray, values 0 to 1,023; B: 4 channels, values 0 to 255"),
    ],
)
def test_a_plan_says_what_images_hold(cli: Cli, tmp_path: Path, words: tuple, told: str):
    values = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24)
    folder = write_values(tmp_path / "pairs", values, np.dstack([values.astype(np.uint8)] * 4))
    ended = cli("plan", folder, "--budget", "1G", "--size", 24, *words, *TOY)
    assert (ended.code, ended.err) == (0, "")
    assert f"images of {told}\n" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--range", "0-4095"), "--range '0-4095' cannot be read; write the lower and the higher value, as 0:4095"),
        (("--range", "C=0:9"), "--range 'C=0:9' cannot be read; write 0:4095, A=0:4095 or B=0:4095"),
        (("--range", "9:9"), "--range '9:9' cannot be read; write the lower and the higher value, as 0:4095"),
        (("--channels", "0"), "--channels '0' cannot be read; write 1, or 4:3 for those of A and of B"),
        (("--channels", "1:2:3"), "--channels '1:2:3' cannot be read; write 1, or 4:3 for those of A and of B"),
    ],
)
def test_what_images_cannot_hold(cli: Cli, tmp_path: Path, words: tuple, message: str):
    ended = cli("plan", write_folders(tmp_path / "pairs", 12, side=24), "--budget", "1G", "--size", 24, *words)
    assert (ended.code, ended.err) == (2, f"pocketgan: {message}\n")


@pytest.mark.parametrize(
    ("into", "out", "told"),
    [
        (Values(), Values(channels=1), "A: 3 channels (as colours), values 0 to 255; B: gray, values 0 to 255"),
        (Values(channels=1), Values(channels=1), "A: gray, values 0 to 255; B: gray, values 0 to 255"),
        (
            Values(channels=1, high=2000, dtype="uint16"),
            Values(channels=4),
            "A: gray, values 0 to 2,000; B: 4 channels, values 0 to 255",
        ),
    ],
)
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_a_teacher_says_what_images_hold(cli: Cli, tmp_path: Path, into: Values, out: Values, told: str, direction):
    """As it learnt, though the files themselves tell of gray and of 10 bits."""
    spec = ResnetSpec.uniform(4, blocks=1, in_channels=into.channels, out_channels=out.channels)
    card = {"direction": direction, "input": into.model_dump(), "output": out.model_dump()}
    save_model(tmp_path / "teacher", spec.build(), card)
    values = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24)
    source, target = (
        np.dstack([values.astype(np.uint8)] * 4) if own.channels == 4 else values.astype(own.dtype)
        for own in (into, out)
    )
    both = (source, target) if direction == "AtoB" else (target, source)
    words = ("--budget", "1G", "--size", 24, "--teacher", tmp_path / "teacher", "--direction", direction)
    ended = cli("plan", write_values(tmp_path / "pairs", *both), *words, *TOY_STUDENT)
    assert (ended.code, ended.err) == (0, "")
    if direction == "BtoA":
        told = "; ".join(f"{name}: {each[3:]}" for name, each in zip("AB", told.split("; ")[::-1], strict=True))
    assert f"images of {told}\n" in ended.out


@pytest.mark.parametrize("verb", ["plan", "run", "compress"])
def test_settings_without_use_are_refused(cli: Cli, tmp_path: Path, verb: str):
    what = ("demo",)
    if verb == "compress":
        what = (write_folders(tmp_path / "pairs", 12, side=28), "--budget", "1G", "--size", 24, *TOY)
    ended = cli(verb, *what, "--set", "feature_network.name=vgg16", "--out", tmp_path / "run")
    assert ended.code == 2
    assert (
        ended.err == "pocketgan: --set feature_network.name=vgg16 has no use here: the recipe is the same without "
        "it; leave it out\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere/pairs", "--budget", "1G"), "there is no folder nowhere/pairs"),
        (("PAIRS",), "a plan for the images of PAIRS needs a budget; add --budget, e.g. --budget 1.5G"),
        (("PAIRS", "--budget", "1G", "--data", "x"), "--data is for recipes of the catalog, and PAIRS is a folder"),
        (
            ("demo", "--load-size", "200"),
            "--load-size is for folders of images, and demo is a recipe; leave it out",
        ),
        (("demo", "--no-flip"), "--no-flip is for folders of images, and demo is a recipe; leave it out"),
        (("demo", "--method", "omgd"), "--method is for folders of images, and demo is a recipe; leave it out"),
        (("demo", "--range", "0:4095"), "--range is for folders of images, and demo is a recipe; leave it out"),
        (("dem",), "unknown recipe 'dem'; did you mean demo?"),
    ],
)
def test_plans_that_cannot_be(cli: Cli, tmp_path: Path, words: tuple, message: str):
    folder = str(write_folders(tmp_path / "pairs", 5))
    ended = cli("plan", *(word.replace("PAIRS", folder) for word in words))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert message.replace("PAIRS", folder) in ended.err


def test_whether_there_are_pairs_is_said_for_recipes_too(cli: Cli, tmp_path: Path):
    folder = write_folders(tmp_path / "pairs", 12, side=28)
    for verb in ("plan", "run"):
        ended = cli(verb, "demo", "--data", folder, "--size", 24, "--unpaired", "--out", tmp_path / "run")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "pix2pix learns from pairs of images, and" in ended.err


# -- asking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "terminal", "yes", "answer", "starts"),
    [
        (60, True, False, True, True),
        (60, True, False, False, False),
        (60, True, True, None, True),
        (60, False, False, None, True),
        (0.1, True, False, None, True),
    ],
)
def test_long_work_is_asked_for_on_a_terminal(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes, terminal, yes, answer, starts
):
    asked, started = [], []

    def confirm(text: str, **options: object) -> bool:
        asked.append(text)
        return answer

    def run_recipe(*others: object) -> None:
        started.append(True)
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.confirm", confirm)
    monkeypatch.setattr("pocketgan.cli.runs.at_terminal", lambda: terminal)
    monkeypatch.setattr("pocketgan.runs.run.run_recipe", run_recipe)
    monkeypatch.setattr(
        "pocketgan.runs.run.estimate_seconds",
        lambda recipe, store, runtime: (
            {"teacher": minutes * 60.0} | dict.fromkeys(recipe.all_stages.keys() - {"teacher"}, 0.0)
        ),
    )
    words = (
        write_folders(tmp_path / "pairs", 12, side=28),
        "--budget",
        "1G",
        "--size",
        24,
        "--out",
        tmp_path / "run",
    )
    ended = cli("compress", *words, *TOY, *(["--yes"] if yes else []))
    assert bool(started) == starts
    assert ended.code == (2 if starts else 0)
    assert asked == ([] if answer is None else ["this takes about 1 h 0 min; start it?"])
    assert starts or not (tmp_path / "run").exists()


# -- where results go --------------------------------------------------------------------------------------------


def test_folders_that_are_not_there_are_made_and_nothing_is_overwritten(cli: Cli, tmp_path: Path):
    save_model(tmp_path / "model", ResnetSpec.uniform(2, blocks=1).build(), {"size": 16})
    picture = write_picture(tmp_path / "a.png")
    for words, left in (
        (("translate", tmp_path / "model", picture, "-o", tmp_path / "new" / "pictures"), "new/pictures/a.png"),
        (
            ("export", tmp_path / "model", "--format", "official", "-o", tmp_path / "far" / "off" / "g.pth"),
            "far/off/g.pth",
        ),
        (("export", tmp_path / "model", "-o", tmp_path / "on" / "nx" / "g.onnx"), "on/nx/g.onnx"),
    ):
        assert cli(*words).code == 0
        before = (tmp_path / left).read_bytes()
        again = cli(*words)
        assert (again.code, again.err.count("\n")) == (2, 1)
        assert "choose another --out, or say --overwrite" in again.err
        assert (tmp_path / left).read_bytes() == before
        assert cli(*words, "--overwrite").code == 0


@pytest.mark.parametrize("path", ["models/nowhere:8", "nowhere/resnet:64", "./no.pth"])
def test_a_path_that_is_not_there_is_no_unknown_network(cli: Cli, tmp_path: Path, path: str):
    ended = cli("translate", path, write_picture(tmp_path / "a.png"), "-o", tmp_path / "made")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert f"{path} does not exist; give a model folder" in ended.err
