import hashlib
import os
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from pocketgan.data.labels import CITYSCAPES, COCO
from pocketgan.data.layouts import read_layout
from pocketgan.data.task import open_task
from pocketgan.errors import DataError
from tests.conftest import draw_pairs
from tests.data.pictures import (
    numbers,
    write_aligned,
    write_folders,
    write_labels,
    write_map,
    write_picture,
    write_sets,
)


def names(layout, split):
    return [sample.name for sample in layout.splits[split].a]


def counts(layout):
    return {split: len(domains.a) for split, domains in layout.splits.items()}


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
    a, b = layout.splits["select"]
    assert a == b
    assert a[0].path == tmp_path / "val" / "p00.png"
    assert layout.note == "train 4 (train/), select 2 (val/), test 3 (test/)"


def test_without_test_folder_val_is_the_test_and_select_is_held_out(tmp_path):
    write_aligned(tmp_path / "train", 17)
    write_aligned(tmp_path / "val", 2)
    layout = read_layout(tmp_path)
    assert names(layout, "select") == held_out([f"p{index:02}" for index in range(17)], 8)
    assert layout.splits["test"].a[0].path == tmp_path / "val" / "p00.png"
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
    a, b = layout.splits["test"]
    assert (a[1], b[1]) == (
        ("p01", tmp_path / "testA" / "p01.png", None),
        ("p01", tmp_path / "testB" / "p01.png", None),
    )
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


@pytest.mark.parametrize("form", ["{}_A.png", "{}_B.jpg", "{}_B"])
def test_split_file_may_name_the_files(tmp_path, form):
    for index in range(4):
        write_picture(tmp_path / "A" / f"{index}_A.png", index)
        write_picture(tmp_path / "B" / f"{index}_B.jpg", index)
    rows = [f"{form.format(index)},{split}" for index, split in enumerate(("train", "test", "train", "select"))]
    (tmp_path / "split.csv").write_text("\n".join(["id,split", *rows]))
    layout = read_layout(tmp_path)
    assert {split: names(layout, split) for split in layout.splits} == {
        "train": ["0_A", "2_A"],
        "select": ["3_A"],
        "test": ["1_A"],
    }
    (tmp_path / "split.csv").write_text("\n".join(["id,split", *rows, "0_A,train"]))
    assert message(tmp_path).endswith("split.csv line 6: '0_A' is no image here or is listed twice; remove it")


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
        "each image, trainA/ trainB/ testA/ testB/, A/ B/, train_label/ train_image/ test_label/ test_image/, "
        "label/ image/, Cityscapes' gtFine/ leftImg8bit/, or one folder of side-by-side images"
    )


def test_empty_split_folder(tmp_path):
    write_aligned(tmp_path / "train", 3)
    (tmp_path / "val").mkdir()
    assert message(tmp_path) == f"{tmp_path / 'val'} holds no images; add some or remove it"


@pytest.mark.parametrize("missing", ["trainA", "trainB", "A", "B"])
def test_folder_without_its_counterpart(tmp_path, missing):
    present = missing[:-1] + {"A": "B", "B": "A"}[missing[-1]]
    write_aligned(tmp_path / present, 3)
    assert message(tmp_path) == f"there is no folder {tmp_path / missing}; add it: A needs B and B needs A"


