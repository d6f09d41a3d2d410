"""How training sees pictures: resized and cropped, cropped as they are, mirrored or not, turned or not."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from pocketgan.data import images, raster
from pocketgan.data.batches import student_batches, training_batches
from pocketgan.data.cache import Examples, load_examples
from pocketgan.data.inputs import load_inputs, open_inputs
from pocketgan.data.ragged import Ragged
from pocketgan.data.task import Task, open_task
from pocketgan.data.values import Values
from pocketgan.errors import DataError, SpecError
from pocketgan.models import Model, load_model, save_model
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.training import Train, card_of
from pocketgan.training.schedule import Schedule
from tests.conftest import TOY, Outcome
from tests.data.pictures import numbers, picture, write_aligned, write_labels, write_map, write_picture

BICUBIC = Image.Resampling.BICUBIC
#: height and width of pair number 0, 1, ...
SIDES = ((16, 16), (20, 33), (41, 18), (24, 24), (16, 40), (19, 17))


def shrunk(array: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((side, side), BICUBIC))


def middle(array: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in array.shape[:2])
    return array[top : top + side, left : left + side]


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Pairs p00, p01, ... of different sizes: seeded 0, 1, ... and 100, 101, ..."""
    for index, (height, width) in enumerate(SIDES):
        write_picture(tmp_path / "data" / "A" / f"p{index:02}.png", index, height, width)
        write_picture(tmp_path / "data" / "B" / f"p{index:02}.png", 100 + index, height, width)
    return tmp_path / "data"


def crops(examples: Examples, side: int, **options: object) -> list:
    words = dict(batch_size=2, size=(side, side), flip=False, seed=1, epoch=0) | options
    return [batch.on(torch.device("cpu")) for batch in training_batches(examples, **words)]


def bytes_of(tensor: torch.Tensor) -> np.ndarray:
    return ((tensor.permute(1, 2, 0) + 1) * 127.5).round().numpy().astype(np.uint8)


def places(whole: np.ndarray, crop: np.ndarray) -> list[tuple[int, int, int, bool]]:
    """All (top, left, right angles, mirrored) that explain a crop, by trying them all."""
    side = len(crop)
    found = []
    for mirrored in (False, True):
        for turns in range(4):
            back = np.rot90(crop, -turns)
            back = back[:, ::-1] if mirrored else back
            found += [
                (top, left, turns, mirrored)
                for top in range(whole.shape[0] - side + 1)
                for left in range(whole.shape[1] - side + 1)
                if (whole[top : top + side, left : left + side] == back).all()
            ]
    return found


# -- --load-size -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "load_size"), [(8, 16), (8, 13), (10, 40)])
def test_crops_of_images_that_were_resized(uneven, tmp_path, size, load_size):
    task = open_task(uneven, size=size, load_size=load_size, centre=True)
    whole = {number: shrunk(picture(number, *sides), load_size) for number, sides in enumerate(SIDES)}
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    seen = set()
    for epoch in range(4):
        for batch in crops(examples, size, epoch=epoch):
            for name, x in zip(batch.names, batch.x, strict=True):
                ((top, left, *rest),) = places(whole[int(name[1:])], bytes_of(x))
                assert rest == [0, False]
                seen.add((top, left))
    assert len(seen) > 5, "random places"
    for split in ("select", "test"):
        judged = load_examples(task, split, tmp_path / "cache", training=False)
        for name, source, target in zip(
            judged.sources.names, judged.sources.pixels, judged.targets.pixels, strict=True
        ):
            number = int(name[1:])
            np.testing.assert_array_equal(source, middle(whole[number], size))
            np.testing.assert_array_equal(
                target, middle(shrunk(picture(100 + number, *SIDES[number]), load_size), size)
            )


