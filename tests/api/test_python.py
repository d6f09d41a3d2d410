"""The Python API: what the command line does, from a script or a notebook."""

import doctest
import inspect
import json

import numpy as np
import pytest
import torch
from torch import nn

import pocketgan as pg
from pocketgan.api import run, verbs
from pocketgan.elastic.budget import Budget
from pocketgan.errors import BudgetError, DataError, OutputError, PocketGANError, SpecError
from pocketgan.models import load_model
from pocketgan.tracing.elastic import Elastic, elastic
from pocketgan.units import both_sides
from tests.conftest import TOY_STUDENT


class Net(nn.Module):
    """A generator of somebody else."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.middle = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.out = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.into(x))
        return torch.tanh(self.out(x + torch.relu(self.middle(x))))


STUDENT = dict(word.split("=", 1) for word in TOY_STUDENT if "=" in word and not word.startswith("space"))
TOY = {**STUDENT, "guard": 0, "teaching.constant": 1, "teaching.decay": 0}


@pytest.fixture(scope="module")
def own(tmp_path_factory, pairs):
    """The run of a user's generator."""
    return pg.compress(
        Net, pairs, budget="10M", size=24, settings=TOY, quiet=True, out=tmp_path_factory.mktemp("api") / "run"
    )


def test_a_generator_of_ones_own(own, pairs, tmp_path):
    assert [row.name for row in own.report.rows] == ["teacher", "compressed"]
    x = torch.rand(1, 3, 24, 24) * 2 - 1
    assert own.model(x).shape == x.shape
    macs = [subnet.macs for subnet in own.front()]
    assert macs == sorted(macs)
    assert pg.profile(own.folder, 24)["macs"] == own.report.first("compressed").macs
    picked = own.pick("10M", out=tmp_path / "picked")
    assert torch.equal(picked.model(x), load_model(tmp_path / "picked" / "model").network(x))
    assert {row.name: row for row in picked.report.rows}["pick"].macs <= 10**7
    written = own.export(tmp_path / "small.onnx")
    assert written.psnr > 60
    assert not written.noise, "it was verified on images of the run"
    again = pg.compress(Net, pairs, budget="10M", size=24, settings=TOY, quiet=True, out=own.folder)
    assert again.report.rows[1].scores == own.report.rows[1].scores, "finished stages are taken as they are"
    assert pg.Run(own.folder).report.rows == again.report.rows


def test_cyclegan_with_a_generator_of_ones_own(pairs, tmp_path):
    done = pg.compress(
        Net, pairs, budget="10M", size=24, settings=TOY, quiet=True, unpaired=True, out=tmp_path / "run"
    )
    assert [row.name for row in done.report.rows] == ["teacher", "compressed"]
    assert json.loads((done.folder / "recipe.json").read_text())["recipe"]["task"]["layout"] == "unaligned"


def test_one_network(tmp_path, pairs):
    network = pg.load("mobile-resnet:4")
    made = pg.translate(network, pairs / "A", tmp_path / "pictures")
    assert made.pictures == len(list((tmp_path / "pictures").iterdir())) == 12
    few = pg.evaluate([network, "mobile-resnet:4"], pairs, size=24, metrics=["l1", "psnr"], split="all")
    assert few.members[0] == few.members[1], "the same network twice"
    assert set(few.scores) == {"l1", "psnr"}
    assert pg.export(network, tmp_path / "small.onnx", size=32).noise
    with pytest.raises(PocketGANError, match="is there already"):
        pg.export(network, tmp_path / "small.onnx", size=32)


