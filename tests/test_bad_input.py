"""Every mistake of a user ends in one line (rule, value, remedy) and exit code 2, with nothing written."""

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pocketgan.models import save_model
from pocketgan.networks import PatchSpec, ResnetSpec, SpadeSpec, init_normal
from tests.data.pictures import numbers, write_labels, write_map, write_picture, write_sets

from .conftest import TOY, Outcome, call_main, draw_pairs

Cli = Callable[..., Outcome]


def refused(outcome: Outcome, *parts: str, code: int = 2) -> None:
    """The command ended with this code and one line on stderr, in which the parts stand in this order."""
    assert "Traceback" not in outcome.out + outcome.err
    assert outcome.code == code, outcome
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("pocketgan: ")
    assert re.search(".*".join(map(re.escape, parts)), lines[0]), lines[0]


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def toy(data: Path, out: Path, *more: object, budget: str = "1G", size: object = 24) -> tuple[object, ...]:
    """The words of a job at toy size."""
    return ("compress", data, "--budget", budget, "--size", size, "--out", out, *TOY, *more)


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A run folder below a folder, neither of which is there; nor afterwards."""
    yield tmp_path / "runs" / "out"
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def data(pairs: Path, tmp_path: Path) -> Path:
    """A copy of the pairs, to be spoilt."""
    return copytree(pairs, tmp_path / "pairs")


@pytest.fixture
def no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured beforehand."""
    monkeypatch.setattr(
        "pocketgan.recipes.estimate.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.stages, 0.0),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(folder, ResnetSpec.uniform(2, blocks=1).build(), {"size": 24, "direction": "AtoB"})
    return folder


# -- data --------------------------------------------------------------------------------------------------------


def test_a_missing_folder(cli: Cli, tmp_path: Path, out: Path):
    refused(cli(*toy(tmp_path / "nowhere", out)), "must be a folder of images", str(tmp_path / "nowhere"))


def test_an_empty_folder(cli: Cli, tmp_path: Path, out: Path):
    (tmp_path / "empty").mkdir()
    refused(cli(*toy(tmp_path / "empty", out)), str(tmp_path / "empty"), "layouts that are known", "A/ B/")


def test_empty_folders_of_pairs(cli: Cli, tmp_path: Path, out: Path):
    for name in "AB":
        (tmp_path / "empty" / name).mkdir(parents=True)
    refused(cli(*toy(tmp_path / "empty", out)), "holds no images; add some")


def test_a_file_instead_of_a_folder(cli: Cli, data: Path, out: Path):
    refused(cli(*toy(data / "A" / "p00.png", out)), "must be a folder of images", "p00.png")


@pytest.mark.parametrize("name", [f"p{number:02}.png" for number in (0, 3, 4, 11)])
def test_a_truncated_image_of_any_split(cli: Cli, data: Path, out: Path, no_estimate: None, name: str):
    """Its header is whole: the damage shows only where the pixels are decoded."""
    path = data / "B" / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    outcome = cli(*toy(data, out))
    last = outcome.err.splitlines()[-1]
    refused(outcome._replace(err=last), str(path), "corrupt, truncated or no image; replace or remove it")
    assert "teacher:" not in outcome.err, "it is found before anything is trained"


def test_no_image_at_all(cli: Cli, data: Path, out: Path):
    (data / "A" / "p05.png").write_text("this is not a picture")
    refused(
        cli(*toy(data, out)), str(data / "A" / "p05.png"), "corrupt, truncated or no image; replace or remove it"
    )


def test_a_pair_of_unequal_size(cli: Cli, data: Path, out: Path):
    Image.new("RGB", (26, 24)).save(data / "B" / "p02.png")
    refused(
        cli(*toy(data, out)), "p02.png is 24x24 but", "p02.png is 26x24; make both images of a pair equally large"
    )


def test_an_odd_width(cli: Cli, tmp_path: Path, out: Path):
    data = draw_pairs(tmp_path / "aligned", "aligned")
    Image.new("RGB", (49, 24)).save(data / "p07.png")
    refused(cli(*toy(data, out)), "p07.png is 49 pixels wide", "even width: crop or remove it")


@pytest.mark.parametrize(("folder", "other"), ["AB", "BA"])
def test_a_missing_partner(cli: Cli, data: Path, out: Path, folder: str, other: str):
    (data / other / "p06.png").unlink()
    refused(
        cli(*toy(data, out)), str(data / folder / "p06.png"), "has no partner in", "; add it, remove the file, or"
    )


def test_images_smaller_than_the_size(cli: Cli, data: Path, out: Path):
    refused(cli(*toy(data, out, size=32)), "24x24, smaller than the size 32; pass --size 24 or less")


@pytest.mark.parametrize("place", ["", "A"])
def test_a_folder_that_may_not_be_read(
    cli: Cli, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    iterdir = Path.iterdir

    def forbidden(path: Path) -> Iterator[Path]:
        if path == data / place:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    refused(cli(*toy(data, out)), f"cannot read {data / place}: Permission denied; check its name and permissions")


def test_too_few_pairs(cli: Cli, tmp_path: Path, out: Path):
    data = draw_pairs(tmp_path / "few", count=5)
    refused(cli(*toy(data, out)), "has 1 pair to select on", "at least 2; add images")


def spoil_labels(folder: Path, what: str) -> None:
    label, inst, photo = (folder / kind / "m02.png" for kind in ("label", "inst", "image"))
    if what == "images missing":
        rmtree(folder / "image")
    elif what == "a partner missing":
        photo.unlink()
    elif what == "colours":
        write_picture(label)
    elif what == "instances of another size":
        write_map(inst, numbers(0, 3, 24, 28))
    elif what == "an image of another size":
        write_picture(photo, 0, 28, 24)
    elif what == "a label too large":
        write_map(label, np.full((24, 24), 300, np.uint16))
    elif what == "an empty folder":
        rmtree(folder / "inst")
        (folder / "inst").mkdir()
    elif what == "a palette that is none":
        (folder / "palette.txt").write_text("black white")
    else:
        label.write_bytes(label.read_bytes()[:50])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("images missing", "there is no folder .*image; add it: label maps need their images"),
        ("a partner missing", r"label/m02\.png has no partner in .*image; add it or remove the file"),
        (
            "colours",
            r"m02\.png holds colours, and labels are numbers; write the classes as numbers, or put palette",
        ),
        (
            "instances of another size",
            r"m02\.png is 24x24 but .*m02\.png is 28x24; make instances and labels equally",
        ),
        (
            "an image of another size",
            r"m02\.png is 24x24 but .*m02\.png is 24x28; make both images of a pair equally",
        ),
        ("a label too large", "the largest label is 300, and at most 254 can be used; are these instance maps"),
        ("an empty folder", "inst holds no images; add some or remove it"),
        ("a palette that is none", r"palette\.txt is no palette: it needs a line R G B for each class"),
        ("a damaged map", r"m02\.png is corrupt, truncated or no image; replace or remove it"),
    ],
)
def test_label_maps_that_cannot_be_used(cli: Cli, tmp_path: Path, out: Path, model: Path, what: str, reason: str):
    data = write_labels(tmp_path / "labels", 12, side=24)
    spoil_labels(data, what)
    for words in (toy(data, out), ("evaluate", model, data)):
        outcome = cli(*words)
        refused(outcome)
        assert re.search(reason, outcome.err), outcome.err