def test_missing_partner(tmp_path):
    write_folders(tmp_path, 3)
    extra = write_picture(tmp_path / "B" / "x.png")
    expected = f"{extra} has no partner in {tmp_path / 'A'}; add it, remove the file, or say --unpaired"
    assert message(tmp_path) == expected
    extra.unlink()
    (tmp_path / "B" / "p01.png").unlink()
    (tmp_path / "B" / "p02.png").unlink()
    assert message(tmp_path) == (
        f"{tmp_path / 'A' / 'p01.png'} has no partner in {tmp_path / 'B'} (nor have 1 more); "
        "add it, remove the file, or say --unpaired"
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


# Two folders without pairs


def both(layout) -> dict[str, tuple[list[str], list[str]]]:
    return {
        split: tuple([sample.name for sample in own] for own in domains) for split, domains in layout.splits.items()
    }


def test_two_folders_that_share_no_name_are_unaligned(tmp_path):
    write_sets(tmp_path, 9, 5, folders=("trainA", "trainB"))
    write_sets(tmp_path, 3, 2, folders=("testA", "testB"))
    layout = read_layout(tmp_path)
    assert layout.kind == "unaligned"
    names_a, names_b = [f"a{index:02}" for index in range(9)], [f"b{index:02}" for index in range(5)]
    select_a, select_b = held_out(names_a, 8), held_out(names_b, 8)
    assert both(layout) == {
        "train": ([n for n in names_a if n not in select_a], [n for n in names_b if n not in select_b]),
        "select": (select_a, select_b),
        "test": (["a00", "a01", "a02"], ["b00", "b01"]),
    }
    assert layout.note == (
        "train 7 A and 4 B (trainA/ and trainB/), select 2 A and 1 B (every eighth image, held out), "
        "test 3 A and 2 B (testA/ and testB/)"
    )
    assert layout.splits["test"].b[0].path == tmp_path / "testB" / "b00.png"
    assert len(layout.files()) == 19


def test_one_set_of_each_domain(tmp_path):
    layout = read_layout(write_sets(tmp_path, 10, 6))
    assert layout.kind == "unaligned"
    assert both(layout)["test"] == (
        held_out([f"a{index:02}" for index in range(10)], 5),
        held_out([f"b{index:02}" for index in range(6)], 5),
    )


def test_pairs_may_be_taken_for_unpaired(tmp_path):
    write_folders(tmp_path, 10)
    layout = read_layout(tmp_path, unpaired=True)
    assert layout.kind == "unaligned"
    assert both(layout)["train"][0] == both(layout)["train"][1] == names(read_layout(tmp_path), "train")
    write_picture(tmp_path / "B" / "extra.png")
    assert len(read_layout(tmp_path, unpaired=True).files()) == 21


def test_sets_may_be_taken_for_pairs(tmp_path):
    write_sets(tmp_path, 4, 3)
    with pytest.raises(DataError, match=r"a00\.png has no partner in .*B \(nor have 3 more\)"):
        read_layout(tmp_path, unpaired=False)


def write_named(root: Path, a: list[str], b: list[str], folders: tuple[str, str] = ("A", "B")) -> Path:
    """Two folders of pictures of these names."""
    for folder, names in zip(folders, (a, b), strict=True):
        for name in names:
            write_picture(root / folder / f"{name}.png")
    return root


def partners_in(layout) -> list[tuple[str, str]]:
    return sorted((a.path.stem, b.path.stem) for both in layout.splits.values() for a, b in zip(*both, strict=True))


@pytest.mark.parametrize(
    ("a", "b", "like"),
    [
        ("{}_A", "{}_B", r"*_A and *_B"),
        ("input_{}", "target_{}", "input_* and target_*"),
        ("real{}", "fake{}", "real* and fake*"),
        ("{}", "{}_mask", "* and *_mask"),
        ("scene-{}-photo", "scene-{}-label", "scene-*-photo and scene-*-label"),
        ("{}A", "{}B", "*A and *B"),
    ],
)
def test_names_that_differ_in_one_affix_a_side_are_pairs(tmp_path, a, b, like):
    numbers = ["7", "10", "11", "12", "19"]
    names_a, names_b = ([form.format(number) for number in numbers] for form in (a, b))
    layout = read_layout(write_named(tmp_path, names_a, names_b))
    assert layout.kind == "folders"
    assert layout.pairing == f"pairs by names like {like}"
    assert partners_in(layout) == sorted(zip(names_a, names_b, strict=True))
    apart = read_layout(tmp_path, unpaired=True)
    assert (apart.kind, apart.pairing) == ("unaligned", "two sets without pairs, as --unpaired says")


def test_names_that_differ_in_their_unicode_form_are_equal(tmp_path):
    """An e with an accent in one sign or in two, in Latin, Greek and Korean."""
    names = ["caf\u00e9", "\u03ac\u03bb\u03c6\u03b1", "\ud55c\uae00", "plain"]
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    assert decomposed[:3] != names[:3]
    layout = read_layout(write_named(tmp_path, names, decomposed))
    assert layout.pairing == "pairs by equal names"
    assert partners_in(layout) == sorted(zip(names, decomposed, strict=True))


def test_the_affix_is_that_of_all_splits_together(tmp_path):
    write_named(tmp_path, [f"{n}_A" for n in range(9)], [f"{n}_B" for n in range(9)], ("trainA", "trainB"))
    write_named(tmp_path, ["0_A"], ["0_B"], ("testA", "testB"))
    assert read_layout(tmp_path).kind == "folders"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("11 12 13", "21 22 23"),  # a digit that all share is no affix
        ("cat car cab", "dot dor dob"),  # nor is a part of a word
        ("x_1 x_2 x_3", "y_1 y_2 y_4"),
    ],
)
def test_as_many_images_whose_names_do_not_match(tmp_path, a, b):
    """The user says what they are; pairs go in the order in which people count."""
    write_named(tmp_path, a.split(), b.split())
    assert message(tmp_path) == (
        f"{tmp_path / 'A'} and {tmp_path / 'B'} hold as many images, and their names do not match; say --paired to "
        "pair them in the order of their names, or --unpaired"
    )
    apart = read_layout(tmp_path, unpaired=True)
    assert (apart.kind, apart.pairing) == ("unaligned", "two sets without pairs, because no name is in both")
    pairs = read_layout(tmp_path, unpaired=False)
    assert pairs.pairing == "pairs in the order of their names, as --paired says"
    assert partners_in(pairs) == sorted(zip(sorted(a.split()), sorted(b.split()), strict=True))


