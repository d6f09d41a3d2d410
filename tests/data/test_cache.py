import numpy as np
import pytest
from PIL import Image

from pocketgan.data import cache
from pocketgan.data.cache import load_examples
from pocketgan.data.task import open_task
from pocketgan.errors import DataError, OutputError
from tests.data.pictures import picture, write_aligned, write_folders, write_sets

BICUBIC = Image.Resampling.BICUBIC


def shrunk(array: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((side, side), BICUBIC))


def rows(examples):
    """Name, source and target of each pair."""
    return zip(examples.sources.names, examples.sources.pixels, examples.targets.pixels, strict=True)


def contents(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture
def task(tmp_path):
    return open_task(write_folders(tmp_path / "data", 10, side=20), size=16)


def test_pixels_of_folders(task, tmp_path):
    for training, side in ((True, 18), (False, 16)):
        examples = load_examples(task, "train", tmp_path / "cache", training=training)
        assert examples.sources.pixels.shape == examples.targets.pixels.shape == (len(examples), side, side, 3)
        assert examples.sources.names == examples.targets.names == [sample.name for sample in task.files("train").a]
        for name, source, target in rows(examples):
            index = int(name[1:])
            np.testing.assert_array_equal(source, shrunk(picture(index, 20, 20), side))
            np.testing.assert_array_equal(target, shrunk(picture(100 + index, 20, 20), side))


def test_pixels_of_halves(tmp_path):
    task = open_task(write_aligned(tmp_path / "data", 10), size=16)
    for name, source, target in rows(load_examples(task, "test", tmp_path / "cache", training=False)):
        whole = picture(int(name[1:]), 16, 32)
        np.testing.assert_array_equal(source, whole[:, :16])
        np.testing.assert_array_equal(target, whole[:, 16:])


def test_height_and_width_may_differ(tmp_path):
    task = open_task(write_folders(tmp_path / "data", 10, side=20), size=(12, 16))
    assert task.load_size == (13, 18)
    examples = load_examples(task, "train", tmp_path / "cache", training=True)
    expected = Image.fromarray(picture(int(examples.sources.names[0][1:]), 20, 20)).resize((18, 13), BICUBIC)
    np.testing.assert_array_equal(examples.sources.pixels[0], np.asarray(expected))


def test_several_splits_together(task, tmp_path):
    both = load_examples(task, ("train", "select"), tmp_path, training=True)
    parts = [load_examples(task, split, tmp_path, training=True) for split in ("train", "select")]
    assert both.targets.names == [name for part in parts for name in part.targets.names]
    np.testing.assert_array_equal(both.targets.pixels, np.concatenate([part.targets.pixels for part in parts]))


def test_one_cache_serves_both_directions(task, tmp_path):
    backward = open_task(tmp_path / "data", size=16, direction="BtoA")
    there = load_examples(task, "train", tmp_path / "cache", training=False)
    before = contents(tmp_path / "cache")
    back = load_examples(backward, "train", tmp_path / "cache", training=False)
    np.testing.assert_array_equal(there.sources.pixels, back.targets.pixels)
    np.testing.assert_array_equal(there.targets.pixels, back.sources.pixels)
    assert contents(tmp_path / "cache") == before
    assert len(before) == 2, "a file a domain"


def test_two_sets_without_pairs(tmp_path):
    write_sets(tmp_path / "data", 10, 6)
    seen = []
    task = open_task(tmp_path / "data", size=16, direction="BtoA")
    examples = load_examples(
        task, "train", tmp_path / "cache", training=False, progress=lambda *done: seen.append(done)
    )
    assert not examples.paired
    assert (len(examples.sources), len(examples.targets), len(examples)) == (3, 7, 7)
    for images in (examples.sources, examples.targets):
        for name, pixels in zip(images.names, images.pixels, strict=True):
            np.testing.assert_array_equal(pixels, picture(int(name[1:]) + 100 * (name[0] == "b"), 16, 16))
    assert {name[0] for name in examples.sources.names} == {"b"}
    assert seen == [(done, 10) for done in range(1, 11)]


def test_existing_cache_is_mapped_not_decoded(task, tmp_path, monkeypatch):
    first = load_examples(task, "train", tmp_path / "cache", training=True)
    monkeypatch.setattr(cache, "read_raster", None)
    again = load_examples(task, "train", tmp_path / "cache", training=True)
    assert isinstance(again.sources.pixels, np.memmap)
    assert not again.sources.pixels.flags.writeable
    np.testing.assert_array_equal(first.sources.pixels, again.sources.pixels)


@pytest.mark.parametrize("keep", [0, 5, 50, 200, -1, "flipped"])
@pytest.mark.parametrize("domain", ["A", "B"])
def test_a_damaged_cache_is_made_again(task, tmp_path, keep, domain, caplog):
    first = load_examples(task, "train", tmp_path / "cache", training=True)
    pixels = [np.array(images.pixels) for images in (first.sources, first.targets)]
    (path,) = (tmp_path / "cache").glob(f"train-{domain}-*.npy")
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:] if keep == "flipped" else whole[:keep])
    again = load_examples(task, "train", tmp_path / "cache", training=True)
    np.testing.assert_array_equal(pixels[0], again.sources.pixels)
    np.testing.assert_array_equal(pixels[1], again.targets.pixels)
    assert path.read_bytes() == whole
    assert caplog.messages == [f"note: {path} is damaged, or of an earlier version; its images are decoded again"]


def test_a_cache_of_another_shape_is_made_again(task, tmp_path):
    load_examples(task, "train", tmp_path / "cache", training=True)
    (path,) = (tmp_path / "cache").glob("train-A-*.npy")
    np.save(path, np.zeros((3, 18, 18, 3), np.uint8))
    assert len(load_examples(task, "train", tmp_path / "cache", training=True)) == 7


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_that_changed_since_leave_no_cache(task, tmp_path, split):
    """Whichever image it is: figures would be of a mixture."""
    path = task.files("train").a[0].path
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError) as caught:
        load_examples(task, split, tmp_path / "cache", training=True)
    assert str(caught.value) == (
        f"the images in {task.root} changed while they were used; put them back as they were, or begin anew with "
        "another --out"
    )
    assert contents(tmp_path / "cache") == {}


def test_caches_of_splits_sizes_and_data_differ(task, tmp_path):
    for split in ("train", "select", "test", ("train", "select")):
        for training in (True, False):
            load_examples(task, split, tmp_path / "cache", training=training)
    other = open_task(write_folders(tmp_path / "other", 9, side=20), size=16)
    load_examples(other, "test", tmp_path / "cache", training=True)
    assert len(list((tmp_path / "cache").iterdir())) == 18


def test_progress_counts_pairs(task, tmp_path):
    seen = []
    load_examples(task, "test", tmp_path, training=True, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_truncated_image_is_named_and_leaves_no_cache(task, tmp_path):
    path = tmp_path / "data" / "A" / "p04.png"
    path.write_bytes(path.read_bytes()[:-200])
    cut = open_task(tmp_path / "data", size=16)  # the header is whole
    (split,) = (s for s in ("train", "select", "test") if "p04" in {sample.name for sample in cut.files(s).a})
    with pytest.raises(DataError) as caught:
        load_examples(cut, split, tmp_path / "cache", training=True)
    assert str(caught.value) == f"{path} is corrupt, truncated or no image; replace or remove it"
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_that_cannot_be_written(task, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.touch()
    with pytest.raises(OutputError) as caught:
        load_examples(task, "train", blocked, training=True)
    assert str(caught.value).startswith(f"cannot write the cache {blocked}/train-A-18-")
    assert str(caught.value).endswith("; choose another place")
