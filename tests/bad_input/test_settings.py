"""Sizes, budgets, names and settings that are none, or do not fit."""

import json
from pathlib import Path

import pytest
import torch

from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec, init_normal
from tests.bad_input.conftest import Cli, refused, toy
from tests.conftest import TOY_DEMO


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
    outcome = cli("plan", "demo", "--budget", budget, "--out", tmp_path / "out", *TOY_DEMO)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"budget {shown}, " in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_a_budget_below_the_smallest_subnet(cli: Cli, pairs: Path, out: Path):
    profile = json.loads(cli("profile", "mobile-resnet:8", "--size", 24, "--json").out)
    smallest = f"{profile['macs'] / 1e6:.2f} M"
    words = ("compress", pairs, "--budget", "1M", "--size", 24, "--out", out, "--set", "space=16_8")
    words += ("--method", "fast-gan-compression")
    refused(
        cli(*words),
        "budget 1.00 M MACs is below the smallest subnet of 16_8",
        f"({smallest}: 8_8_8_8_8_8_8_8); raise it or choose a smaller space",
    )


@pytest.mark.parametrize("threads", ["0", "-1", "many"])
def test_threads_that_are_none(cli: Cli, threads: str):
    refused(cli("profile", "resnet:2", "--threads", threads), "--threads")


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
        ("teacher.widths=[4]", "this resnet has 6 positive widths, not 1"),
        ("teacher.dropout=1", "less than 1"),
        ("teacher=null", "valid dictionary"),
        ("search.population=0", "greater than or equal to 2"),
        ("search.mutation_ratio=2", "less than or equal to 1"),
        ("search.first_generation=2", "no effect on uniform weighting"),
        ("precision=16", "fp32"),
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
        "pocketgan.runs.run.estimate_seconds",
        lambda recipe, store, runtime: dict.fromkeys(recipe.all_stages, 6000.0),
    )
    refused(
        cli(*toy(pairs, out)), "about 15 h 0 min", "more than 12 hours; add --yes", "smaller --effort or --size"
    )
    monkeypatch.setattr("pocketgan.runs.run.run_recipe", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    refused(cli(*toy(pairs, out, "--yes")), "stopped")


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