def test_the_order_of_names_is_that_of_their_numbers(tmp_path):
    write_named(tmp_path, ["a1", "a2", "a10"], ["x", "y", "z"])
    assert partners_in(read_layout(tmp_path, unpaired=False)) == [("a1", "x"), ("a10", "z"), ("a2", "y")]


@pytest.mark.parametrize(("ending", "shown"), [(b"\xe9", r"\xe9"), (b"\xfc", r"\xfc"), (b"\x93\xfa", r"\x93\xfa")])
def test_names_that_are_not_utf_8(tmp_path, ending, shown):
    """As old archives leave them: one byte for a letter with an accent, or Shift JIS."""
    for number in range(4):
        for folder in "AB":
            place = write_picture(tmp_path / folder / f"{number}.png")
            os.rename(place, os.fsencode(place.with_name(f"caf{number}")) + ending + b".png")
    layout = read_layout(tmp_path)
    assert layout.kind == "folders"
    assert sorted(sample.name for sample in layout.samples()) == sorted([f"caf{n}{shown}" for n in range(4)] * 2)
    assert open_task(tmp_path, size=16).data_digest


def test_broken_links_are_counted(tmp_path):
    write_folders(tmp_path, 5)
    assert read_layout(tmp_path).left_out == ""
    for number, folder in enumerate(("A", "A", "B")):
        (tmp_path / folder / f"x{number}.png").symlink_to("nowhere.png")
    layout = read_layout(tmp_path)
    assert sum(counts(layout).values()) == 5
    assert layout.note.endswith("; 3 broken links left out")
    for path in (tmp_path / "A").glob("p*"):
        path.unlink()
    (tmp_path / "A" / "deeper").mkdir()
    assert message(tmp_path) == (
        f"{tmp_path / 'A'} holds no images but 2 broken links; folders within it are not searched; "
        "add some or remove it"
    )


def test_unpaired_is_for_two_folders(tmp_path):
    write_aligned(tmp_path / "halves" / "train", 5)
    write_labels(tmp_path / "labels", 5)
    for name, what in (
        ("halves", "A and B side by side in each image"),
        ("labels", "label maps with their images"),
    ):
        with pytest.raises(DataError) as caught:
            read_layout(tmp_path / name, unpaired=True)
        assert str(caught.value) == (
            "--unpaired is for two folders, A/ B/ or trainA/ trainB/, "
            f"and {tmp_path / name} has {what}; leave it out"
        )


def test_a_split_file_divides_the_training_folder(tmp_path):
    """As the published lists do, which divide train and leave test alone."""
    write_sets(tmp_path, 3, 4, folders=("trainA", "trainB"))
    write_sets(tmp_path, 2, 2, folders=("testA", "testB"))
    lines = ["a00,select", "a01,train", "a02,train", "b00,train", "b01,select", "b02,select", "b03,train"]
    (tmp_path / "split.csv").write_text("\n".join(["id,split", *lines]))
    layout = read_layout(tmp_path)
    assert both(layout)["train"] == (["a01", "a02"], ["b00", "b03"])
    assert both(layout)["select"] == (["a00"], ["b01", "b02"])
    assert both(layout)["test"] == (["a00", "a01"], ["b00", "b01"])
    assert layout.note == (
        "train 2 A and 2 B (split.csv), select 1 A and 2 B (split.csv), test 2 A and 2 B (testA/ and testB/)"
    )
    (tmp_path / "split.csv").write_text("id,split\na00,test\n")
    assert message(tmp_path).endswith("split.csv line 2: split must be train or select, not 'test'; mend it")


