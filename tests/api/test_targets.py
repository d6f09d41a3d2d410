"""A finished teacher and images alone: its own pictures are the targets, made once."""

import json
import random
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pocketgan as pg
from pocketgan.data.batches import Batch
from pocketgan.data.layouts import MADE
from pocketgan.data.raster import read_raster
from pocketgan.deploy import translate
from pocketgan.elastic.cost import cost
from pocketgan.errors import DataError, SpecError
from pocketgan.models import Model, load_model, save_model
from pocketgan.networks import ResnetSpec
from pocketgan.runs.targets import open_sources, teacher_pairs
from tests.bad_input.conftest import refused
from tests.conftest import TOY_STUDENT

STUDENT = dict(word.split("=", 1) for word in TOY_STUDENT if "=" in word and not word.startswith("space"))
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.into, self.out = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        return torch.tanh(self.out(torch.relu(self.into(x))))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory, pairs):
    """net.py, net.pth (its weights) and images/, which have no targets."""
    home = tmp_path_factory.mktemp("targets")
    (home / "net.py").write_text(NET)
    scope: dict[str, type[nn.Module]] = {}
    exec(NET, scope)
    torch.manual_seed(3)
    torch.save(scope["Net"]().state_dict(), home / "net.pth")
    copytree(pairs / "A", home / "images")
    return home


def net_of(home):
    scope: dict[str, type[nn.Module]] = {}
    exec(NET, scope)
    net = scope["Net"]()
    net.load_state_dict(torch.load(home / "net.pth", weights_only=True))
    return net.eval()


def words(home, out, *more):
    own = ["--generator", home / "net.py:Net", "--teacher-weights", home / "net.pth", "--targets", "teacher"]
    settings = [word for name, value in STUDENT.items() for word in ("--set", f"{name}={value}")]
    return ["compress", home / "images", *own, "--budget", "300K", "--size", 24, "--out", out, *settings, *more]


@pytest.fixture(scope="module")
def seen():
    """What was told of progress."""
    return []


@pytest.fixture(scope="module")
def run(home, seen):
    return pg.compress(
        net_of(home),
        home / "images",
        teacher_weights=home / "net.pth",
        targets="teacher",
        budget="300K",
        size=24,
        settings=STUDENT,
        progress=lambda *told: seen.append(told),
        out=home / "run",
    )


@pytest.fixture
def no_estimate(monkeypatch):
    """Nothing is measured beforehand."""
    nothing = lambda recipe, store, runtime: dict.fromkeys(recipe.all_stages, 0.0)  # noqa: E731
    monkeypatch.setattr("pocketgan.runs.run.estimate_seconds", nothing)


def made_in(out):
    (made,) = (out / "stages" / "cache").glob(f"pairs-*/{MADE}")
    return made.parent


def test_its_pictures_are_the_targets(home, run, seen):
    folder, net = made_in(run.folder), net_of(home)
    assert ("pictures of the teacher", 12, 12) in seen
    assert {name for name, _, total in seen if total} >= {"supernet", "search"}
    (teacher,) = run.folder.glob("stages/teacher-file-*/artifact/model")
    x = torch.rand(2, 3, 24, 24)
    torch.testing.assert_close(load_model(teacher).network(x), net(x))
    names = sorted(path.name for path in (home / "images").iterdir())
    assert sorted(path.name for path in (folder / "A").iterdir()) == names
    assert sorted(path.name for path in (folder / "B").iterdir()) == names
    for name in names[:3]:
        whole = Image.open(home / "images" / name).resize((27, 27), Image.Resampling.BICUBIC)
        seen = Image.open(folder / "A" / name)
        assert np.array_equal(np.asarray(seen), np.asarray(whole)), "as training sees it"
        x = torch.from_numpy(np.array(seen)).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            due = ((net(x) + 1) * 127.5).round()[0].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(np.asarray(Image.open(folder / "B" / name)), due)
    rows = {row.name: row for row in run.report.rows}
    assert rows["teacher"].params == sum(p.numel() for p in net.parameters()) > rows["compressed"].params
    assert rows["teacher"].scores["l1"] < 0.1, "it is compared with its own pictures"
    assert run.report.recipe.startswith("images")
    told = "data: pairs: the targets are the teacher's own pictures of 12 images, made at 27 pixels"
    assert told in run.report.notes
    assert "own pictures of 12 images" in (run.folder / "report.html").read_text()


def test_the_command_line_leaves_the_same_and_goes_on(home, run, cli):
    before = {path: path.stat().st_mtime_ns for path in made_in(run.folder).rglob("*")}
    again = cli(*words(home, run.folder))
    assert again.code == 0, again.err
    assert {path: path.stat().st_mtime_ns for path in made_in(run.folder).rglob("*")} == before


@pytest.mark.usefixtures("no_estimate")
def test_stopped_while_they_are_made(home, run, cli, monkeypatch):
    out, save = home / "stopped", translate.save_raster

    def stopped(raster, path):
        if path.name == "p05.png":
            raise KeyboardInterrupt
        save(raster, path)

    monkeypatch.setattr(translate, "save_raster", stopped)
    assert cli(*words(home, out)).code != 0
    monkeypatch.setattr(translate, "save_raster", save)
    (begun,) = (out / "stages" / "cache").glob("pairs-*/B")
    first = {path.name: path.stat().st_mtime_ns for path in begun.iterdir()}
    assert len(first) == 5
    planned = cli("plan", *words(home, out)[1:], "--json")
    assert planned.code == 0, planned.err
    whole = json.loads((run.folder / "recipe.json").read_text())
    assert json.loads(planned.out)["digest"] == whole["digest"], "the same recipe as without interruption"
    assert {name: (begun / name).stat().st_mtime_ns for name in first} == first, "what was there stayed"


