"""Evaluating the images of a task, and the verb that does."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pocketgan.data.task import open_task
from pocketgan.data.values import Values
from pocketgan.errors import DataError, SpecError
from pocketgan.metrics import METRICS
from pocketgan.metrics.on_task import evaluator_on
from pocketgan.models import save_model
from pocketgan.networks import ResnetSpec, init_normal, parse_spec

from ..conftest import draw_pairs
from ..data.pictures import write_picture

LABELS = np.arange(24 * 24).reshape(24, 24) // 200


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Pairs in pairs/, two unpaired sets in apart/, models a/ and b/."""
    home = tmp_path_factory.mktemp("evaluate")
    draw_pairs(home / "pairs", count=20)
    for folder, count in (("trainA", 6), ("trainB", 7), ("testA", 4), ("testB", 5)):
        drawn = draw_pairs(home / f"drawn-{folder}", count=count, seed=count) / folder[-1]
        (home / "apart").mkdir(exist_ok=True)
        drawn.rename(home / "apart" / folder)
        for path in (home / "apart" / folder).iterdir():
            path.rename(path.with_name(f"{folder}-{path.name}"))
    for seed, name in enumerate("ab"):
        network = init_normal(parse_spec("resnet:2").build(), torch.Generator().manual_seed(seed))
        save_model(home / name, network, {"size": 24, "direction": "AtoB"})
    return home


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")


def counts(evaluation):
    return {side: len(listing.names) for side, listing in evaluation.images.items()}


def test_protocols_choose_the_images(home, tmp_path):
    task = open_task(home / "apart", size=24, unpaired=True)
    metrics = ("kd_mobilenet_v2",)
    held_out = evaluator_on(task, tmp_path, metrics=metrics)(nn.Identity())
    assert counts(held_out) == {"sources": 4, "targets": 5}
    papers = evaluator_on(task, tmp_path, metrics=metrics, protocol="gan-compression-unpaired")(nn.Identity())
    assert counts(papers) == {"sources": 4, "targets": 12}
    assert papers.protocol == "gan-compression-unpaired"
    assert {name[:6] for name in papers.images["targets"].names} == {"trainB", "testB-"}
    taught = evaluator_on(task, tmp_path, protocol="pseudo-pair", teacher=torch.neg)(nn.Identity())
    assert counts(taught) == {"sources": 4, "targets": 4}
    assert "l1" in taught.scores


def test_protocols_that_do_not_fit(home, tmp_path):
    pairs = open_task(home / "pairs", size=24)
    with pytest.raises(SpecError, match="gan-compression-unpaired is for data without pairs"):
        evaluator_on(pairs, tmp_path, protocol="gan-compression-unpaired")
    with pytest.raises(
        SpecError, match="--split goes with the protocol held-out, and paired-val has its own; leave"
    ):
        evaluator_on(pairs, tmp_path, protocol="paired-val", split="select")
    with pytest.raises(
        DataError, match=r"a segmenter needs label maps, and .*pairs has none; leave --segmenter out"
    ):
        evaluator_on(pairs, tmp_path, segmenter="espnet-camvid")


class Thirds(nn.Module):
    """Sees the classes of LABELS at the first place of each image, whatever is in it."""

    def forward(self, x):
        labels = torch.from_numpy(LABELS).unsqueeze(0)
        return torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float() + 0 * x[:, :1]


@pytest.fixture(scope="module")
def streets(home):
    """Photos and label maps of three classes."""
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 3)):
        for kind in ("label", "img"):
            (home / "streets" / f"{split}_{kind}").mkdir(parents=True)
        for number in range(count):
            photo = random.integers(0, 256, (24, 24, 3)).astype(np.uint8)
            Image.fromarray(photo).save(home / "streets" / f"{split}_img" / f"{number}.png")
            Image.fromarray(LABELS.astype(np.uint8)).save(home / "streets" / f"{split}_label" / f"{number}.png")
    file = home / "thirds.onnx"
    torch.onnx.export(Thirds().eval(), (torch.zeros(1, 3, 24, 24),), file, dynamo=True, verbose=False)
    return home / "streets", file


