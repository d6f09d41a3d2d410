"""Mistakes with OMGD and Pocket."""

from pathlib import Path

import pytest
import torch

from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec, init_normal
from tests.bad_input.conftest import Cli, refused
from tests.conftest import draw_pairs
from tests.methods.test_supernet_runs import draw_labels

METHODS = pytest.mark.parametrize("method", ["omgd", "pocket"])


def job(
    data: Path, out: Path, method: str, *more: object, budget: str = "1G", size: int = 24
) -> tuple[object, ...]:
    words = ("compress", data, "--budget", budget, "--size", size, "--out", out, "--method", method)
    return (*words, "--set", "wide=mobile-resnet:4", "--set", "schedule.constant=1", *more)


@METHODS
def test_label_maps(cli: Cli, tmp_path: Path, out: Path, method: str):
    labels = draw_labels(tmp_path / "labels")
    refused(
        cli(*job(labels, out, method, size=64)),
        f"{method} compresses pix2pix and cyclegan, and this is gaugan; choose --method fast-gan-compression",
    )
    refused(cli(*job(labels, out, method, "--model", "pix2pix", size=64)), "pix2pix learns from pairs of images")


@pytest.mark.parametrize("method", ["gan-compression", "fast-gan-compression"])
def test_inputs_that_a_method_does_not_take(cli: Cli, pairs: Path, out: Path, method: str):
    words = ("compress", pairs, "--budget", "1G", "--size", 24, "--out", out, "--method", method)
    refused(
        cli(*words, "--unlabelled", pairs / "A"),
        f"--unlabelled is for --method omgd or pocket, and this is {method}; leave it out",
    )


@METHODS
def test_inputs_that_are_not_there(cli: Cli, pairs: Path, tmp_path: Path, out: Path, method: str):
    lost, empty = tmp_path / "nowhere", tmp_path / "empty"
    empty.mkdir()
    refused(cli(*job(pairs, out, method, "--unlabelled", lost)), f"there is no folder {lost}; check its name")
    refused(cli(*job(pairs, out, method, "--unlabelled", empty)), "holds no images; put some there")


@METHODS
def test_inputs_that_figures_come_from(cli: Cli, pairs: Path, out: Path, method: str):
    refused(
        cli(*job(pairs, out, method, "--unlabelled", pairs / "A")),
        f"{pairs / 'A'}",
        "a test image, which figures come from; remove it from the inputs",
    )


@METHODS
def test_inputs_where_the_teachers_always_learn(cli: Cli, pairs: Path, tmp_path: Path, out: Path, method: str):
    more = draw_pairs(tmp_path / "more", count=3, seed=1) / "A"
    refused(
        cli(*job(pairs, out, method, "--unlabelled", more, "--set", "objective.n_dis=1")),
        "with objective.n_dis=1 there are none; set it to 2 or more, or leave out --unlabelled",
    )


@METHODS
def test_a_damaged_input_is_named_before_anything_is_trained(
    cli: Cli, pairs: Path, tmp_path: Path, out: Path, no_estimate: None, method: str
):
    spoilt = draw_pairs(tmp_path / "more", count=5, seed=1) / "A"
    file = spoilt / "p03.png"
    file.write_bytes(file.read_bytes()[:-40])
    cold = ("--set", "warm_up=null") if method == "pocket" else ()
    ended = cli(*job(pairs, out, method, "--unlabelled", spoilt, "--set", "discriminator.width=2", *cold))
    *before, line = ended.err.splitlines()
    refused(ended._replace(err=f"{line}\n", out=""), str(file))
    assert all("images of " in each for each in before), "nothing is trained"


def test_fresh_teachers_that_never_learn(cli: Cli, pairs: Path, out: Path):
    refused(
        cli(*job(pairs, out, "omgd", "--set", "objective.n_dis=0")),
        "objective.n_dis=0 is for finished teachers; set it to 1 or more, or give a --teacher",
    )


def test_budgets_out_of_reach(cli: Cli, pairs: Path, out: Path):
    refused(cli(*job(pairs, out, "omgd", budget="1K")), "budget 1.00 k MACs is below the smallest resnet, of one")
    space = ("--set", "space=32_24")
    refused(
        cli(*job(pairs, out, "pocket", *space, budget="1M")),
        "budget 1.00 M MACs is below the smallest subnet of 32_24",
    )
    student = ("--set", "student=mobile-resnet:4")
    refused(cli(*job(pairs, out, "omgd", *student, budget="1M")), "the student costs", "--set student=null")


@METHODS
def test_a_discriminator_that_nobody_needs(cli: Cli, pairs: Path, tmp_path: Path, out: Path, method: str):
    network = init_normal(ResnetSpec.uniform(4, blocks=3).build(), torch.Generator())
    save_model(tmp_path / "teacher", network, {"size": [24, 24], "direction": "BtoA"})
    words = job(pairs, out, method, "--teacher", tmp_path / "teacher")
    refused(
        cli(*words, "--discriminator", tmp_path / "teacher"),
        f"{method} imitates a finished teacher as it is; leave out --discriminator",
    )
    refused(cli(*words), "was made for the direction BtoA, and this is AtoB")


@METHODS
def test_sizes_that_do_not_fit(cli: Cli, pairs: Path, out: Path, method: str):
    refused(cli(*job(pairs, out, method, size=22)), "size 22 does not fit a", "use 20 or 24")
    refused(cli(*job(pairs, out, method, size=20)), "size 20 is too small for a", "use --size 24 or more")
    small = ("--set", 'objective.sampling={"kind": "resolution", "sizes": [24, 20]}')
    refused(cli(*job(pairs, out, method, *small)), "a resolution of 20 is too small for a", "leave it out")