def test_a_label_out_of_range(cli: Cli, tmp_path: Path):
    data = write_labels(tmp_path / "labels", 12, side=32, instances=False)
    folder = tmp_path / "model"
    save_model(folder, SpadeSpec.uniform(1, in_channels=3, upsampling="normal").build(), {"size": 64})
    refused(
        cli("evaluate", folder, data, "--classes", 3),
        "label/m",
        "holds the label 4; labels are 0 to 2 here: pass --classes 5 or mend the map",
    )
    refused(cli("evaluate", folder, data, "--classes", 0), "--classes")
    refused(cli("evaluate", folder, data, "--classes", 256), "--classes 256 is not possible; give 1 to 255")


def test_options_that_do_not_fit_the_layout(cli: Cli, pairs: Path, tmp_path: Path, out: Path):
    labels = write_labels(tmp_path / "labels", 12, side=24)
    halves = draw_pairs(tmp_path / "halves", "aligned")
    refused(cli(*toy(labels, out, "--direction", "BtoA")), "label maps become images", "leave --direction BtoA out")
    refused(cli(*toy(pairs, out, "--classes", 3)), "--classes is for label maps", "has none; leave it out")
    refused(cli(*toy(halves, out, "--unpaired")), "--unpaired is for two folders", "side by side", "leave it out")
    refused(cli(*toy(labels, out, "--unpaired")), "--unpaired is for two folders", "label maps", "leave it out")


def test_two_sets_that_are_no_pairs(cli: Cli, pairs: Path, tmp_path: Path, out: Path):
    data = write_sets(tmp_path / "sets", 12, 9, side=24, folders=("trainA", "trainB"))
    refused(cli(*toy(data, out, "--paired")), "a00.png has no partner in", "(nor have 11 more); add it, remove")
    rmtree(data / "trainB")
    refused(cli(*toy(data, out)), "there is no folder", "trainB; add it: A needs B and B needs A")
    few = write_sets(tmp_path / "few", 12, 2, side=24)
    refused(cli(*toy(few, out)), "leaves no image to train on beside select and test; add training images")


# -- sizes, budgets, numbers -------------------------------------------------------------------------------------


def test_a_size_that_the_generator_cannot_take(cli: Cli, data: Path, out: Path):
    refused(cli(*toy(data, out, size=22)), "size 22 does not fit", "multiples of 4 from 16 on; use 20 or 24")


def test_a_size_that_the_discriminator_cannot_take(cli: Cli, data: Path, out: Path):
    refused(cli(*toy(data, out, size=20)), "size 20", "patch discriminator", "use --size 24 or more")