def test_a_split_file_divides_a_folder_of_halves(tmp_path):
    write_aligned(tmp_path / "train", 4)
    write_aligned(tmp_path / "val", 2)
    (tmp_path / "split.csv").write_text("id,split\np00,train\np01,select\np02,train\np03,train\n")
    layout = read_layout(tmp_path)
    assert {split: names(layout, split) for split in ("train", "select", "test")} == {
        "train": ["p00", "p02", "p03"],
        "select": ["p01"],
        "test": ["p00", "p01"],
    }
    write_aligned(tmp_path / "test", 2)
    assert message(tmp_path).endswith("split.csv line 3: split must be train, not 'select'; mend it")


def test_the_domain_tells_equal_names_apart(tmp_path):
    write_folders(tmp_path, 3)
    rows = ["p00,A,train", "p00,B,test", "p01,,train", "p02,A,select", "p02,B,select"]
    (tmp_path / "split.csv").write_text("\n".join(["id,domain,split", *rows]))
    layout = read_layout(tmp_path, unpaired=True)
    assert both(layout)["select"] == (["p02"], ["p02"])
    assert both(layout)["test"][1] == ["p00"]
    (tmp_path / "split.csv").write_text("id,domain,split\np00,C,train\n")
    with pytest.raises(DataError, match=r"split\.csv line 2: domain must be A or B, not 'C'; mend it$"):
        read_layout(tmp_path, unpaired=True)


def test_an_empty_domain(tmp_path):
    write_sets(tmp_path, 3, 0, folders=("trainA", "trainB"))
    (tmp_path / "trainB").mkdir()
    assert message(tmp_path) == f"{tmp_path / 'trainB'} holds no images; add some or remove it"


def test_too_few_images_of_a_domain(tmp_path):
    write_sets(tmp_path, 9, 2)
    assert (
        message(tmp_path) == f"{tmp_path} leaves no image to train on beside select and test; add training images"
    )


# Label maps

FORMS = [
    ("label", "image", "inst"),
    ("labels", "photo", "inst"),
    ("label", "images", "inst"),
    ("label", "img", "inst"),
]


@pytest.mark.parametrize("instances", [True, False])
@pytest.mark.parametrize("folders", FORMS)
def test_one_set_of_label_maps(tmp_path, folders, instances):
    write_labels(tmp_path, 10, instances=instances, folders=folders)
    layout = read_layout(tmp_path)
    assert layout.kind == "labels"
    assert counts(layout) == {"train": 7, "test": 2, "select": 1}
    assert layout.published is None
    for domains in layout.splits.values():
        for a, b in zip(*domains, strict=True):
            assert a.path == tmp_path / folders[0] / f"{a.name}.png"
            assert b == (a.name, tmp_path / folders[1] / f"{a.name}.png", None)
            assert a.instances == (tmp_path / folders[2] / f"{a.name}.png" if instances else None)
    assert len(layout.files()) == (30 if instances else 20)


@pytest.mark.parametrize("folders", FORMS)
def test_label_maps_in_splits(tmp_path, folders):
    write_labels(tmp_path, 9, "train_", folders=folders)
    write_labels(tmp_path, 2, "val_", folders=folders)
    layout = read_layout(tmp_path)
    assert counts(layout) == {"train": 7, "select": 2, "test": 2}
    assert layout.published == (COCO if folders == ("label", "img", "inst") else None)
    assert layout.splits["test"].a[1].path == tmp_path / f"val_{folders[0]}" / "m01.png"