def test_the_cost_of_any_module():
    """16 * 3 * 9 + 16 * 16 * 9 + 3 * 16 * 9 multiply-accumulates a pixel."""
    figures = pg.profile(Net(), 32)
    assert figures["true_macs"] == (48 + 256 + 48) * 9 * 32 * 32
    assert figures["params"] == sum(parameter.numel() for parameter in Net().parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(generator="here", data="there"), "here is no nn.Module"),
        (dict(generator=lambda: 3, data="there"), "<lambda> gives a int, not an nn.Module"),
        (dict(generator=Net()), "a generator needs images to learn from"),
        (dict(generator="here", teacher_weights={}), "teacher_weights are those of a generator"),
        (dict(generator=Net(), data="/nowhere"), "/nowhere"),
        (dict(generator=Net(), data="there", teacher_weights={}, teacher="here"), "both name a finished teacher"),
    ],
)
def test_what_cannot_be_done(arguments, message):
    with pytest.raises((SpecError, DataError), match=message):
        pg.compress(budget="1G", **arguments)


def test_public_names_are_documented():
    for name in pg.__all__:
        thing = getattr(pg, name)
        assert name == "__version__" or inspect.getdoc(thing), name
    for module in (run, verbs):
        tested = doctest.testmod(module)
        assert tested.failed == 0
    assert doctest.testmod(verbs).attempted >= 4


def test_settings_are_as_on_the_command_line(own):
    recipe = json.loads((own.folder / "recipe.json").read_text())
    assert recipe["recipe"]["budget"]["macs"] == 10**7


class Gray(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(effort="fast"), "unknown effort 'fast'"),
        (dict(direction="A2B"), "unknown direction 'A2B'; did you mean AtoB"),
        (dict(channels=3), "channels are those of A and of B"),
        (dict(settings=["a=1"]), "settings is a mapping"),
        (dict(settings={"seed": object()}), "a setting is a number"),
        (dict(ranges={"C": (0, 1)}), "unknown name in ranges 'C'"),
        (dict(teacher_weights=[1]), "teacher_weights are a state dict, or its file, not a list"),
        (dict(data=3), "data is a path, not of type int"),
        (dict(out=3), "out is a path, not of type int"),
        (dict(weights={"incep": __file__}), "unknown network 'incep'; did you mean inception"),
        (dict(weights={"inception": "gone.pt"}), "gone.pt, given as the weights of inception, is no file"),
    ],
)
def test_arguments_of_a_wrong_kind(wrong, message):
    """Such as a type checker would find, and a notebook has none."""
    undecorated = inspect.unwrap(pg.compress)
    with pytest.raises((SpecError, BudgetError, DataError), match=message):
        undecorated(Net(), **{"data": "there", "budget": "1G", **wrong})


def test_refused_before_anything_is_made(pairs, tmp_path, monkeypatch):
    """A file as --out, and parameters of 16 bits, which channels have nothing to do with."""
    monkeypatch.setattr(run, "estimate_seconds", None)
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputError, match="taken cannot be written: a file stands where a folder should be"):
        pg.compress(Net, pairs, budget="10M", size=24, settings=TOY, quiet=True, out=tmp_path / "taken")
    for dtype in (torch.float16, torch.bfloat16):
        message = rf"Net has parameters of {dtype} \(into.weight\), .*; give module.float\(\)"
        with pytest.raises(SpecError, match=message):
            pg.compress(Net().to(dtype), pairs, budget="10M", size=24, quiet=True, out=tmp_path / "out")
        with pytest.raises(SpecError, match=message):
            pg.elastic(Net().to(dtype), torch.rand(1, 3, 16, 16))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.fixture(scope="module")
def supernet():
    return pg.elastic(Net(), torch.rand(1, 3, 16, 16))