@pytest.mark.parametrize("size", ["0", "-4", "x", "2.5"])
@pytest.mark.parametrize("verb", ["compress", "profile", "evaluate", "translate", "export"])
def test_sizes_that_are_none(cli: Cli, pairs: Path, model: Path, tmp_path: Path, verb: str, size: str):
    words = {
        "compress": toy(pairs, tmp_path / "out", size=size),
        "profile": ("profile", model, "--size", size),
        "evaluate": ("evaluate", model, pairs, "--size", size),
        "translate": ("translate", model, pairs / "A", "-o", tmp_path / "out", "--size", size),
        "export": ("export", model, "-o", tmp_path / "out", "--size", size),
    }[verb]
    if (verb, size) == ("translate", "0"):
        assert cli(*words).code == 0, "0 keeps the size of each image"
    else:
        refused(cli(*words), "--size")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["profile", "evaluate", "translate", "export"])
def test_sizes_that_do_not_fit_the_model(cli: Cli, pairs: Path, model: Path, tmp_path: Path, verb: str):
    words = {
        "evaluate": [pairs],
        "translate": [pairs / "A", "-o", tmp_path / "x"],
        "export": ["-o", tmp_path / "x"],
    }
    refused(cli(verb, model, *words.get(verb, []), "--size", 18), "size 18 does not fit", "use 16 or 20")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("budget", ["", "2.6X", "lots", "-3G", "0", "1e99", "G", "macs=", "2.6 G MACs"])
def test_an_unreadable_budget(cli: Cli, pairs: Path, out: Path, budget: str):
    refused(cli(*toy(pairs, out, budget=budget)), "budget '", "e.g. 2.6G, 800M or 1500000000")


def test_a_budget_of_something_else(cli: Cli, pairs: Path, out: Path):
    refused(cli(*toy(pairs, out, budget="flops=1G")), "bounds 'flops'; bounds are macs, true_macs, params")


@pytest.mark.parametrize(
    ("budget", "shown"), [("2.6G", "2.60 G MACs"), ("800M", "800 M MACs"), ("1500000000", "1.50 G MACs")]
)
def test_budgets_that_can_be_read(cli: Cli, tmp_path: Path, no_estimate: None, budget: str, shown: str):
    outcome = cli("plan", "demo", "--budget", budget, "--out", tmp_path / "out", *TOY)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"budget {shown}, " in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_a_budget_below_the_smallest_subnet(cli: Cli, pairs: Path, out: Path):
    profile = json.loads(cli("profile", "mobile-resnet:8", "--size", 24, "--json").out)
    smallest = f"{profile['macs'] / 1e6:.2f} M"
    words = ("compress", pairs, "--budget", "1M", "--size", 24, "--out", out, "--set", "space=16_8")
    refused(
        cli(*words),
        "budget 1.00 M MACs is below the smallest subnet of 16_8",
        f"({smallest}: 8_8_8_8_8_8_8_8); raise it or choose a smaller space",
    )


@pytest.mark.parametrize("threads", ["0", "-1", "many"])
def test_threads_that_are_none(cli: Cli, threads: str):
    refused(cli("profile", "resnet:2", "--threads", threads), "--threads")


# -- names -------------------------------------------------------------------------------------------------------