def write_cityscapes(root):
    for split, cities in (("train", {"aachen": 5, "ulm": 4}), ("val", {"lindau": 2})):
        for city, count in cities.items():
            for index in range(count):
                stem = f"{city}_{index:06}_000019"
                write_picture(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", index, 16, 32)
                labels = root / "gtFine" / split / city
                write_map(labels / f"{stem}_gtFine_labelIds.png", numbers(index, 33, 16, 32))
                write_map(
                    labels / f"{stem}_gtFine_instanceIds.png", numbers(index, 33, 16, 32).astype(np.uint16) * 900
                )
                (labels / f"{stem}_gtFine_polygons.json").write_text("{}")
    (root / "gtFine" / "test").mkdir()
    return root


def test_cityscapes_as_published(tmp_path):
    layout = read_layout(write_cityscapes(tmp_path))
    assert (layout.kind, layout.published) == ("labels", CITYSCAPES)
    assert counts(layout) == {"train": 7, "select": 2, "test": 2}
    a, b = layout.splits["test"]
    assert a[0] == (
        "lindau_000000_000019",
        tmp_path / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png",
        tmp_path / "gtFine/val/lindau/lindau_000000_000019_gtFine_instanceIds.png",
    )
    assert b[0].path == tmp_path / "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png"
    table = [f"{sample.name},train" for split in ("train", "select") for sample in layout.splits[split].a]
    (tmp_path / "split.csv").write_text(
        "\n".join(["id,split", *table]).replace("aachen_000003_000019,train", "aachen_000003_000019,select")
    )
    assert names(read_layout(tmp_path), "select") == ["aachen_000003_000019"]


def test_cityscapes_with_something_missing(tmp_path):
    write_cityscapes(tmp_path)
    path = tmp_path / "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png"
    path.unlink()
    labels = "gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png"
    assert message(tmp_path) == (
        f"{tmp_path / labels} has no partner in {tmp_path / 'leftImg8bit/train'}; add it or remove the file"
    )
    shutil.rmtree(tmp_path / "leftImg8bit/val")
    shutil.copytree(tmp_path / "leftImg8bit/train", tmp_path / "other")
    shutil.rmtree(tmp_path / "leftImg8bit/train")
    assert message(tmp_path) == (
        f"there is no folder {tmp_path / 'leftImg8bit/train'}; add it: Cityscapes is leftImg8bit/ and gtFine/"
    )
    shutil.rmtree(tmp_path / "gtFine/train")
    (tmp_path / "gtFine/train/ulm").mkdir(parents=True)
    (tmp_path / "other").rename(tmp_path / "leftImg8bit/train")
    assert message(tmp_path) == (
        f"the folder {tmp_path / 'gtFine/train'} holds no CITY/*_gtFine_labelIds.png; add them or remove it"
    )


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("train_label", "train_label"),
        ("train_image", "train_image"),
        ("val_inst", "val_inst"),
        ("val_image", "val_image"),
    ],
)
def test_a_missing_folder_of_label_maps(tmp_path, missing, named):
    for split in ("train_", "val_"):
        write_labels(tmp_path, 3, split)
    shutil.rmtree(tmp_path / missing)
    assert message(tmp_path).startswith(f"there is no folder {tmp_path / named}; add it")


def test_label_maps_without_their_partners(tmp_path):
    write_labels(tmp_path, 4)
    for folder, other in (("image", "label"), ("inst", "label"), ("label", "image")):
        path = tmp_path / folder / "m02.png"
        data = path.read_bytes()
        path.unlink()
        first, second = (other, folder) if folder != "label" else ("image", "label")
        assert message(tmp_path) == (
            f"{tmp_path / first / 'm02.png'} has no partner in {tmp_path / second}; add it or remove the file"
        )
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("label", "image", "inst"),
    [("{}_label", "{}_photo", "{}_inst"), ("gt-{}", "im-{}", "id-{}"), ("{}", "x{}", "{}i")],
)
def test_label_maps_and_images_may_differ_in_an_affix(tmp_path, label, image, inst):
    write_labels(tmp_path, 4)
    for folder, form in (("label", label), ("image", image), ("inst", inst)):
        for path in list((tmp_path / folder).iterdir()):
            path.rename(path.with_stem(form.format(path.stem[1:])))
    for a, b in (pair for both in read_layout(tmp_path).splits.values() for pair in zip(*both, strict=True)):
        number = re.search("[0-9]+", a.name)[0]
        found = (a.path.stem, b.path.stem, a.instances.stem)
        assert found == tuple(form.format(number) for form in (label, image, inst))


def test_two_folders_that_mean_the_same(tmp_path):
    write_labels(tmp_path, 3)
    (tmp_path / "photo").mkdir()
    assert message(tmp_path) == (
        f"{tmp_path / 'image'} and {tmp_path / 'photo'} mean the same; remove or rename one of them"
    )


def test_domains_in_the_table_say_that_there_are_no_pairs(tmp_path):
    """As `prepare` writes them for two sets, whose names may look like pairs all the same."""
    draw_pairs(tmp_path, count=6)
    rows = [
        f"p{number:02},{split},{domain}"
        for domain in "AB"
        for number, split in enumerate(("train", "train", "select", "select", "test", "test"))
    ]
    (tmp_path / "split.csv").write_text("\n".join(["id,split,domain", *rows]) + "\n")
    layout = read_layout(tmp_path)
    assert (layout.kind, layout.pairing) == (
        "unaligned",
        "two sets without pairs, as the domains in split.csv say",
    )
    assert read_layout(tmp_path, unpaired=None).kind == "unaligned"
    (tmp_path / "split.csv").write_text("\n".join(["id,split", *(row[:-2] for row in rows[:6])]) + "\n")
    assert read_layout(tmp_path).kind == "folders"