def plain(function):
    """Without the checks of types that the tests add."""
    return inspect.unwrap(function)


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (pg.translate, (Net(), None, "out"), "an image to translate is a path, not of type NoneType"),
        (pg.translate, (Net(), np.zeros((2, 8, 8)), "out"), "an image to translate is a path, not of type ndarray"),
        (pg.translate, (Net(), "a.png", None), "out is a path, not of type NoneType"),
        (verbs.scored, ([], "there"), "there is no model to evaluate"),
        (verbs.scored, (Net(), 3), "data is a path, not of type int"),
    ],
)
def test_verbs_given_a_wrong_kind(function, given, message):
    with pytest.raises(SpecError, match=message):
        plain(function)(*given)


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (Elastic.sample, ("a",), "a seed is a whole number, not 'a'"),
        (Elastic.cost, ((8, 8), 24.5), "size 24.5 is no size in pixels"),
        (Elastic.cost, ((8, 8), 24, "a"), r"size \(24, 'a'\) is no size in pixels"),
        (Elastic.forward, (np.zeros((1, 3, 16, 16)),), "images are a tensor .* not a ndarray"),
        (Elastic.forward, (torch.rand(1, 4, 16, 16),), r"\(batch, 3, .*, not of shape \(1, 4, 16, 16\)"),
        (Elastic.forward, (torch.rand(1, 3, 16, 16).half(),), "of torch.float32, not .* and torch.float16"),
        (Elastic.forward, (torch.zeros(1, 3, 16, 16).int(),), "of torch.float32, not .* and torch.int32"),
    ],
)
def test_supernets_given_a_wrong_kind(method, given, message, supernet, monkeypatch):
    monkeypatch.setattr("pocketgan.tracing.elastic.both_sides", plain(both_sides))
    with pytest.raises(SpecError, match=message):
        plain(method)(supernet, *given)


def test_supernets_under_autocast(supernet):
    with torch.autocast("cpu", torch.bfloat16):
        assert supernet(torch.rand(1, 3, 16, 16).bfloat16()).dtype == torch.bfloat16


def test_numbers_of_any_kind(tmp_path):
    sides, parse = inspect.unwrap(both_sides), inspect.unwrap(Budget.parse.__func__)
    assert sides(np.int64(64)) == (64, 64)
    for wrong in ("64", (64, 64, 3), 0, 64.5):
        with pytest.raises(SpecError, match="is no size in pixels"):
            sides(wrong)
    assert parse(Budget, 1.5e9) == parse(Budget, 1_500_000_000) == parse(Budget, "1.5G")
    with pytest.raises(BudgetError, match="budget None is no budget"):
        parse(Budget, None)
    assert pg.profile(Gray(), 16)["params"] == 80 + 219, "of one channel: three would not run"
    with pytest.raises(SpecError, match="example_input is a tensor of images"):
        inspect.unwrap(elastic)(Net(), {"x": torch.rand(1, 3, 16, 16)})
    with pytest.raises(SpecError, match="no images to translate"):
        pg.translate(Net(), [], tmp_path / "out")


IN_PLACE = {
    "discriminator.width": 2,
    "schedule.constant": 1,
    "schedule.decay": 0,
    "tuning": None,
    "search.population": 2,
    "search.generations": 0,
    "timed": None,
    "guard": 0,
}


def test_a_generator_of_ones_own_without_a_teacher(own, pairs, tmp_path):
    """Its supernet fills the budget: it is the generator, narrower."""
    bound = own.report.first("teacher").macs // 3
    done = pg.compress(
        Net,
        pairs,
        budget=str(bound),
        method="in-place",
        size=24,
        settings=IN_PLACE,
        quiet=True,
        out=tmp_path / "run",
    )
    supernet, small = (done.report.first(kind) for kind in ("teacher", "compressed"))
    assert small.macs <= supernet.macs <= bound
    assert supernet.macs > 0.7 * bound, "16 channels leave steps of a sixteenth"
    assert pg.load(done.folder).spec.kind == "traced"
    with pytest.raises(BudgetError, match=r"is below your generator at its narrowest .*; raise it"):
        pg.compress(Net, pairs, budget="1", method="in-place", size=24, quiet=True, out=tmp_path / "none")
    with pytest.raises(SpecError, match="and this is omgd; choose another --method"):
        pg.compress(Net, pairs, budget="1M", method="omgd", size=24, quiet=True, out=tmp_path / "none")