def test_unknown_names_tell_the_nearest(cli: Cli, pairs: Path, model: Path, tmp_path: Path):
    out = tmp_path / "out"
    for words, *parts in (
        (("comprss",), "comprss", "compress"),
        (("run", "dem"), "unknown recipe 'dem'; did you mean demo?"),
        (("plan", "fast-citscapes"), "unknown recipe 'fast-citscapes'; did you mean fast-cityscapes"),
        (toy(pairs, out, "--method", "fast-gan"), "'fast-gan'", "fast-gan-compression"),
        (toy(pairs, out, "--model", "pix2pixHD"), "'pix2pixHD'", "pix2pix"),
        (toy(pairs, out, "--weights", "vgg91=f"), "unknown network 'vgg91'; did you mean vgg19"),
        (toy(pairs, out, "--weights", "vgg19"), "--weights 'vgg19' cannot be read; write NAME=FILE"),
        (toy(pairs, out, "--weights", "vgg19=none"), "none, given as the weights of vgg19, is no file"),
        (toy(pairs, out, "--effort", "quik"), "'quik'", "quick"),
        (toy(pairs, out, "--device", "gpu"), "'gpu'", "cuda"),
        (toy(pairs, out, "--direction", "BtoB"), "'BtoB'", "BtoA"),
        (toy(pairs, out, "--set", "metric=ssm"), "unknown metric 'ssm'; did you mean ssim"),
        (toy(pairs, out, "--set", "space=channels-47"), "unknown search space 'channels-47'", "channels-48"),
        (toy(pairs, out, "--set", "teacher=resnt:4"), "unknown network 'resnt'; did you mean resnet"),
        (toy(pairs, out, "--set", "supernet.constnt=1"), "unknown setting", "did you mean supernet.constant"),
        (toy(pairs, out, "--set", "sead=1"), "unknown setting 'sead'; did you mean seed"),
        (toy(pairs, out, "--set", "seed.x=1"), "unknown setting 'seed.x'; did you mean seed"),
        (("profile", "mobil-resnet:8"), "unknown network 'mobil-resnet'; did you mean mobile-resnet"),
        (("profile", "resnet:8", "--runtime", "onnxrt"), "unknown runtime 'onnxrt'; did you mean onnxruntime"),
        (("evaluate", model, pairs, "--metrics", "psnr,sim"), "unknown metric 'sim'; did you mean ssim"),
        (("evaluate", model, pairs, "--split", "tests"), "'tests'", "test"),
        (("export", model, "--format", "onx", "-o", out), "unknown format 'onx'; did you mean onnx"),
        (("profile", model, "--sise", "8"), "--sise", "--size"),
    ):
        refused(cli(*words), *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_without_its_images(cli: Cli, tmp_path: Path):
    refused(cli("run", "fast-map2sat", "--out", tmp_path / "x"), "needs its images; name their folder with --data")


@pytest.mark.parametrize(
    "spec", ["resnet:", "resnet:0", "resnet:x", "resnet:-4", "resnet:8_8", "resnet:8_8_8_8_8_8_8_8_8"]
)
def test_widths_that_are_none(cli: Cli, spec: str):
    refused(cli("profile", spec), spec.partition(":")[2] or "cannot be read")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there(cli: Cli, pairs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    refused(cli(*toy(pairs, out, "--device", name)), f"no device {name}", "choose --device cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("seed", "has no '='; write e.g."),
        ("seed=", "valid integer"),
        ("seed=abc", "valid integer"),
        ("seed=1.5", "integer"),
        ("supernet.constant=-1", "greater than or equal to 0"),
        ("supernet.batch_size=0", "greater than 0"),
        ("teaching.constant=0", "at least one epoch"),
        ("objective.lr=-1", "greater than 0"),
        ("objective.lr=NaN", "finite number"),
        ("objective.lr=1e999", "finite number"),
        ("objective.gan=-1", "greater than or equal to 0"),
        ("objective.betas=[0.5,1]", "less than 1"),
        ("objective.gan_mode=foo", "hinge"),
        ("distillation.distil=-1", "greater than or equal to 0"),
        ("discriminator.width=0", "greater than 0"),
        ("discriminator.layers=0", "greater than 0"),
        ("teacher.blocks=-1", "greater than or equal to 0"),
        ("teacher.widths=[4]", "a resnet of 1 blocks has 6 positive widths"),
        ("teacher.dropout=1", "less than 1"),
        ("teacher=null", "valid dictionary"),
        ("search.population=0", "greater than or equal to 2"),
        ("search.mutation_ratio=2", "less than or equal to 1"),
        ("search.first_generation=2", "no effect on uniform weighting"),
        ("precision=16", "32-true"),
        ("supernet=null", "Schedule"),
    ],
)
def test_a_bad_setting(cli: Cli, pairs: Path, out: Path, change: str, reason: str):
    refused(cli(*toy(pairs, out, "--set", change)), f"--set {change}", reason)


@pytest.mark.parametrize(
    "change", ["teacher.in_channels=1", "discriminator.in_channels=5", "distillation.paired=false"]
)
def test_a_setting_that_cannot_work_here(cli: Cli, pairs: Path, out: Path, change: str):
    refused(cli(*toy(pairs, out, "--set", change)), "leave", "as")


@pytest.mark.parametrize("space", ["0", "8_x", "8_0", "_"])
def test_a_space_that_is_none(cli: Cli, pairs: Path, out: Path, space: str):
    refused(cli(*toy(pairs, out, "--set", f"space={space}")), f"'{space}'")


def test_a_job_of_days_wants_a_yes(cli: Cli, pairs: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "pocketgan.recipes.estimate.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.stages, 6000.0),
    )
    refused(
        cli(*toy(pairs, out)), "about 15 h 0 min", "more than 12 hours; add --yes", "smaller --effort or --size"
    )
    monkeypatch.setattr("pocketgan.recipes.run.run_recipe", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    refused(cli(*toy(pairs, out, "--yes")), "stopped")


# -- where results go --------------------------------------------------------------------------------------------


def test_a_file_in_the_way(cli: Cli, pairs: Path, tmp_path: Path, no_estimate: None):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "run", file / "runs" / "run"):
        refused(cli(*toy(pairs, out)), str(out), "a file stands where a folder should be; choose another --out")
    assert files(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
@pytest.mark.parametrize("place", ["/proc/run", "/proc/self/run", "/dev/null/run"])
def test_a_place_where_nobody_may_write(cli: Cli, pairs: Path, model: Path, no_estimate: None, place: str):
    refused(cli(*toy(pairs, Path(place))), f"{place} cannot be written", "choose another --out")
    refused(cli("translate", model, pairs / "A", "-o", place), f"{place} cannot be made", "choose another --out")
    refused(cli("export", model, "-o", f"{place}/m.onnx"), f"{place}", "choose another")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EACCES, "no permission to write there"), (errno.EROFS, "the file system is read-only")],
)
def test_a_place_without_permission(
    cli: Cli, pairs: Path, out: Path, no_estimate: None, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
):
    mkdir = Path.mkdir

    def forbidden(path: Path, *args: object, **options: object) -> None:
        if path == out:
            raise OSError(code, os.strerror(code), str(path))
        mkdir(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", forbidden)
    refused(cli(*toy(pairs, out)), f"{out} cannot be written: {reason}; choose another --out")


def test_a_foreign_folder_is_left_alone(cli: Cli, pairs: Path, tmp_path: Path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.txt").write_text("In the beginning")
    refused(cli(*toy(pairs, folder)), f"{folder} is not empty and no run of PocketGAN; choose another --out")
    assert files(tmp_path) == {"thesis/chapter1.txt": b"In the beginning"}


def test_the_folder_of_another_recipe(cli: Cli, toy_run, tmp_path: Path):
    before = files(toy_run.folder)
    refused(
        cli(*toy_run.words, "--set", "seed=1"),
        f"{toy_run.folder} belongs to another recipe (mixed, ",
        "; this one is mixed, ",
        "); choose another --out or remove it",
    )
    assert files(toy_run.folder) == before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"digest": 1}'])
def test_a_run_folder_with_a_damaged_mark(cli: Cli, pairs: Path, tmp_path: Path, content: str):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.json").write_text(content)
    refused(cli(*toy(pairs, folder)), "recipe.json is damaged; choose another --out")
    refused(cli("report", folder), "recipe.json is damaged")
    assert [path.name for path in folder.iterdir()] == ["recipe.json"]


def test_a_second_run_on_the_same_folder(cli: Cli, toy_run):
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    words = [sys.executable, "-c", code, str(toy_run.folder / ".lock")]
    before = files(toy_run.folder)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        refused(cli(*toy_run.words), f"{toy_run.folder} is in use by a run that is going on; wait for it or choose")
        refused(cli("report", toy_run.folder), "is in use by a run that is going on")
        other.communicate(b"\n")
    assert files(toy_run.folder) == before


def test_an_empty_folder_stays_empty(cli: Cli, data: Path, tmp_path: Path, no_estimate: None):
    folder = tmp_path / "mine"
    folder.mkdir()
    (data / "B" / "p00.png").write_bytes((data / "B" / "p00.png").read_bytes()[:100])
    assert cli(*toy(data, folder)).code == 2
    assert list(folder.iterdir()) == []


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "place",
    [
        "pocketgan.models.save",
        "pocketgan.pipeline.training.save_model",
        "pocketgan.training.fit.Log.write",
        "pocketgan.data.cache.resize",
        "pocketgan.pipeline.store._mark",
    ],
)
def test_a_full_disk(
    cli: Cli, pairs: Path, out: Path, no_estimate: None, monkeypatch: pytest.MonkeyPatch, place: str
):
    monkeypatch.setattr(place, full_disk)
    outcome = cli(*toy(pairs, out))
    last = outcome.err.splitlines()[-1]
    refused(
        outcome._replace(err=last), str(out), "o space left on device" if "cache" in place else "the disk is full"
    )