def test_deep_images_keep_their_values(tmp_path):
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.integers(0, 4000, (30, 28)).astype(np.uint16)
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    torch.manual_seed(0)
    network = ResnetSpec.uniform(2, blocks=1, in_channels=1, out_channels=1).build().eval()
    sources = open_sources(tmp_path / "images", (24, 24), 1, None)
    folder, (a, b) = teacher_pairs(
        sources,
        Model(network, network.spec, {}),
        "content",
        tmp_path / "cache",
        direction="BtoA",
        load_size=None,
        range_=None,
        device=torch.device("cpu"),
        progress=lambda done, total: None,
    )
    assert (b.low, b.high, a.high) == (0, 4095, 65535)
    for path in (tmp_path / "images").iterdir():
        own, kept = (read_raster(p.read_bytes(), p, 1) for p in (path, folder / "B" / path.name))
        assert np.array_equal(own, kept), "as it was, in the folder of the sources"
        padded = np.pad(own / 2047.5 - 1, ((0, 2), (0, 0), (0, 0)), mode="reflect")
        x = torch.from_numpy(padded.transpose(2, 0, 1)[None].astype(np.float32))
        with torch.no_grad():
            due = ((network(x)[0, :, :30] + 1) * 32767.5).permute(1, 2, 0).numpy()
        made = read_raster((folder / "A" / path.name).read_bytes(), path, 1)
        assert np.abs(made - due).max() < 4, "steps of 65,535, of images in steps of 65,535"


@pytest.mark.usefixtures("no_estimate")
def test_a_teacher_of_a_family_here(home, tmp_path, cli):
    save_model(tmp_path / "teacher", ResnetSpec.uniform(4, blocks=1).build(), {"size": 24, "direction": "AtoB"})
    own = ["--teacher", tmp_path / "teacher", "--targets", "teacher", "--budget", "1G", "--size", 24]
    planned = cli("plan", home / "images", *own, "--out", tmp_path / "run")
    assert planned.code == 0, planned.err
    assert "the teacher's own pictures of 12 images" in " ".join(planned.out.split())
    assert len(list((made_in(tmp_path / "run") / "B").iterdir())) == 12


def test_a_separable_student_of_a_plain_teacher(home, tmp_path, monkeypatch):
    """Which learns from the features that both have."""

    class Taken(Exception):
        pass

    def take(recipe, *_):
        raise Taken(recipe)

    monkeypatch.setattr("pocketgan.api.run.run_recipe", take)
    with pytest.raises(Taken) as taken:
        pg.compress(
            net_of(home),
            home / "images",
            teacher_weights=home / "net.pth",
            targets="teacher",
            budget="60K",
            size=24,
            settings={**STUDENT, "separable": "all"},
            quiet=True,
            out=tmp_path / "run",
        )
    supernet = taken.value.args[0].stages["supernet"]
    teacher, student = supernet.teacher.spec(), supernet.spec()
    assert "into.weight" in teacher.build().state_dict()
    assert "into.depthwise.weight" in student.build().state_dict()
    assert cost(student, 24)["true_macs"] == ((3 * 9 + 3 * 16) + (16 * 9 + 16 * 3)) * 24 * 24
    assert student.taps == teacher.taps != ()
    x, y = torch.rand(2, 1, 3, 24, 24)
    losses = supernet.untrained().step(Batch(x, y, ["a"]), random.Random(0))
    assert losses["G_distil"] > 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--targets", "teacher"], "--targets teacher needs a finished one"),
        (["--targets", "mine"], "--targets mine is not known"),
        (["--teacher-weights", "net.pth"], "--teacher-weights are those of a generator of your own"),
        (["--teacher", "teacher", "--targets", "teacher", "--unpaired"], "leave out --unpaired"),
        (["--teacher", "teacher", "--targets", "teacher", "--size", "64"], "is 24x24, smaller than the size 64"),
        (["--teacher", "teacher", "--targets", "teacher", "--direction", "BtoA"], "made for the direction AtoB"),
        (["--teacher", "nan", "--targets", "teacher"], "that are not finite; take other weights"),
        (
            ["--teacher", "teacher", "--targets", "teacher", "--model", "cyclegan"],
            "which are for pix2pix, not for cyclegan",
        ),
    ],
)
def test_what_cannot_be_done(home, tmp_path, cli, more, message, monkeypatch):
    copytree(home / "images", tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    network = ResnetSpec.uniform(4, blocks=1).build()
    save_model(tmp_path / "teacher", network, {"direction": "AtoB"})
    next(network.parameters()).data.fill_(torch.nan)
    save_model(tmp_path / "nan", network, {})
    sides = [] if "--size" in more else ["--size", 24]
    refused(cli("compress", "images", "--budget", "1G", "--out", "out", *sides, *more), message)
    assert not (tmp_path / "out").exists()
    with pytest.raises(SpecError, match="needs a finished one"):
        pg.compress("images", targets="teacher", budget="1G")


def test_no_images_and_no_place(home, tmp_path, cli):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    own = [*words(home, out)[2:]]
    refused(cli("compress", tmp_path / "empty", *own), "holds no images", "--targets teacher takes images alone")
    wrong = {"x": torch.zeros(1)}
    with pytest.raises(DataError, match=r"the weights are not those of this Net: .*state dict of the same class"):
        pg.compress(net_of(home), home / "images", teacher_weights=wrong, targets="teacher", budget="1G", size=24)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    refused(cli(*words(home, taken)), "is not empty and no run of PocketGAN")
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]