def test_semantics_through_a_segmenter(streets, tmp_path):
    folder, file = streets
    task = open_task(folder, size=24)
    evaluator = evaluator_on(task, tmp_path, metrics=("miou", "pixel_accuracy"), segmenter=str(file))
    evaluation = evaluator(lambda x: x[:, :3], intervals=True)
    assert evaluation.scores == {"miou": 100, "pixel_accuracy": 100}
    assert evaluation.intervals["miou"] == pytest.approx((100, 100))
    with pytest.raises(SpecError, match="unknown segmenter 'dnr'; did you mean drn"):
        evaluator_on(task, tmp_path, segmenter="dnr")
    with pytest.raises(DataError, match=r"there is no file .*none\.onnx; give a segmenter as ONNX, or one of drn"):
        evaluator_on(task, tmp_path, segmenter=str(tmp_path / "none.onnx"))
    with pytest.raises(DataError, match="miou needs label maps and a segmenter; give one with --segmenter"):
        evaluator_on(task, tmp_path, metrics=("miou",))


# -- the verb ----------------------------------------------------------------------------------------------------


def answer(outcome):
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out


def test_two_models_and_which_is_better(cli, home, tmp_path):
    for name in "ab":
        answer(cli("evaluate", home / name, home / "pairs", "--out", tmp_path / name, "--metrics", "l1,psnr"))
    words = ("evaluate", tmp_path / "a", tmp_path / "b")
    found = json.loads(answer(cli(*words, "--json")))
    assert found["images"] == 4
    assert [each["metric"] for each in found["differences"]] == ["l1", "psnr"]
    for each in found["differences"]:
        assert each["difference"] == pytest.approx(each["second"] - each["first"])
        assert each["verdict"] in ("real", "noise")
    text = answer(cli(*words))
    assert "4 images, protocol held-out" in text
    assert "noise" in text or "is better" in text


def test_several_models_of_one_recipe(cli, home):
    words = ("evaluate", home / "a", home / "pairs", "--metrics", "l1")
    single = json.loads(answer(cli(*words, "--json")))
    found = json.loads(answer(cli(*words, "--also", home / "b", "--json")))
    assert len(found["members"]) == 2
    assert found["members"][0] == single["scores"]
    assert found["scores"]["l1"] == pytest.approx(np.mean([member["l1"] for member in found["members"]]))
    assert "mean over 2 models" in answer(cli(*words, "--also", home / "b"))


def test_a_teacher_and_unpaired_data(cli, home):
    words = ("evaluate", home / "a", home / "apart", "--unpaired", "--teacher", home / "b")
    found = json.loads(answer(cli(*words, "--metrics", "teacher_l1,fd_mobilenet_v2", "--json")))
    assert found["scores"].keys() == {"teacher_l1", "fd_mobilenet_v2"}
    assert found["warnings"] != []
    text = answer(cli(*words, "--metrics", "teacher_l1"))
    assert "protocol held-out: generated test images against the real ones" in text
    assert "worst 5 %" in text


def test_every_image_of_two_sets(cli, home):
    words = ("evaluate", home / "a", home / "apart", "--split", "all", "--metrics", "kd_mobilenet_v2")
    found = json.loads(answer(cli(*words, "--json")))
    assert (found["images"], found["split"]) == (6 + 4, "train+select+test")


def save_values(place, name, array):
    """As PNG where that can hold them, else as .npy; `name` in bytes."""
    place.mkdir(parents=True, exist_ok=True)
    gray = array.ndim == 2 and array.dtype.kind == "u"
    with open(os.fsencode(place) + b"/" + name + (b".png" if gray else b".npy"), "wb") as file:
        Image.fromarray(array).save(file, "PNG") if gray else np.save(file, array)