def test_a_disk_that_is_full_when_the_report_is_written(cli: Cli, toy_run, monkeypatch: pytest.MonkeyPatch):
    before = files(toy_run.folder / "stages")
    monkeypatch.setattr("pocketgan.recipes.run.write_report", full_disk)
    refused(cli("report", toy_run.folder), f"{toy_run.folder} cannot be written: the disk is full; free some space")
    assert files(toy_run.folder / "stages") == before


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Real writes fail beyond this many bytes of a file, as on a full disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("size", [20_000, 33_000])
def test_writes_that_really_fail(cli: Cli, pairs: Path, out: Path, no_estimate: None, size: int):
    """The first limit lies below the decoded images (30 kB), the second below the teacher (36 kB)."""
    with largest_file(size):
        outcome = cli(*toy(pairs, out))
    last = outcome.err.splitlines()[-1]
    refused(outcome._replace(err=last), str(out), "choose another")


def test_real_writes_of_other_verbs_that_fail(cli: Cli, model: Path, pairs: Path, tmp_path: Path):
    with largest_file(1000):
        refused(cli("export", model, "-o", tmp_path / "m.onnx"), "m.onnx", "File too large", "choose another")
        refused(cli("translate", model, pairs / "A", "-o", tmp_path / "made"), "made/p00.png", "choose another")
    assert files(tmp_path) == {}


# -- models ------------------------------------------------------------------------------------------------------