def test_a_load_size_of_the_papers_is_judged_on_whole_images(uneven, tmp_path):
    """As ever, and not from the same file of the cache."""
    whole, centred = (open_task(uneven, size=8, load_size=16, centre=centre) for centre in (False, True))
    first, second = (load_examples(task, "test", tmp_path, training=False) for task in (whole, centred))
    for name, source in zip(first.sources.names, first.sources.pixels, strict=True):
        np.testing.assert_array_equal(source, shrunk(picture(int(name[1:]), *SIDES[int(name[1:])]), 8))
    assert not np.array_equal(first.sources.pixels, second.sources.pixels)
    assert whole.sight_note == ""
    assert centred.sight_note == "random crops of 8 from images resized to 16, judged by their middle 8"


# -- --crop ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 12, 16])
def test_crops_of_images_as_they_are(uneven, tmp_path, size):
    task = open_task(uneven, size=size, crop=True)
    assert (task.load_size, task.centre) == (None, True)
    assert task.sight_note == f"random crops of {size} from images as they are, judged by their middle {size}"
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    assert isinstance(examples.sources.pixels, Ragged)
    assert examples.sources.sides.tolist() == [list(SIDES[int(name[1:])]) for name in examples.sources.names]
    seen = set()
    for epoch in range(6):
        for batch in crops(examples, size, epoch=epoch):
            for name, x, y in zip(batch.names, batch.x, batch.y, strict=True):
                number = int(name[1:])
                ((top, left, *_),) = places(picture(number, *SIDES[number]), bytes_of(x))
                np.testing.assert_array_equal(
                    bytes_of(y), picture(100 + number, *SIDES[number])[top : top + size, left : left + size]
                )
                seen.add((number, top, left))
    assert len(seen) > 6
    judged = load_examples(task, "test", tmp_path / "cache", training=False)
    for name, source in zip(judged.sources.names, judged.sources.pixels, strict=True):
        np.testing.assert_array_equal(source, middle(picture(int(name[1:]), *SIDES[int(name[1:])]), size))


def test_crops_of_halves_and_of_label_maps(tmp_path):
    task = open_task(write_aligned(tmp_path / "halves", 5, 20), size=8, crop=True)
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    for name, source, target in zip(
        examples.sources.names, examples.sources.pixels, examples.targets.pixels, strict=True
    ):
        np.testing.assert_array_equal(np.hstack([source, target]), picture(int(name[1:]), 20, 40))
    write_labels(tmp_path / "labels", 4, side=20)
    write_labels(tmp_path / "labels", 5, side=24, folders=("more", "more", "more"))
    task = open_task(tmp_path / "labels", size=8, crop=True)
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    for name, source in zip(examples.sources.names, examples.sources.pixels, strict=True):
        np.testing.assert_array_equal(source[..., 0], numbers(int(name[1:]), 4, 20, 20))
    (batch,) = crops(examples, 8)
    assert batch.x.shape == (2, 6, 8, 8)


def test_a_damaged_file_of_uneven_images_is_made_again(uneven, tmp_path):
    task = open_task(uneven, size=8, crop=True)
    cache = tmp_path / "cache"
    whole = [np.array(each) for each in load_examples(task, "train", cache, training=True).sources.pixels]
    (path,) = cache.glob("train-A-own-*.npy")
    content = path.read_bytes()
    for spoilt in (content[:7], content[:-1], b"", content + b"1", content[:-8] + bytes(8)):
        path.write_bytes(spoilt)
        again = load_examples(task, "train", cache, training=True).sources.pixels
        assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
        assert path.read_bytes() == content
    path.unlink()
    assert len(load_examples(task, "train", cache, training=True).sources) == len(whole)