@pytest.mark.parametrize(
    ("into", "out", "name"),
    [
        (Values(channels=1), Values(channels=1, high=4095, dtype="uint16"), b"caf\xe9"),
        (Values(channels=1, low=-900, high=900, dtype="int16"), Values(channels=5), b"\xfcber"),
        (Values(channels=4, high=1, dtype="float32"), Values(channels=2, low=2, high=9, dtype="float32"), b"p"),
    ],
)
def test_images_of_any_values_and_names_are_scored(cli, tmp_path, into, out, name):
    """All of a folder, as the arithmetic says: steps of a 255th count, as of pictures of 8 bits."""
    rng = np.random.default_rng(0)
    values = [
        [rng.uniform(own.low, own.high, (16, 20, own.channels)).astype(own.dtype).squeeze() for _ in range(5)]
        for own in (into, out)
    ]
    names = [name + b"%d" % number for number in range(5)]
    for folder, arrays in zip("AB", values, strict=True):
        for each, array in zip(names, arrays, strict=True):
            save_values(tmp_path / "data" / folder, each, array)
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=into.channels, out_channels=out.channels)
    network = init_normal(spec.build(), torch.Generator().manual_seed(0)).eval()
    card = {"size": [16, 20], "input": into.model_dump(), "output": out.model_dump()}
    save_model(tmp_path / "model", network, card)
    words = ("evaluate", tmp_path / "model", tmp_path / "data", "--metrics", "l1", "--split", "all")
    found = json.loads(answer(cli(*words, "--json")))

    def seen(array, own):
        array = torch.from_numpy(array.reshape(16, 20, own.channels).astype(np.float64))
        return ((array - own.low) / (own.high - own.low) * 2 - 1).permute(2, 0, 1)[None].float()

    expected = [(network(seen(x, into)) - seen(y, out)).abs().mean().item() for x, y in zip(*values, strict=True)]
    assert found["images"] == 5
    assert found["scores"]["l1"] == pytest.approx(np.mean(expected), abs=2 / 255)
    shown = {each.decode("utf-8", "backslashreplace") for each in names}
    assert found["worst"]["l1"]["names"][0] in shown


def test_every_image_of_a_folder(cli, home):
    """The mean over all is that over the splits."""
    words = ("evaluate", home / "a", home / "pairs", "--metrics", "l1", "--json", "--split")
    found = {split: json.loads(answer(cli(*words, split))) for split in ("train", "select", "test", "all")}
    assert found["all"]["images"] == sum(found[split]["images"] for split in ("train", "select", "test"))
    mean = sum(found[s]["images"] * found[s]["scores"]["l1"] for s in ("train", "select", "test"))
    assert found["all"]["scores"]["l1"] == pytest.approx(mean / found["all"]["images"])


@pytest.mark.parametrize("like", ["{}", "{}_fake", "model-{}"])
def test_pictures_against_real_ones_without_a_model(cli, home, tmp_path, like):
    """As the arithmetic says, whatever affix the pictures have; and one folder of pictures against another."""
    real = sorted((home / "pairs" / "B").iterdir())
    for name, shift in (("first", 3), ("second", 60)):
        (tmp_path / name).mkdir()
        for path in real:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            place = tmp_path / name / f"{like.format(path.stem)}.png"
            Image.fromarray((pixels.astype(int) + shift).clip(0, 255).astype(np.uint8)).save(place)
    words = (home / "pairs" / "B", "--metrics", "l1,fd_mobilenet_v2")
    found = json.loads(answer(cli("evaluate", tmp_path / "first", *words, "--json")))
    made = [np.asarray(Image.open(path)).astype(float) for path in sorted((tmp_path / "first").iterdir())]
    differences = [
        np.abs(a - np.asarray(Image.open(b).convert("RGB"))).mean() / 127.5 for a, b in zip(made, real, strict=True)
    ]
    assert found["scores"]["l1"] == pytest.approx(np.mean(differences), rel=1e-4)
    assert (found["images"], found["pairs"]) == (len(real), True)
    for name in ("first", "second"):
        answer(cli("evaluate", tmp_path / name, *words, "--out", tmp_path / f"{name}-result"))
    verdict = answer(cli("evaluate", tmp_path / "first-result", tmp_path / "second-result"))
    assert "real: first is better" in verdict


