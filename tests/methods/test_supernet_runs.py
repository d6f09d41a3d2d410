"""Every model from its data to a report, at toy size: by one command, and stopped and resumed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from pocketgan.catalog.gan_compression import ROWS
from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.space import Choice
from pocketgan.errors import DataError
from pocketgan.methods import method_named
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.methods.gan_compression import GanCompression
from pocketgan.models import load_model
from pocketgan.networks import UnetSpec
from pocketgan.pipeline.owner import claim
from pocketgan.pipeline.recipe import Recipe, owner
from pocketgan.pipeline.store import Store
from pocketgan.recipes.availability import Choices, choices_of, with_available
from pocketgan.recipes.games import GAMES, LABELS, PAIRS, UNPAIRED, data_of, game_for
from pocketgan.recipes.method import Wish
from pocketgan.recipes.supernet import SupernetSettings
from pocketgan.runtime import Runtime
from pocketgan.search import Evolution
from pocketgan.training.schedule import Schedule
from tests.conftest import Outcome, draw_pairs

Cli = Callable[..., Outcome]
SIZE = 64
SHORT = Schedule(constant=1, decay=1, batch_size=2)


def draw_labels(folder: Path, count: int = 12) -> Path:
    """Label maps of two kinds of squares on a ground, their instances, and an image in their colours."""
    rng = np.random.default_rng(0)
    for part in ("label", "inst", "image"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        labels, instances = np.zeros((2, SIZE, SIZE), np.uint8)
        for k in range(3):
            top, left = rng.integers(0, SIZE - 20, 2)
            labels[top : top + 20, left : left + 20] = 1 + k % 2
            instances[top : top + 20, left : left + 20] = 1 + k
        colours = np.stack([labels * 80, instances * 60, 255 - labels * 50], -1).astype(np.uint8)
        for part, image in (("label", labels), ("inst", instances), ("image", colours)):
            Image.fromarray(image).save(folder / part / f"p{number:02}.png")
    return folder


def draw_unpaired(folder: Path, count: int = 18, size: int = SIZE) -> Path:
    """The pairs of `draw_pairs`, but the second domain has names of its own and two images fewer."""
    draw_pairs(folder, count=count, size=size)
    for number, path in enumerate(sorted((folder / "B").iterdir())):
        if number < 2:
            path.unlink()
        else:
            path.rename(path.with_name(f"q{number:02}.png"))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("families")
    unpaired = draw_unpaired(home / "unpaired")
    pairs = draw_pairs(home / "pairs", size=SIZE)
    return {
        "pix2pix": pairs,
        "unet": pairs,
        "cyclegan": unpaired,
        "munit": unpaired,
        "gaugan": draw_labels(home / "labels"),
    }


#: what makes a recipe of seconds of each model, and of the method that chooses more than widths
TOYS: dict[str, str] = {
    "once-for-all": "--method once-for-all --set discriminator.width=4 --set space=4_2,depth=9_6,kernel=5_3",
    "unet": "--method fast-gan-compression --set teacher=unet:4_4_4_4_4 --set discriminator.width=4",
    "cyclegan": "--set teacher=resnet:4 --set discriminator.width=4",
    "munit": "--model munit --set teacher=munit:4 --set discriminator.width=4",
    "gaugan": "--set teacher=spade:4@4 --set discriminator.width=4",
}
BRIEF = (
    "--budget 1G --size 64 --set teaching.constant=1 --set teaching.decay=0 --set supernet.constant=1 "
    "--set supernet.decay=0 --set space=4_2 --set search.population=2 --set search.generations=0 "
    "--set calibration=4 --set precision=fp32 --set tuning=null"
)


@pytest.mark.parametrize("model", TOYS)
def test_from_data_to_a_report_by_one_command(cli: Cli, data: dict[str, Path], tmp_path: Path, model: str):
    out = tmp_path / "run"
    folder = data["pix2pix" if model == "once-for-all" else model]
    ended = cli("compress", folder, "--out", out, *BRIEF.split(), *TOYS[model].split())
    assert ended.code == 0, ended.err
    report = json.loads((out / "report.json").read_text())
    teacher, small, scratch = report["rows"]
    assert small["macs"] < teacher["macs"]
    assert (scratch["kind"], scratch["macs"]) == ("scratch", small["macs"])
    assert report["budget_macs"] >= small["macs"]
    paired = model in ("unet", "once-for-all", "gaugan")
    assert ("l1" in small["scores"], "teacher_l1" in small["scores"]) == (paired, True)
    page = (out / "report.html").read_text()
    assert ("ground truth" in page) == paired
    assert ("look through mobilenet_v2" in page) == (model == "gaugan")
    more = ", depth, kernels" if model == "once-for-all" else ""
    assert f"Chosen on the selection split: widths{more}." in page
    found = load_model(out / "model")
    assert found.card["size"] == [SIZE, SIZE]
    session = onnxruntime.InferenceSession(out / "export" / "compressed.onnx", providers=["CPUExecutionProvider"])
    inputs = {"image": np.zeros((1, found.spec.in_channels, SIZE, SIZE), np.float32)}
    if model == "munit":
        inputs["style"] = np.ones((1, found.spec.style_channels, 1, 1), np.float32)
    assert [each.name for each in session.get_inputs()] == list(inputs)
    assert session.run(None, inputs)[0].shape == (1, 3, SIZE, SIZE)


def recipe_of(model: str, folder: Path) -> Recipe:
    """A recipe of a few steps a stage, with everything in it that a model may have."""
    task = open_task(folder, size=SIZE)
    fields: dict[str, Any] = dict(
        teaching=SHORT,
        space="4_2",
        supernet=SHORT,
        tuning=SHORT if model == "gaugan" else None,
        search=Evolution(population=2, generations=0),
        calibration=4,
    )
    if model == "pix2pix":
        parts = GAMES["pix2pix"].parts(6, 4, mobile=True)
        settings: SupernetSettings = GanCompression(**parts.fields, **fields, predistillation=SHORT)
    else:
        parts = GAMES["pix2pix" if model == "unet" else model].parts(4, 4, in_channels=task.in_channels)
        if model == "unet":
            parts = parts._replace(teacher=UnetSpec.uniform(4, levels=5))
        settings = FastGanCompression(**parts.fields, **fields)
    return settings.recipe("toy", task, Budget(macs=10**9))


class Stopped(Exception):
    """Where the process would have been killed."""


def trained(recipe: Recipe, folder: Path, stop_at: tuple[str, ...] = (), step: int = 2) -> dict[str, bytes]:
    """Every file that the stages up to the result leave. At the named stages that step is the last one of its
    session: what it saved is all that is left to go on with."""
    store, runtime = Store(folder), Runtime(device="cpu", checkpoint_seconds=0)
    stages = {name: stage for name, stage in recipe.all_stages.items() if "export" not in name}
    for name, stage in stages.items():

        def watch(own: object, done: int, total: int, name: str = name) -> None:
            # the state of the step before was just saved
            if name in stop_at and done == step + 1:
                raise Stopped

        if name in stop_at:
            with pytest.raises(Stopped):
                store.realise(stage, runtime, watch)
            assert store.status(stage) == "partial"
            (store.home(stage) / "samples" / ".epoch-0001-1.png").write_bytes(b"torn in the midst of writing")
        store.realise(stage, runtime)
    assert list(folder.glob("*/samples/.*")) == []
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for stage in stages.values()
        for path in store.artifact(stage).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("model", ["pix2pix", "cyclegan", "munit", "gaugan"])
def test_stopped_and_resumed_equals_uninterrupted(data: dict[str, Path], tmp_path: Path, model: str):
    recipe = recipe_of(model, data[model])
    whole = trained(recipe, tmp_path / "whole")
    stops = ("teacher", *(("pre-distillation",) if "pre-distillation" in recipe.stages else ()), "supernet")
    broken = trained(recipe, tmp_path / "broken", stops)
    assert broken.keys() == whole.keys()
    assert [name for name in whole if broken[name] != whole[name]] == []
    folders = {name.split("/")[2] for name in whole if name.startswith("train-")}
    both_ways = {"backward", "backward_discriminator"} if model in ("cyclegan", "munit") else set()
    assert folders == {"model", "discriminator"} | both_ways


# -- which model for which data ------------------------------------------------------------------------------------


def test_the_model_follows_from_the_data(data: dict[str, Path]):
    tasks: dict[str, Task] = {name: open_task(folder, size=SIZE) for name, folder in data.items()}
    assert {name: game_for(task).name for name, task in tasks.items()} == {
        "pix2pix": "pix2pix",
        "unet": "pix2pix",
        "cyclegan": "cyclegan",
        "munit": "cyclegan",
        "gaugan": "gaugan",
    }
    assert [data_of(tasks[name]) for name in ("pix2pix", "cyclegan", "gaugan")] == [PAIRS, UNPAIRED, LABELS]
    assert tasks["gaugan"].in_channels == 3 + 1


@pytest.mark.parametrize(
    ("model", "folder", "message"),
    [
        (
            "pix2pix",
            "cyclegan",
            "pix2pix learns from pairs of images, and {} holds two sets of images without pairs",
        ),
        (
            "cyclegan",
            "pix2pix",
            "cyclegan learns from two sets of images without pairs, and {} holds pairs of images",
        ),
        ("gaugan", "pix2pix", "gaugan learns from label maps with their images, and {} holds pairs of images"),
        ("munit", "gaugan", "munit learns from two sets of images without pairs, and {} holds label maps with"),
    ],
)
def test_a_model_for_other_data(cli: Cli, data: dict[str, Path], model: str, folder: str, message: str):
    ended = cli("compress", data[folder], "--model", model, "--budget", "1G", "--size", SIZE)
    assert ended.code == 2
    assert ended.err.startswith(f"pocketgan: {message.format(data[folder])}")
    assert ended.err.count("\n") == 1
    assert ("--unpaired to ignore the pairs" in ended.err) == (model == "cyclegan")


@pytest.mark.parametrize("effort", ["quick", "paper"])
@pytest.mark.parametrize("method", ["fast-gan-compression", "gan-compression", "once-for-all"])
@pytest.mark.parametrize("model", ["pix2pix", "cyclegan", "munit", "gaugan"])
def test_every_effort_makes_a_recipe(data: dict[str, Path], model: Any, method: Any, effort: Any):
    task = open_task(data[model], size=SIZE)
    chosen = method_named(method)
    settings = chosen(Wish(effort=effort, task=task, game=GAMES[model]))
    made = settings.recipe("toy", task, Budget(macs=10**12))
    assert made.method == chosen.name == method
    largest, teacher = made["supernet"].space.spec, made.teacher.generator
    assert largest == (teacher.folded if method == "once-for-all" else teacher.mobile.resized(largest.widths))
    kinds = [choice.kind for choice in made["supernet"].space.choices if not isinstance(choice, Choice)]
    further = {"pix2pix": ["depth", "kernel"], "cyclegan": ["depth", "kernel"], "munit": ["depth"], "gaugan": []}
    assert kinds == (further[model] if method == "once-for-all" else [])
    assert ("sorting" in made.stages) == (method == "once-for-all")
    images = task.epoch() * settings.teaching.epochs
    assert images >= {"quick": 6_000, "paper": 800_000}[effort]
    assert ("fine-tuning" in made.stages) == (model in ("pix2pix", "gaugan")), (
        "the authors saw it harm without pairs"
    )
    quick = (model, method, effort) == ("pix2pix", "fast-gan-compression", "quick")
    assert (settings.distillation.lr == 1e-3) == quick, "the published rate, but for minutes of pairs"
    if method == "gan-compression":
        assert made["pre-distillation"].init == made.teacher
    if effort == "paper":
        assert len(json.dumps(owner(made).content)) < 40_000, "stages refer to each other, however long the chain"


def test_too_few_images_of_one_domain(cli: Cli, tmp_path: Path):
    """Said before anything is trained."""
    ended = cli("compress", draw_unpaired(tmp_path / "few", count=12), "--budget", "1G", "--size", SIZE)
    assert ended.code == 2
    assert "has 1 image of B to select on, and scores need at least 2; add images (" in ended.err


def test_pairs_may_be_ignored(data: dict[str, Path]):
    task = open_task(data["pix2pix"], size=SIZE, unpaired=True)
    assert (task.paired, game_for(task).name) == (False, "cyclegan")
    fields = dict(teaching=SHORT, supernet=SHORT, space="4_2", search=Evolution(population=2))
    with pytest.raises(DataError, match="pix2pix learns from pairs"):
        FastGanCompression(**GAMES["pix2pix"].parts(4, 4).fields, **fields).recipe("toy", task, Budget(macs=10**9))


# -- networks that others trained ----------------------------------------------------------------------------------


GAUGAN, SHOES = (
    next(row for row in ROWS if row.name == name).settings() for name in ("gaugan-cityscapes", "edges2shoes-r")
)


def available(settings: Any, weights: dict[str, Path] | None = None, **fields: Any) -> Any:
    return with_available(settings, weights or {}, **{"asked": set(), "written": Choices(), **fields})


def test_what_cannot_be_had_is_replaced_by_the_bundled_network_and_said():
    """The user's file, the cache, a download; else MobileNetV2 under its own name. Never against a wish."""
    assert (GAUGAN.feature_network.name, SHOES.metric) == ("vgg19", "fid_legacy")
    seen, notes = available(GAUGAN)
    assert seen.feature_network.name == "mobilenet_v2"
    start = "perceptual terms look through the bundled mobilenet_v2, because vgg19 needs its trained"
    assert [note[: len(start)] for note in notes] == [start]
    scored, notes = available(SHOES)
    assert scored.metric == "fd_mobilenet_v2"
    start = "the search scores by fd_mobilenet_v2 instead of fid_legacy, because inception needs its"
    assert [note[: len(start)] for note in notes] == [start]
    with pytest.raises(DataError, match="vgg19 needs its trained weights"):
        available(GAUGAN, asked={"feature_network"})
    assert available(SHOES, asked={"metric"}) == (SHOES, []), "the run itself says what is missing"


def test_a_run_keeps_the_networks_that_it_began_with(tmp_path: Path):
    """On whatever machine it goes on: what is written in its folder is not looked for again."""
    made = recipe_of("gaugan", draw_labels(tmp_path / "labels"))
    with claim(tmp_path / "run", owner(made)):
        pass
    written = choices_of(tmp_path / "run")
    assert written == Choices("mobilenet_v2", "fd_mobilenet_v2")
    seen, notes = available(GAUGAN.model_copy(update={"metric": "fid_legacy"}), written=written)
    assert (seen.feature_network.name, seen.metric, notes) == ("mobilenet_v2", "fd_mobilenet_v2", [])
    with pytest.raises(DataError, match="vgg19 needs its trained weights"):
        available(GAUGAN, written=Choices("vgg19", None))
    assert choices_of(tmp_path) == Choices()


def test_a_file_that_is_no_weights_is_not_replaced(tmp_path: Path):
    (tmp_path / "vgg.pth").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"vgg\.pth is no checkpoint"):
        available(GAUGAN, {"vgg19": tmp_path / "vgg.pth"})