def test_inputs_without_a_partner_are_cropped_too(uneven, tmp_path):
    task = open_task(uneven, size=16, crop=True)
    write_picture(tmp_path / "more" / "x.png", 50, 30, 18)
    inputs = open_inputs(tmp_path / "more", task)
    union = load_inputs(inputs, task, "train", tmp_path / "cache")
    assert union.sources.sides.tolist()[-1] == [30, 18]
    labelled = load_examples(task, "train", tmp_path / "cache", training=True)
    options = dict(batch_size=1, size=(16, 16), flip=False, seed=0)
    seen = set()
    for epoch in range(4):
        for batch in student_batches(labelled, union, lambda step: False, epoch=epoch, **options):
            seen |= {*batch.names}
    assert "x.png" in seen


def test_images_too_small_to_crop_are_named(uneven, tmp_path):
    with pytest.raises(DataError, match=r"smaller than the size 17; pass --size 16 or less"):
        open_task(uneven, size=17, crop=True)
    write_labels(tmp_path / "labels", 5, instances=False)
    for kind in ("label", "image"):
        write = write_map if kind == "label" else (lambda path, array: Image.fromarray(array).save(path))
        write(tmp_path / "labels" / kind / "m00.png", np.zeros((8, 30), np.uint8))
    with pytest.raises(DataError, match=r"smaller than the size 16"):
        open_task(tmp_path / "labels", size=16, crop=True)
    assert open_task(tmp_path / "labels", size=16).load_size == (18, 18)
    with pytest.raises(SpecError, match="--crop takes images as they are, and --load-size resizes them"):
        open_task(uneven, size=8, crop=True, load_size=16)


# -- --no-flip and --rotate --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flip", "rotate"), [(False, False), (True, False), (False, True), (True, True)])
def test_what_is_mirrored_and_turned(tmp_path, flip, rotate):
    """Pairs alike; whatever else is random stays as it was."""
    task = open_task(write_aligned(tmp_path / "data", 8, 12), size=9, load_size=12, flip=flip, rotate=rotate)
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    found, corners = set(), []
    for epoch in range(8):
        for batch in crops(examples, 9, flip=task.flip, rotate=task.rotate, epoch=epoch):
            for name, x, y in zip(batch.names, batch.x, batch.y, strict=True):
                whole = picture(int(name[1:]), 12, 24)
                ((top, left, turns, mirrored),) = places(whole[:, :12], bytes_of(x))
                assert places(whole[:, 12:], bytes_of(y)) == [(top, left, turns, mirrored)]
                found.add((turns, mirrored))
                corners.append((name, top, left))
    assert found == {(t, m) for t in range(4 if rotate else 1) for m in ((False, True) if flip else (False,))}
    plain = [
        (name, *places(picture(int(name[1:]), 12, 24)[:, :12], bytes_of(x))[0][:2])
        for epoch in range(8)
        for batch in crops(examples, 9, epoch=epoch)
        for name, x in zip(batch.names, batch.x, strict=True)
    ]
    assert corners == plain
    words = ["not mirrored"] * (not flip) + ["turned by 90 degrees at random"] * rotate
    assert task.sight_note == ", ".join(words)


def test_only_squares_are_turned(tmp_path):
    with pytest.raises(SpecError) as caught:
        open_task(write_aligned(tmp_path, 5, 20), size=(8, 16), rotate=True)
    assert str(caught.value) == "turning by 90 degrees needs a square, and the size is 8x16; leave --rotate out"


# -- what is kept ------------------------------------------------------------------------------------------------


def test_options_that_are_not_used_leave_no_trace(tmp_path):
    """So that the digests of stages, which hold their task, are those of before."""
    write_aligned(tmp_path, 5, 20)
    plain = open_task(tmp_path, size=8).model_dump(mode="json")
    assert not {"rotate", "centre"} & plain.keys()
    for options in ({"crop": True}, {"rotate": True}, {"load_size": 10, "centre": True}):
        task = open_task(tmp_path, size=8, **options)
        fields = task.model_dump(mode="json")
        assert Task.model_validate({**fields, "root": tmp_path}) == task != open_task(tmp_path, size=8)


