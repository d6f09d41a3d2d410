import hashlib

import pytest

from pocketgan.data.layouts import read_layout
from pocketgan.errors import DataError
from tests.data.pictures import write_aligned, write_folders, write_picture


def names(layout, split):
    return [pair.name for pair in layout.splits[split]]


def counts(layout):
    return {split: len(pairs) for split, pairs in layout.splits.items()}


def message(root) -> str:
    with pytest.raises(DataError) as caught:
        read_layout(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def held_out(all_names: list[str], step: int) -> list[str]:
    """Every `step`-th name by its hash, said in another way than the package says it."""
    digests = {hashlib.sha256(name.encode()).hexdigest(): name for name in all_names}
    return sorted(digests[digest] for rank, digest in enumerate(sorted(digests)) if rank % step == 0)


# Recognition


def test_aligned_with_all_three_folders(tmp_path):
    for folder, count in (("train", 4), ("val", 2), ("test", 3)):
        write_aligned(tmp_path / folder, count)
    layout = read_layout(tmp_path)
    assert layout.kind == "aligned"
    assert counts(layout) == {"train": 4, "select": 2, "test": 3}
    assert layout.splits["select"][0].path_a == tmp_path / "val" / "p00.png" == layout.splits["select"][0].path_b
    assert layout.note == "train 4 (train/), select 2 (val/), test 3 (test/)"


def test_without_test_folder_val_is_the_test_and_select_is_held_out(tmp_path):
    write_aligned(tmp_path / "train", 17)
    write_aligned(tmp_path / "val", 2)
    layout = read_layout(tmp_path)
    assert names(layout, "select") == held_out([f"p{index:02}" for index in range(17)], 8)
    assert layout.splits["test"][0].path_a == tmp_path / "val" / "p00.png"
    assert layout.note == "train 14 (train/), select 3 (every eighth pair, held out), test 2 (val/)"


def test_train_folder_alone_is_split(tmp_path):
    write_aligned(tmp_path / "train", 10)
    assert counts(read_layout(tmp_path)) == {"train": 7, "test": 2, "select": 1}


def test_two_folders_a_split(tmp_path):
    for name, count in (("train", 9), ("test", 2)):
        write_folders(tmp_path, count, a=f"{name}A", b=f"{name}B")
    layout = read_layout(tmp_path)
    assert layout.kind == "folders"
    assert counts(layout) == {"train": 7, "select": 2, "test": 2}
    pair = layout.splits["test"][1]
    assert pair == ("p01", tmp_path / "testA" / "p01.png", tmp_path / "testB" / "p01.png")
    assert layout.note.startswith("train 7 (trainA/ and trainB/), select 2 (every eighth pair, held out)")


def test_partners_may_differ_in_format(tmp_path):
    for index in range(5):
        write_picture(tmp_path / "A" / f"{index}.png")
        write_picture(tmp_path / "B" / f"{index}.jpg")
    assert sum(counts(read_layout(tmp_path)).values()) == 5


@pytest.mark.parametrize("write", [write_folders, write_aligned])
def test_one_set_is_split_by_its_names(tmp_path, write):
    write(tmp_path, 24)
    layout = read_layout(tmp_path)
    every = [f"p{index:02}" for index in range(24)]
    test = held_out(every, 5)
    select = held_out([name for name in every if name not in test], 8)
    assert names(layout, "test") == test
    assert names(layout, "select") == select
    assert names(layout, "train") == [name for name in every if name not in test + select]
    assert layout.note.startswith(
        "train 16 (the rest), select 3 (every eighth pair, held out), test 5 (every fifth"
    )


def test_split_file_is_obeyed(tmp_path):
    write_folders(tmp_path, 4)
    (tmp_path / "split.csv").write_text("id,stain,split\np03,x,train\np01,x,test\np00,x,train\np02,x,select\n")
    layout = read_layout(tmp_path)
    assert {split: names(layout, split) for split in layout.splits} == {
        "train": ["p00", "p03"],
        "select": ["p02"],
        "test": ["p01"],
    }
    assert layout.split_file == tmp_path / "split.csv"
    assert tmp_path / "split.csv" in layout.files()


def test_split_file_may_leave_select_to_us(tmp_path):
    write_folders(tmp_path, 4)
    (tmp_path / "split.csv").write_text("id,split\np03,train\np01,test\np00,train\np02,train\n")
    layout = read_layout(tmp_path)
    assert names(layout, "select") == held_out(["p00", "p02", "p03"], 8)
    assert layout.note == "train 2 (split.csv), select 1 (every eighth pair, held out), test 1 (split.csv)"


def test_what_is_no_image_is_ignored(tmp_path):
    write_aligned(tmp_path / "train", 3)
    write_aligned(tmp_path / "train" / "deeper", 9)
    write_aligned(tmp_path / "metas", 1)
    (tmp_path / "train" / "notes.txt").write_text("x")
    (tmp_path / "train" / ".hidden.png").write_text("x")
    assert sum(counts(read_layout(tmp_path)).values()) == 3


# Mistakes


def test_missing_folder(tmp_path):
    root = tmp_path / "nowhere"
    assert message(root) == f"the data must be a folder of images; there is no folder {root}"


def test_file_instead_of_folder(tmp_path):
    root = write_picture(tmp_path / "a.png")
    assert message(root) == f"the data must be a folder of images; there is no folder {root}"


@pytest.mark.parametrize("stray", [None, "images/a.png", "test/a.png", ".hidden.png"])
def test_empty_folder_or_unknown_layout(tmp_path, stray):
    if stray:
        write_picture(tmp_path / stray)
    assert message(tmp_path) == (
        f"{tmp_path} has none of the layouts that are known: train/ val/ test/ with A and B side by side in "
        "each image, trainA/ trainB/ testA/ testB/, A/ B/, or one folder of side-by-side images"
    )


def test_empty_split_folder(tmp_path):
    write_aligned(tmp_path / "train", 3)
    (tmp_path / "val").mkdir()
    assert message(tmp_path) == f"the folder {tmp_path / 'val'} holds no images; add some or remove it"


@pytest.mark.parametrize("missing", ["trainA", "trainB", "A", "B"])
def test_folder_without_its_counterpart(tmp_path, missing):
    present = missing[:-1] + {"A": "B", "B": "A"}[missing[-1]]
    write_aligned(tmp_path / present, 3)
    assert message(tmp_path) == f"there is no folder {tmp_path / missing}; add it: A needs B and B needs A"


def test_missing_partner(tmp_path):
    write_folders(tmp_path, 3)
    extra = write_picture(tmp_path / "B" / "x.png")
    expected = f"{extra} has no partner in {tmp_path / 'A'}; add it or remove the file"
    assert message(tmp_path) == expected
    extra.unlink()
    (tmp_path / "B" / "p01.png").unlink()
    (tmp_path / "B" / "p02.png").unlink()
    assert message(tmp_path) == (
        f"{tmp_path / 'A' / 'p01.png'} has no partner in {tmp_path / 'B'} (nor have 1 more); "
        "add it or remove the file"
    )


def test_two_images_of_one_name(tmp_path):
    write_aligned(tmp_path, 3)
    write_picture(tmp_path / "p01.jpg")
    assert message(tmp_path) == f"{tmp_path / 'p01.jpg'} and p01.png share a name; rename or remove one of them"


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_pairs(tmp_path, count):
    write_folders(tmp_path, count)
    expected = f"{tmp_path} leaves no pair to train on beside select and test; add training images"
    assert message(tmp_path) == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (b"name,split\np00,train\n", "is not a CSV file with the columns id,split; mend or remove it"),
        (b"\xff\xfe\x00id,split", "is not a CSV file with the columns id,split; mend or remove it"),
        (b'id,split\n"p00,train\n', "is not a CSV file with the columns id,split; mend or remove it"),
        (b"", "is not a CSV file with the columns id,split; mend or remove it"),
        (
            b"id,split\np00,train\n\np01,val\n",
            "line 4: split must be train, select or test, not 'val'; mend it",
        ),
        (b"id,split\np00\n", "line 2: split must be train, select or test, not ''; mend it"),
        (b"id,split\np09,train\n", "line 2: 'p09' is no image here or is listed twice; remove it"),
        (b"id,split\np00,train\np00,test\n", "line 3: 'p00' is no image here or is listed twice; remove it"),
        (b"id,split\np00,train\np02,train\n", "has no line for 'p01'; add one or remove the image"),
        (b"id,split\np00,test\np01,test\np02,select\n", "puts no image into train; mend its column split"),
    ],
)
def test_split_file_that_cannot_be_used(tmp_path, table, expected):
    write_folders(tmp_path, 3)
    (tmp_path / "split.csv").write_bytes(table)
    assert message(tmp_path) == f"{tmp_path / 'split.csv'} {expected}"