def test_pictures_as_sets(cli, home, tmp_path):
    """Other names and another number; images of several sizes."""
    for number, side in enumerate((24, 24, 32)):
        write_picture(tmp_path / "made" / f"q{number}.png", number, side, side)
    words = ("evaluate", tmp_path / "made", home / "pairs" / "B")
    found = json.loads(answer(cli(*words, "--metrics", "fd_mobilenet_v2", "--json")))
    assert (found["images"], found["pairs"]) == (3, False)
    assert found["scores"]["fd_mobilenet_v2"] > 0
    assert "3 pictures against 20 real images, as sets alone" in answer(cli(*words))
    assert "q0.png has no partner in" in cli(*words, "--paired").err
    refusal = cli(*words, "--split", "test").err
    assert "--split is for scoring a model, and here are its pictures; leave it out" in refusal
    for number in range(20):
        write_picture(tmp_path / "large" / f"p{number:02}.png", number, 32, 32)
    words = ("evaluate", tmp_path / "large", home / "pairs" / "B", "--metrics", "l1", "--json")
    assert "must be equally large, and are 32x32 but 24x24; give --size" in cli(*words).err
    assert json.loads(answer(cli(*words, "--size", 24)))["pairs"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--metrics", "fid_lagacy"), "unknown metric 'fid_lagacy'; did you mean fid_legacy"),
        (("--protocol", "heldout"), "unknown protocol 'heldout'; did you mean held-out"),
        (("--metrics", "fid_clean"), "inception needs its trained weights: "),
        (("--metrics", "fid"), "inception needs its trained weights: "),
        (("--metrics", "FID"), "inception needs its trained weights: "),
        (("--metrics", "Lpips"), "alexnet needs its trained weights: "),
        (("--metrics", "fd_dinov2"), "dinov2 needs its trained weights"),
        (("--metrics", "teacher_l1"), "teacher_l1 needs a teacher's outputs; give one with --teacher"),
        (("--metrics", "ms_ssim"), "ms_ssim needs images of at least 176 pixels a side, and these are 24 x 24"),
        (("--weights", "inception"), "--weights 'inception' cannot be read; write NAME=FILE"),
        (("--weights", "inception=none.pth"), "none.pth, given as the weights of inception, is no file"),
        (("--weights", f"incep={__file__}"), "unknown network 'incep'; did you mean inception"),
        (("--protocol", "cut-120-140"), "cut-120-140 is for data without pairs"),
        (
            ("--statistics", __file__, "--metrics", "l1"),
            "statistics of real images are for FIDs, and none is wanted; add fid_legacy",
        ),
    ],
)
def test_mistakes(cli, home, words, reason):
    outcome = cli("evaluate", home / "a", home / "pairs", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.err
    assert outcome.err.count("\n") == 1


def test_results_of_different_protocols(cli, home, tmp_path):
    words = ("evaluate", home / "a", home / "apart", "--unpaired", "--metrics", "kd_mobilenet_v2")
    answer(cli(*words, "--out", tmp_path / "one"))
    answer(cli(*words, "--out", tmp_path / "other", "--protocol", "gan-compression-unpaired"))
    outcome = cli("evaluate", tmp_path / "one", tmp_path / "other")
    assert outcome.code == 2
    assert "compare only under one protocol, and these are held-out and gan-compression-unpaired" in outcome.err
    outcome = cli("evaluate", tmp_path / "one", home / "a")
    assert outcome.code == 2
    assert "holds no result of an evaluation" in outcome.err


def test_no_metric_of_the_defaults_needs_a_download():
    from pocketgan.metrics.catalog import DEFAULT_PAIRED, DEFAULT_UNPAIRED

    for name in (*DEFAULT_PAIRED, *DEFAULT_UNPAIRED):
        assert METRICS[name].encoder in (None, "mobilenet_v2")
        assert "lpips" not in name
