import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pocketgan.data import inputs as module
from pocketgan.data.batches import training_batches
from pocketgan.data.cache import load_examples
from pocketgan.data.inputs import Inputs, load_inputs, open_inputs
from pocketgan.data.task import Task, open_task
from pocketgan.errors import DataError, SpecError
from tests.data.pictures import picture, write_aligned, write_folders, write_labels, write_picture, write_sets


def write_inputs(folder: Path, count: int = 4, side: int = 20) -> Path:
    """Inputs u0, u1, ... seeded 300, 301, ..."""
    for index in range(count):
        write_picture(folder / f"u{index}.png", 300 + index, side, side)
    return folder


@pytest.fixture
def task(tmp_path) -> Task:
    return open_task(write_folders(tmp_path / "data", 10, side=20), size=16)


@pytest.fixture
def inputs(tmp_path, task) -> Inputs:
    return open_inputs(write_inputs(tmp_path / "more"), task)


def shrunk(seed: int, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture(seed, 20, 20)).resize((side, side), Image.Resampling.BICUBIC))


def line(kind: type[Exception], folder: Path, task: Task) -> str:
    """The message that opening a folder ends in."""
    with pytest.raises(kind) as caught:
        open_inputs(folder, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Opening


def test_digest_is_that_of_sorted_names_and_bytes(tmp_path, inputs):
    (tmp_path / "more" / "notes.txt").write_text("no image")
    write_picture(tmp_path / "more" / "deeper" / "u9.png")
    files = sorted((tmp_path / "more").glob("u*.png"))
    text = "".join(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    assert inputs.data_digest == hashlib.sha256(text.encode()).hexdigest()
    assert inputs.files() == files


def test_identity_is_the_data_not_the_place(tmp_path, task, inputs):
    shutil.copytree(tmp_path / "more", tmp_path / "there")
    there = open_inputs(str(tmp_path / "there"), task)
    assert inputs == there
    assert len({inputs, there}) == 1
    assert inputs.model_dump_json() == there.model_dump_json()
    (tmp_path / "there" / "u0.png").rename(tmp_path / "there" / "v0.png")
    assert open_inputs(tmp_path / "there", task) != inputs


def test_json_comes_back_with_a_root(tmp_path, inputs):
    assert inputs.model_dump() == {"data_digest": inputs.data_digest}
    back = Inputs.model_validate({**inputs.model_dump(mode="json"), "root": tmp_path / "more"})
    assert back == inputs
    assert back.files() == inputs.files()
    with pytest.raises(ValidationError):
        Inputs(**inputs.model_dump(), root=tmp_path, colour="blue")
    with pytest.raises(ValidationError):
        inputs.data_digest = "d"


def test_no_folder(tmp_path, task):
    end = "; check its name"
    start = "--unlabelled needs a folder of images, and there is no folder "
    assert line(DataError, tmp_path / "none", task) == f"{start}{tmp_path / 'none'}{end}"
    file = write_picture(tmp_path / "one.png")
    assert line(DataError, file, task) == f"{start}{file}{end}"


def test_no_images(tmp_path, task):
    write_picture(tmp_path / "more" / "deeper" / "u0.png")
    expected = f"{tmp_path / 'more'} holds no images; folders within it are not searched; put some there"
    assert line(DataError, tmp_path / "more", task) == expected


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xfcber", b"\x93\xfa\x96{"])
def test_names_that_are_not_utf_8(tmp_path, task, name):
    """As archives in Latin 1 or Shift JIS leave them."""
    path = write_picture(tmp_path / "more" / "u.png", 300, 20, 20)
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/" + name + b".png"))
    inputs = open_inputs(tmp_path / "more", task)
    union = load_inputs(inputs, task, "train", tmp_path / "cache")
    assert union.sources.names[-1] == name.decode("utf-8", "backslashreplace") + ".png"
    np.testing.assert_array_equal(union.sources.pixels[-1], shrunk(300, 18))
    content = hashlib.sha256((tmp_path / "more" / os.fsdecode(name + b".png")).read_bytes()).hexdigest()
    assert inputs.data_digest == hashlib.sha256(name + f".png\0{content}\n".encode()).hexdigest()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_broken_links_are_counted(tmp_path, task, inputs, count):
    for number in range(count):
        (tmp_path / "more" / f"gone{number}.png").symlink_to("nowhere.png")
    there = open_inputs(tmp_path / "more", task)
    assert there.data_digest == inputs.data_digest
    assert there.note == f"4 inputs without a partner, {count} broken link{'s' * (count > 1)} left out"


def test_the_smallest_image_is_named(tmp_path, task, inputs):
    write_picture(tmp_path / "more" / "v.png", 1, 30, 15)
    small = write_picture(tmp_path / "more" / "w.png", 1, 14, 30)
    expected = f"{small} is 30x14, smaller than the size 16; pass --size 14 or less, or remove the image"
    assert line(DataError, tmp_path / "more", task) == expected


def test_a_damaged_header_is_named(tmp_path, task, inputs):
    broken = tmp_path / "more" / "v.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    expected = f"{broken} is corrupt, truncated or no image; replace or remove it"
    assert line(DataError, tmp_path / "more", task) == expected


@pytest.mark.parametrize(("split", "what"), [("test", "figures come from"), ("select", "choices are made on")])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_a_held_out_source_is_refused_under_any_name(tmp_path, inputs, split, what, direction):
    task = open_task(tmp_path / "data", size=16, direction=direction)
    own, other = task.files(split) if direction == "AtoB" else reversed(task.files(split))
    shutil.copy(other[0].path, tmp_path / "more" / "other.png")
    shutil.copy(task.files("train").a[0].path, tmp_path / "more" / "a.png")
    shutil.copy(task.files("train").b[0].path, tmp_path / "more" / "b.png")
    open_inputs(tmp_path / "more", task)
    copied = shutil.copy(own[0].path, tmp_path / "more" / "renamed.png")
    expected = f"{copied} is {own[0].path}, a {split} image, which {what}; remove it from the inputs"
    assert line(DataError, tmp_path / "more", task) == expected


def test_label_maps_are_refused(tmp_path, inputs):
    task = open_task(write_labels(tmp_path / "labels", 10), size=16)
    expected = f"--unlabelled is for images, and the inputs of {tmp_path / 'labels'} are label maps; leave it out"
    assert line(SpecError, tmp_path / "more", task) == expected


# Loading


@pytest.mark.parametrize("splits", ["train", ("train", "select")])
def test_inputs_follow_the_sources(task, inputs, tmp_path, splits):
    labelled = load_examples(task, splits, tmp_path / "cache", training=True)
    union = load_inputs(inputs, task, splits, tmp_path / "cache")
    count = len(labelled.sources)
    assert not union.paired
    assert union.sources.names == [*labelled.sources.names, "u0.png", "u1.png", "u2.png", "u3.png"]
    assert union.sources.pixels.shape == (count + 4, 18, 18, 3)
    np.testing.assert_array_equal(union.sources.pixels[:count], labelled.sources.pixels)
    np.testing.assert_array_equal(union.sources.pixels[count:], [shrunk(300 + index, 18) for index in range(4)])
    assert union.targets.names == labelled.targets.names
    np.testing.assert_array_equal(union.targets.pixels, labelled.targets.pixels)


def test_each_direction_has_its_own_sources(task, inputs, tmp_path):
    backward = open_task(tmp_path / "data", size=16, direction="BtoA")
    there, back = (load_inputs(inputs, each, "train", tmp_path / "cache").sources for each in (task, backward))
    assert there.names == back.names
    number = int(there.names[0][1:])
    np.testing.assert_array_equal(there.pixels[0], shrunk(number, 18))
    np.testing.assert_array_equal(back.pixels[0], shrunk(100 + number, 18))
    np.testing.assert_array_equal(there.pixels[-1], back.pixels[-1])


def test_an_input_beside_aligned_pairs_is_one_whole_image(tmp_path):
    task = open_task(write_aligned(tmp_path / "data", 10), size=16, load_size=16)
    wide = write_picture(tmp_path / "more" / "u.png", 300, 16, 32)
    union = load_inputs(open_inputs(tmp_path / "more", task), task, "train", tmp_path / "cache")
    expected = Image.open(wide).resize((16, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(union.sources.pixels[-1], np.asarray(expected))


def test_inputs_of_two_sets(tmp_path):
    write_sets(tmp_path / "data", 10, 6, side=20)
    task = open_task(tmp_path / "data", size=(12, 16), direction="BtoA")
    union = load_inputs(open_inputs(write_inputs(tmp_path / "more"), task), task, "train", tmp_path / "cache")
    assert [name[0] for name in union.sources.names] == list("bbbuuuu")
    assert union.sources.pixels.shape[1:] == (13, 18, 3)
    assert len(union.targets) == 7


def test_training_batches_of_the_union(task, inputs, tmp_path):
    union = load_inputs(inputs, task, "train", tmp_path / "cache")
    batches = list(training_batches(union, batch_size=1, size=task.size, flip=True, seed=0, epoch=0))
    assert sorted(batch.names[0] for batch in batches) == sorted(union.sources.names)
    assert all(batch.x.pixels.shape == (1, 16, 16, 3) for batch in batches)


def test_existing_cache_is_mapped_not_decoded(task, inputs, tmp_path, monkeypatch):
    first = load_inputs(inputs, task, "train", tmp_path / "cache")
    monkeypatch.setattr(module, "read_raster", None)
    again = load_inputs(inputs, task, "train", tmp_path / "cache")
    assert isinstance(again.sources.pixels, np.memmap)
    assert not again.sources.pixels.flags.writeable
    np.testing.assert_array_equal(first.sources.pixels, again.sources.pixels)


def test_other_inputs_have_another_cache(task, inputs, tmp_path):
    before = np.array(load_inputs(inputs, task, "train", tmp_path / "cache").sources.pixels)
    write_picture(tmp_path / "more" / "u0.png", 400, 20, 20)
    after = load_inputs(open_inputs(tmp_path / "more", task), task, "train", tmp_path / "cache").sources.pixels
    changed = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
    assert changed == [False] * 7 + [True] + [False] * 3


def test_a_damaged_cache_is_made_again(task, inputs, tmp_path):
    first = np.array(load_inputs(inputs, task, "train", tmp_path / "cache").sources.pixels)
    (path,) = (tmp_path / "cache").glob("inputs-18-*.npy")
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    np.testing.assert_array_equal(load_inputs(inputs, task, "train", tmp_path / "cache").sources.pixels, first)
    assert path.read_bytes() == whole


def test_progress_counts_the_pairs_and_then_all_sources(task, inputs, tmp_path):
    seen: list[tuple[int, int]] = []
    load_inputs(inputs, task, "train", tmp_path / "cache", lambda done, total: seen.append((done, total)))
    assert seen == [(done, 7) for done in range(1, 8)] + [(done, 11) for done in range(1, 12)]


def test_a_truncated_image_is_named(task, inputs, tmp_path):
    path = tmp_path / "more" / "u2.png"
    path.write_bytes(path.read_bytes()[:-200])
    cut = open_inputs(tmp_path / "more", task)  # the header is whole
    with pytest.raises(DataError) as caught:
        load_inputs(cut, task, "train", tmp_path / "cache")
    assert str(caught.value) == f"{path} is corrupt, truncated or no image; replace or remove it"
    assert not [path for path in (tmp_path / "cache").iterdir() if "inputs" in path.name]


def test_inputs_that_changed_since_leave_no_cache(task, tmp_path):
    inputs = open_inputs(write_inputs(tmp_path / "more"), task)
    path = inputs.files()[0]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        DataError, match=f"the inputs in {tmp_path / 'more'} changed while they were used; put them"
    ):
        load_inputs(inputs, task, "train", tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("inputs-*"))