def _truncate(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_weights(folder: Path) -> None:
    tensors = load_file(folder / "weights.safetensors")
    tensors.popitem()
    save_file(tensors, folder / "weights.safetensors")


def _description(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.json").write_text(content) and None


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights cut short": (_truncate, "weights.safetensors is cut short or of another network"),
    "weights empty": (
        lambda f: (f / "weights.safetensors").write_bytes(b"") and None,
        "weights.safetensors is cut",
    ),
    "weights of another network": (_other_weights, "weights.safetensors is cut short or of another network"),
    "weights missing": (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors is missing"),
    "description missing": (lambda f: (f / "model.json").unlink(), "there is no model.json in it"),
    "description cut short": (
        _description('{"format": 1, "spec": {"kind": "res'),
        "model.json describes no network",
    ),
    "description empty": (_description(""), "model.json describes no network"),
    "description of something else": (_description("[1, 2]"), "model.json describes no network"),
    "description without spec": (_description('{"format": 1}'), "model.json describes no network"),
    "unknown network": (_description('{"spec": {"kind": "nerf"}}'), "model.json describes no network"),
    "bytes": (
        lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00") and None,
        "model.json describes no network",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model(cli: Cli, model: Path, pairs: Path, out: Path, tmp_path: Path, damage: str):
    broken = copytree(model, tmp_path / "broken")
    spoil, reason = DAMAGE[damage]
    spoil(broken)
    made = tmp_path / "made"
    for words in (
        ("profile", broken),
        ("evaluate", broken, pairs),
        ("translate", broken, pairs / "A", "-o", made),
        ("export", broken, "-o", made),
        toy(pairs, out, "--teacher", broken),
    ):
        refused(cli(*words), str(broken), reason, ";")
    assert not made.exists()


def test_a_discriminator_is_no_generator(cli: Cli, pairs: Path, out: Path, tmp_path: Path):
    save_model(tmp_path / "judge", PatchSpec(width=2).build(), {})
    reason = "judge holds a discriminator; give the folder of a generator"
    refused(cli("profile", tmp_path / "judge"), reason)
    refused(cli("translate", tmp_path / "judge", pairs / "A", "-o", tmp_path / "made"), reason)
    refused(cli(*toy(pairs, out, "--teacher", tmp_path / "judge")), "judge holds a discriminator; give a generator")
    save_model(tmp_path / "teacher", init_normal(ResnetSpec.uniform(2).build(), torch.Generator()), {})
    both = ("--teacher", tmp_path / "teacher", "--discriminator", tmp_path / "teacher")
    refused(cli(*toy(pairs, out, *both)), "teacher holds a generator; give the teacher's discriminator")
    alone = ("--discriminator", tmp_path / "judge")
    refused(cli(*toy(pairs, out, *alone)), "judge has no teacher; name that with --teacher")


def test_models_that_do_not_exist(cli: Cli, pairs: Path, out: Path, tmp_path: Path):
    nowhere, empty, file = tmp_path / "nowhere", tmp_path / "empty", tmp_path / "file.pth"
    empty.mkdir()
    file.touch()
    refused(cli("profile", nowhere), "nowhere does not exist; give a model folder, a run folder or a spec like")
    refused(cli("profile", empty), "empty holds no model: there is no model.json in it; give")
    refused(cli("profile", file), "file.pth is a file; give a model folder, a run folder or a spec like")
    refused(cli("report", empty), "empty is no run folder: there is no recipe.json in it; give the --out of a run")
    refused(cli("report", nowhere), "nowhere is no run folder")
    refused(cli(*toy(pairs, out, "--teacher", nowhere)), "nowhere cannot be read")


def test_an_onnx_file_that_does_not_exist(cli: Cli, tmp_path: Path):
    refused(cli("profile", tmp_path / "m.onnx"), "m.onnx does not exist; give an ONNX file")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x07" * 100])
def test_an_onnx_file_of_garbage(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes):
    (tmp_path / "m.onnx").write_bytes(content)
    code = call_main("profile", tmp_path / "m.onnx")
    refused(
        Outcome(code, *capfd.readouterr()), "m.onnx is damaged, or no network that takes one image of 256 pixels"
    )


def test_an_onnx_file_of_another_kind(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A model of two inputs, and one that takes other images."""
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "ab"]
    output = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["a", "b"], ["c"])], "sum", inputs, [output])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "sum.onnx")
    code = call_main("profile", tmp_path / "sum.onnx")
    refused(Outcome(code, *capfd.readouterr()), "sum.onnx is damaged, or no network that takes one image")


def test_an_onnx_file_at_a_size_that_it_cannot_take(toy_run, capfd: pytest.CaptureFixture[str]):
    code = call_main("profile", toy_run.folder / "export" / "compressed.onnx", "--size", 30)
    refused(Outcome(code, *capfd.readouterr()), "compressed.onnx", "no network that takes one image of 30 pixels")


def test_an_onnx_file_is_not_taken_apart(cli: Cli, toy_run):
    file = toy_run.folder / "export" / "compressed.onnx"
    refused(cli("profile", file, "--layers"), "is an ONNX file", "leave --layers out")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_an_export_replaces_files_only(cli: Cli, model: Path, tmp_path: Path):
    """Root could replace /dev/null by a model."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        refused(cli("export", model, "-o", place), f"'{place}' is no file that an ONNX file could replace; choose")
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 1


def test_an_onnx_file_does_not_run_on_torch(cli: Cli, toy_run):
    file = toy_run.folder / "export" / "compressed.onnx"
    refused(
        cli("profile", file, "--runtime", "torch"), "runs on onnxruntime, not on torch; leave --runtime torch out"
    )


# -- images to translate -----------------------------------------------------------------------------------------


def test_images_that_cannot_be_translated(cli: Cli, model: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_text("no picture")
    Image.new("RGB", (40, 10)).save(tmp_path / "flat.png")
    before = files(tmp_path)
    made = ("-o", tmp_path / "made")
    refused(
        cli("translate", model, tmp_path / "nowhere.png", *made), "nowhere.png does not exist; name image files"
    )
    refused(cli("translate", model, tmp_path / "empty", *made), "empty holds no images; name a folder with images")
    refused(cli("translate", model, tmp_path / "bad.png", *made), "bad.png is corrupt, truncated or no image")
    refused(
        cli("translate", model, tmp_path / "flat.png", *made, "--size", 0),
        "flat.png is 40x10, smaller than the 16 pixels that a resnet generator takes; leave it out or give --size",
    )
    refused(cli("translate", model, tmp_path / "flat.png"), "--out")
    assert files(tmp_path) == before
    assert not (tmp_path / "made").exists()


def test_label_maps_that_cannot_be_translated(cli: Cli, model: Path, tmp_path: Path):
    labels = {"classes": 4, "dont_care": False, "instances": True}
    spec = SpadeSpec.uniform(1, in_channels=5, upsampling="normal")
    for name, card in (("painter", {"size": 64, "labels": labels}), ("silent", {"size": 64})):
        save_model(tmp_path / name, spec.build(), card)
    good = write_map(tmp_path / "label" / "good.png", numbers(0, 3, 64, 64))
    bad = write_map(tmp_path / "label" / "bad.png", numbers(0, 4, 64, 64))
    write_map(tmp_path / "inst" / "bad.png", numbers(0, 9, 64, 64))
    write_picture(tmp_path / "label" / "photo.jpg")
    write_map(tmp_path / "small" / "good.png", numbers(0, 9, 32, 64))
    made = ("-o", tmp_path / "made")
    painter = ("translate", tmp_path / "painter")
    refused(cli(*painter, bad, *made), "bad.png holds the label 4; the model knows 0 to 3: mend the map")
    refused(cli(*painter, tmp_path / "label" / "photo.jpg", *made), "photo.jpg is a JPEG", "save label maps as PNG")
    refused(
        cli(*painter, good, *made, "--instances", tmp_path / "inst"),
        "good.png has no instance map good in",
        "add it or leave --instances out",
    )
    refused(
        cli(*painter, good, *made, "--instances", tmp_path / "small"),
        "good.png is 64x64 but",
        "good.png is 64x32; make instances and labels equally large",
    )
    refused(cli(*painter, good, *made, "--instances", tmp_path / "none"), "there is no folder", "none; add it")
    refused(cli("translate", tmp_path / "silent", good, *made), "nothing says what their labels are; add them")
    refused(
        cli("translate", model, good, *made, "--instances", tmp_path / "inst"),
        "--instances is for models that see the edges of instances, and this one does not; leave it out",
    )
    assert not (tmp_path / "made").exists()


def test_styles_that_cannot_be(cli: Cli, model: Path, pairs: Path, tmp_path: Path):
    words = ("translate", model, pairs / "A", "-o", tmp_path / "made", "--style-seed")
    refused(cli(*words, 1), "--style-seed is for networks that take a style, and a resnet generator takes none")
    refused(cli(*words, -1), "--style-seed")
    refused(cli(*words, "blue"), "--style-seed")
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_one_name(cli: Cli, model: Path, pairs: Path, tmp_path: Path):
    refused(
        cli("translate", model, pairs, pairs / "A", pairs / "B", "-o", tmp_path / "made"),
        "holds no images",
    )
    refused(
        cli("translate", model, pairs / "A", pairs / "B", "-o", tmp_path / "made"),
        "would both become p00.png; translate them into two folders",
    )
    assert list(tmp_path.iterdir()) == []


def test_images_are_not_overwritten(cli: Cli, model: Path, data: Path):
    before = files(data)
    refused(
        cli("translate", model, data / "A", "-o", data / "A"), "would overwrite the image itself; choose another"
    )
    assert files(data) == before


def test_an_evaluation_without_pairs(cli: Cli, model: Path, data: Path, tmp_path: Path):
    refused(cli("evaluate", model, tmp_path / "nowhere"), "must be a folder of images")
    refused(cli("evaluate", model, data, "--size", 32), "smaller than the size 32; pass --size 24 or less")
    (data / "A" / "p04.png").write_bytes((data / "A" / "p04.png").read_bytes()[:90])
    outcomes = [cli("evaluate", model, data, "--split", split) for split in ("train", "select", "test")]
    (bad,) = [outcome for outcome in outcomes if outcome.code]
    refused(bad, "p04.png is corrupt, truncated or no image")


# -- runs that end before their time -----------------------------------------------------------------------------


def test_a_loss_that_is_not_finite(cli: Cli, pairs: Path, out: Path, no_estimate: None):
    """Our own failure: exit code 1, but still one line, and no folder that the mended command would stumble on."""
    outcome = cli(*toy(pairs, out, "--set", "objective.lr=1e30", "--set", "teaching.constant=3"))
    last = outcome.err.splitlines()[-1]
    refused(
        outcome._replace(err=last), "the loss of", "training stopped before the update", "learning rate", code=1
    )


def test_a_report_of_an_unfinished_run(cli: Cli, toy_run, tmp_path: Path):
    folder = copytree(toy_run.folder, tmp_path / "run")
    (search,) = (folder / "stages").glob("search-*/artifact")
    search.rename(search.with_name("artifact.part"))
    refused(cli("report", folder), "is not finished (search left); run its command again to go on with it")


def test_a_report_without_the_images(cli: Cli, toy_run, tmp_path: Path):
    folder = copytree(toy_run.folder, tmp_path / "run")
    mark = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**mark, "data": str(tmp_path / "gone")}))
    refused(cli("report", folder), f"the images of {folder} are no longer in {tmp_path / 'gone'}; put them back")


def test_a_stopped_run_goes_on(pairs: Path, tmp_path: Path, cli: Cli):
    """Ctrl-C in the middle of training, a kill the next time; the third time the same command finishes."""
    out = tmp_path / "run"
    words = toy(pairs, out, "--set", "teaching.constant=25", "--set", "teaching.batch_size=1")

    def stopped(how: signal.Signals) -> int:
        """Stop the command once it has trained further than before; returns the steps done so far."""
        command = [sys.executable, "-m", "pocketgan.cli", *map(str, words)]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        before, patience = steps_done(out), time.monotonic() + 120
        with subprocess.Popen(command, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"}) as run:
            while steps_done(out) <= before and run.poll() is None and time.monotonic() < patience:
                time.sleep(0.01)
            run.send_signal(how)
            stdout, stderr = run.communicate()
        last = stderr.splitlines()[-1]
        refused(Outcome(run.returncode, "", last), "stopped; run the same command again to go on from here")
        assert "Traceback" not in stdout + stderr
        assert list((out / "stages").glob("train-*/state/state.safetensors"))
        assert not list((out / "stages").glob("train-*/artifact*")), "neither finished nor half-written"
        return steps_done(out)

    first = stopped(signal.SIGINT)
    (state,) = (out / "stages").glob("train-*/state/state.safetensors")
    whole = state.read_bytes()
    state.write_bytes(whole[:-10])
    outcome = cli(*words)
    last = outcome.err.splitlines()[-1]
    refused(outcome._replace(err=last), f"the saved state {state} is damaged; remove it to begin that stage anew")
    state.write_bytes(whole)
    assert first < stopped(signal.SIGTERM) < 175
    assert cli(*words).code == 0
    assert steps_done(out) == 175
    assert json.loads((out / "report.json").read_text())["rows"]


def steps_done(run: Path) -> int:
    """The last step in the log of the teacher's training, 0 where there is none yet."""
    lines = [line for path in (run / "stages").glob("train-*/log.jsonl") for line in path.read_text().splitlines()]
    try:
        return json.loads(lines[-1])["step"] if lines else 0
    except json.JSONDecodeError:  # just being written
        return 0


def test_in_a_process_of_its_own(tmp_path: Path):
    """What a shell sees: nothing on stdout, one line on stderr, 2."""
    words = [sys.executable, "-m", "pocketgan.cli", "compress", "nowhere", "--budget", "1G"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    refused(Outcome(ended.returncode, ended.stdout, ended.stderr), "there is no folder nowhere")
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("metric=miou", ("a search by miou needs a segmenter; search by fd_mobilenet_v2",)),
        ("metric=ms_ssim", ("ms_ssim needs images of at least 176 pixels a side, and these are 24 x 24",)),
        ("metric=fid_clean", ("inception needs its trained weights", "--weights inception=FILE")),
        ("distillation.kind=spade-distil", ("--set distillation.kind=spade-distil: ",)),
    ],
)
def test_a_search_that_cannot_be_scored_is_refused_before_training(
    cli: Cli, pairs: Path, out: Path, change: str, parts: tuple[str, ...]
):
    ended = cli(*toy(pairs, out, "--set", change))
    *before, line = ended.err.splitlines()
    refused(ended._replace(err=f"{line}\n", out=""), *parts)
    assert all(each.startswith("images of ") for each in before), "images are read, nothing is trained"
    assert not out.exists()


def test_a_teacher_of_the_other_direction(cli: Cli, pairs: Path, out: Path, tmp_path: Path):
    network = init_normal(ResnetSpec.uniform(4, blocks=1).build(), torch.Generator())
    save_model(tmp_path / "teacher", network, {"size": [24, 24], "direction": "BtoA"})
    refused(
        cli(*toy(pairs, out, "--teacher", tmp_path / "teacher")),
        "was made for the direction BtoA, and this is AtoB; pass --direction BtoA, or another teacher",
    )


def test_options_that_two_results_do_not_take(cli: Cli, pairs: Path, model: Path, tmp_path: Path):
    assert cli("evaluate", model, pairs, "--size", 24, "--out", tmp_path / "a").code == 0
    words = ("evaluate", tmp_path / "a", tmp_path / "a")
    assert cli(*words).code == 0
    refused(
        cli(*words, "--metrics", "l1"), "--metrics is for scoring a model, and here are two results; leave it out"
    )
    refused(cli(*words, "--protocol", "paired-val"), "--protocol is for scoring a model")


def test_weights_that_nothing_looks_through(cli: Cli, pairs: Path, out: Path, tmp_path: Path):
    (tmp_path / "vgg19.pth").write_bytes(b"no weights")
    words = ("--weights", f"vgg19={tmp_path / 'vgg19.pth'}")
    refused(cli(*toy(pairs, out, *words)), "vgg19 was given, and nothing here looks through it; leave it out")