@pytest.mark.parametrize(
    ("options", "sight"),
    [
        ({}, {}),
        ({"crop": True}, {"crop": True}),
        ({"load_size": 16, "centre": True}, {"load_size": (16, 16), "centre": True}),
    ],
)
def test_a_model_says_how_it_saw_its_images(tmp_path, options, sight):
    task = open_task(write_aligned(tmp_path, 5, 20), size=8, **options)
    made_by = Train(
        task=task, generator=ResnetSpec.uniform(2), schedule=Schedule(constant=1, decay=0, batch_size=1)
    )
    model = Model(None, None, card_of(task, made_by))
    assert model.sight == sight
    assert open_task(tmp_path, size=8, **model.sight) == task


# -- Pillow's limit ----------------------------------------------------------------------------------------------


def test_large_pictures_on_demand(tmp_path, monkeypatch):
    """Beyond the limit: one line with the way out. Between half of it and all of it: no warning either."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    paths = [write_picture(tmp_path / f"{n}.png", n, height, 20) for n, height in enumerate((10, 15, 20, 21, 30))]
    for path in paths[:3]:
        assert images.read_rgb(path).shape[1] == 20
    for path, limit, count in zip(paths[3:], (400, 420), (420, 600), strict=True):
        with pytest.raises(DataError) as caught:
            images.read_rgb(path)
        assert str(caught.value) == (
            f"{path} has {count} pixels, and images of more than {limit} are not opened unasked; make it smaller, "
            f"remove it, or say pocketgan --max-pixels {count} before the verb"
        )
        raster.allow_pixels(count)
        assert images.read_rgb(path).shape[1] == 20


# -- the command line --------------------------------------------------------------------------------------------


def test_a_run_on_crops_is_judged_as_it_learns(cli: Callable[..., Outcome], tmp_path: Path):
    """From data of 4 and 3 channels to scores and a verified file; and evaluate sees the images as the run did."""
    for index in range(12):
        write_picture(tmp_path / "data" / "B" / f"p{index:02}.png", index, 24 + index, 40 - index)
        source = picture(index, 24 + index, 40 - index)
        (tmp_path / "data" / "A").mkdir(exist_ok=True)
        np.save(tmp_path / "data" / "A" / f"p{index:02}.npy", np.dstack([source, source[..., 1]]))
    words = ("compress", tmp_path / "data", "--budget", "1G", "--size", 24, "--crop", "--rotate", "--no-flip")
    run = tmp_path / "run"
    made = cli(*words, "--out", run, *TOY)
    assert made.code == 0, made.err
    told = (
        "random crops of 24 from images as they are, judged by their middle 24, not mirrored, turned by 90 degrees"
    )
    assert f"training sees {told} at random" in made.out
    assert "images of A: 4 channels, values 0 to 255; B: 3 channels (as colours), values 0 to 255" in made.out
    report = json.loads((run / "report.json").read_text())
    assert (
        "Pictures, and metrics and terms that look through a feature network, show the first three channels."
        in (report["notes"])
    )
    check_file(run, Values(channels=4), Values())
    assert f"training saw {told} at random" in report["notes"]
    scores = {row["name"]: row["scores"] for row in report["rows"]}["compressed"]
    again = json.loads(cli("evaluate", run, tmp_path / "data", "--metrics", "l1,psnr", "--json").out)["scores"]
    assert again == pytest.approx({name: scores[name] for name in again})
    resized = cli("evaluate", run, tmp_path / "data", "--metrics", "l1", "--size", 24, "--json").out
    assert json.loads(resized)["scores"]["l1"] != pytest.approx(scores["l1"])


def check_file(run: Path, source: Values, target: Values) -> None:
    """The exported file does what the model does, was verified on real images, and says what it takes and makes."""
    for path in run.glob("stages/export-*/artifact/verified.json"):
        assert json.loads(path.read_text())["largest_difference"] < 1e-3
    model, file = load_model(run / "model"), run / "export" / "compressed.onnx"
    assert (model.source, model.target) == (source, target)
    x = torch.rand(2, source.channels, 32, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (y,) = onnxruntime.InferenceSession(file).run(None, {"image": x.numpy()})
    np.testing.assert_allclose(y, model.network(x).detach(), atol=1e-3)
    assert y.shape == (2, target.channels, 32, 24)
    (entry,) = (each for each in onnx.load(file).metadata_props if each.key == "pocketgan")
    assert json.loads(entry.value) == {"input": source.model_dump(), "output": target.model_dump()}


def test_a_run_on_gray_images_of_12_bits(cli: Callable[..., Outcome], tmp_path: Path):
    """From data to a verified file, pictures in values of 12 bits, and their scores without the model."""
    rng = np.random.default_rng(0)
    for index in range(12):
        source = np.kron(rng.integers(0, 4096, (7, 8)), np.ones((4, 4), int)).astype(np.uint16)
        for folder, values in (("A", source), ("B", 4095 - source)):
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(tmp_path / "data" / folder / f"p{index:02}.png")
    run, data = tmp_path / "run", tmp_path / "data"
    made = cli("compress", data, "--budget", "1G", "--size", 24, "--out", run, *TOY)
    assert made.code == 0, made.err
    assert "images of A: gray, values 0 to 4,095; B: gray, values 0 to 4,095" in made.out
    kind = Values(channels=1, high=4095, dtype="uint16")
    check_file(run, kind, kind)
    rows = {row["name"]: row["scores"] for row in json.loads((run / "report.json").read_text())["rows"]}
    again = json.loads(cli("evaluate", run, data, "--metrics", "l1", "--json").out)["scores"]
    assert again["l1"] == pytest.approx(rows["compressed"]["l1"])
    assert cli("translate", run, data / "A", "-o", tmp_path / "made").code == 0
    pictures = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "made").iterdir())]
    assert {(each.dtype.name, each.shape) for each in pictures} == {("uint16", (28, 32))}
    assert 255 < max(int(each.max()) for each in pictures) <= 4095
    real = [np.asarray(Image.open(path)) for path in sorted((data / "B").iterdir())]
    error = np.mean([np.abs(a.astype(float) - b).mean() / 4095 * 2 for a, b in zip(pictures, real, strict=True)])
    alone = json.loads(cli("evaluate", tmp_path / "made", data / "B", "--metrics", "l1", "--json").out)["scores"]
    assert alone["l1"] == pytest.approx(error, abs=0.005)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--load-size", 15), "the load size 15 is smaller than the crop size 16; make it 16 or more"),
        (("--load-size", "20x"), "--load-size '20x' cannot be read; write a side as 256"),
        (("--crop", "--load-size", 20), "--crop takes images as they are, and --load-size resizes them; leave one"),
        (("--size", "16x20", "--rotate"), "turning by 90 degrees needs a square, and the size is 16x20"),
    ],
)
def test_how_images_cannot_be_seen(cli: Callable[..., Outcome], tmp_path: Path, words: tuple, message: str):
    write_aligned(tmp_path / "data", 12, 24)
    ended = cli("compress", tmp_path / "data", "--budget", "1G", "--size", 16, *words, "--out", tmp_path / "run")
    assert (ended.code, ended.err.count("\n"), (tmp_path / "run").exists()) == (2, 1, False)
    assert message in ended.err


def test_the_way_past_the_limit_of_pixels(cli: Callable[..., Outcome], tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    save_model(tmp_path / "model", ResnetSpec.uniform(2, blocks=1).build(), {})
    path = write_picture(tmp_path / "large.png", 1, 24, 24)
    words = ("translate", tmp_path / "model", path, "-o", tmp_path / "made")
    ended = cli(*words)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "say pocketgan --max-pixels 576 before the verb" in ended.err
    assert cli("--max-pixels", 576, *words).code == 0
    assert images.read_rgb(tmp_path / "made" / "large.png").shape == (24, 24, 3)
