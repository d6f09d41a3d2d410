import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pocketgan.data.labels import LabelMaps
from pocketgan.data.task import Task, open_task
from pocketgan.errors import DataError, SpecError
from tests.data.pictures import (
    write_aligned,
    write_folders,
    write_labels,
    write_map,
    write_picture,
    write_sets,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "nuclei"


def message(*args, **options) -> str:
    with pytest.raises(DataError) as caught:
        open_task(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fields_and_defaults(tmp_path):
    write_folders(tmp_path, 5)
    task = open_task(tmp_path, size=16)
    assert (task.layout, task.direction, task.size, task.load_size, task.flip) == (
        "folders",
        "AtoB",
        (16, 16),
        (18, 18),
        True,
    )
    assert open_task(tmp_path, size=16, load_size=20, flip=False, direction="BtoA").load_size == (20, 20)


def test_pix2pix_load_size(tmp_path):
    write_folders(tmp_path, 3, side=256)
    assert open_task(tmp_path).load_size == (286, 286)


def test_sizes_need_not_be_square(tmp_path):
    write_folders(tmp_path, 5, side=40)
    task = open_task(tmp_path, size=(16, 32))
    assert (task.size, task.load_size) == ((16, 32), (18, 36))
    assert task.model_dump(mode="json")["size"] == [16, 32]
    assert open_task(tmp_path, size=(16, 32), load_size=(16, 32)).load_size == (16, 32)
    assert open_task(tmp_path, size=16) == open_task(tmp_path, size=(16, 16))
    for size in ((0, 16), (16, -1), 0):
        with pytest.raises(ValidationError):
            Task(root=tmp_path, layout="folders", size=size, load_size=32, data_digest="d")


def test_what_a_task_knows_of_its_samples(tmp_path):
    write_sets(tmp_path, 10, 24)
    there, back = (open_task(tmp_path, size=16, direction=direction) for direction in ("AtoB", "BtoA"))
    assert (there.layout, there.paired, there.labels, there.in_channels) == ("unaligned", False, None, 3)
    assert there.counts() == {"train": 7, "select": 1, "test": 2}
    assert back.counts() == {"train": 16, "select": 3, "test": 5}
    assert there.epoch() == back.epoch() == 16
    assert there.epoch(("train", "select")) == 19
    assert there.files("train") == back.files("train")


def test_forced_layouts_are_kept(tmp_path):
    write_folders(tmp_path, 10)
    task = open_task(tmp_path, size=16, unpaired=True)
    assert task.layout == "unaligned"
    assert task.split_note.startswith("train 7 A and 7 B")
    assert task != open_task(tmp_path, size=16)
    write_sets(tmp_path / "sets", 3, 4)
    with pytest.raises(DataError, match="has no partner"):
        open_task(tmp_path / "sets", size=16, unpaired=False)


@pytest.mark.parametrize(("stray", "others"), [(200, 4), (6, 4), (254, 4)])
def test_a_stray_label_does_not_widen_the_set_in_silence(tmp_path, stray, others):
    write_labels(tmp_path, 5, instances=False)
    path = tmp_path / "label" / "m03.png"
    labels = np.array(Image.open(path))
    labels[7, 7] = stray
    write_map(path, labels)
    with pytest.raises(DataError) as caught:
        open_task(tmp_path, size=16)
    assert str(caught.value) == (
        f"{path} alone holds the label {stray}, and all others are at most {others}; mend the map, or say how many "
        f"classes there are: --classes {stray + 1}"
    )
    assert open_task(tmp_path, size=16, classes=stray + 1).labels.classes == stray + 1
    assert open_task(tmp_path, size=16, labels=LabelMaps(classes=9)).labels == LabelMaps(classes=9)
    write_map(tmp_path / "label" / "m04.png", labels)
    assert open_task(tmp_path, size=16).labels.classes == stray + 1


def test_labels_that_are_known_go_with_the_instances(tmp_path):
    write_labels(tmp_path, 5)
    with pytest.raises(DataError, match=r"takes none instance maps beside its label maps, and .* has some"):
        open_task(tmp_path, size=16, labels=LabelMaps(classes=9))


def test_labels_go_with_their_layout(tmp_path):
    fields = {"root": tmp_path, "size": 16, "load_size": 16, "data_digest": "d"}
    for layout, labels in (("labels", None), ("folders", {"classes": 3})):
        with pytest.raises(ValidationError, match="the layout 'labels', and no other, has labels"):
            Task(layout=layout, labels=labels, **fields)
    write_folders(tmp_path, 3)
    with pytest.raises(SpecError) as caught:
        open_task(tmp_path, size=16, classes=4)
    assert str(caught.value) == f"--classes is for label maps, and {tmp_path} has none; leave it out"


def test_splits_are_disjoint_and_complete(tmp_path):
    write_folders(tmp_path, 24)
    task = open_task(tmp_path, size=16)
    names = [sample.name for split in ("train", "select", "test") for sample in task.files(split).a]
    assert sorted(names) == [f"p{index:02}" for index in range(24)]
    assert task.split_note.startswith("train 16 (the rest)")


def test_digest_is_that_of_sorted_names_and_bytes(tmp_path):
    write_folders(tmp_path, 3)
    (tmp_path / "split.csv").write_text("id,split\np00,train\np01,select\np02,test\n")
    (tmp_path / "notes.txt").write_text("not part of the data")
    text = ""
    for name in ["A/p00.png", "A/p01.png", "A/p02.png", "B/p00.png", "B/p01.png", "B/p02.png", "split.csv"]:
        text += f"{name}\0{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}\n"
    assert open_task(tmp_path, size=16).data_digest == hashlib.sha256(text.encode()).hexdigest()


def test_identity_is_the_data_not_the_place(tmp_path):
    write_folders(tmp_path / "here", 5)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here, there = open_task(tmp_path / "here", size=16), open_task(tmp_path / "there", size=16)
    assert here == there
    assert len({here, there}) == 1
    assert here.model_dump_json() == there.model_dump_json()
    assert here != open_task(tmp_path / "here", size=16, direction="BtoA")
    write_picture(tmp_path / "there" / "B" / "p00.png", 999)
    assert here.data_digest != open_task(tmp_path / "there", size=16).data_digest


def test_json_comes_back_with_a_root(tmp_path):
    write_folders(tmp_path, 5)
    task = open_task(tmp_path, size=16)
    assert "root" not in task.model_dump()
    back = Task.model_validate({**task.model_dump(mode="json"), "root": tmp_path})
    assert back == task
    assert back.files("train") == task.files("train")


def test_is_frozen_and_strict(tmp_path):
    write_folders(tmp_path, 5)
    task = open_task(tmp_path, size=16)
    with pytest.raises(ValidationError):
        task.size = 8
    with pytest.raises(ValidationError):
        Task(**task.model_dump(), root=tmp_path, colour="blue")


def test_upright_sizes_are_compared(tmp_path):
    """A photo stored sideways with a note in its EXIF has an upright partner."""
    write_folders(tmp_path, 3)
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "A" / "x.jpg", exif=exif)
    Image.new("RGB", (20, 40)).save(tmp_path / "B" / "x.png")
    open_task(tmp_path, size=16)


def test_light_import():
    code = "import sys, pocketgan.data.task; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Mistakes


def test_corrupt_image_is_named(tmp_path):
    write_folders(tmp_path, 3)
    path = tmp_path / "B" / "p01.png"
    path.write_bytes(b"nothing")
    assert message(tmp_path, size=16) == f"{path} is corrupt, truncated or no image; replace or remove it"


def test_pair_of_unequal_size(tmp_path):
    write_folders(tmp_path, 3)
    b = write_picture(tmp_path / "B" / "p01.png", 0, 16, 20)
    a = tmp_path / "A" / "p01.png"
    expected = f"{a} is 16x16 but {b} is 20x16; make both images of a pair equally large"
    assert message(tmp_path, size=16) == expected


def test_aligned_image_of_odd_width(tmp_path):
    write_aligned(tmp_path / "train", 3)
    path = write_picture(tmp_path / "train" / "x.png", 0, 16, 33)
    expected = f"{path} is 33 pixels wide; A beside B needs an even width: crop or remove it"
    assert message(tmp_path, size=16) == expected


def test_images_smaller_than_the_size(tmp_path):
    write_folders(tmp_path, 4, side=30)
    for folder in "AB":
        write_picture(tmp_path / folder / "p02.png", 0, 20, 40)
    expected = (
        f"{tmp_path / 'A' / 'p02.png'} is 40x20, smaller than the size 32; "
        "pass --size 20 or less, or remove the image"
    )
    assert message(tmp_path, size=32) == expected


def test_images_smaller_than_a_size_that_is_not_square(tmp_path):
    write_folders(tmp_path, 4, side=30)
    write_picture(tmp_path / "B" / "p01.png", 0, 20, 40)
    write_picture(tmp_path / "A" / "p01.png", 0, 20, 40)
    expected = (
        f"{tmp_path / 'A' / 'p01.png'} is 20x40, smaller than the size 24x28 (height x width); "
        "pass --size 20x28 or less, or remove the image"
    )
    assert message(tmp_path, size=(24, 28)) == expected
    assert open_task(tmp_path, size=(20, 28)).size == (20, 28)


def test_halves_smaller_than_the_size(tmp_path):
    write_aligned(tmp_path, 4, side=16)
    path = write_picture(tmp_path / "p02.png", 0, 16, 24)
    expected = (
        f"each half of {path} is 12x16, smaller than the size 16; pass --size 12 or less, or remove the image"
    )
    assert message(tmp_path, size=16) == expected


def test_load_size_smaller_than_the_crop(tmp_path):
    write_folders(tmp_path, 3)
    with pytest.raises(SpecError) as caught:
        open_task(tmp_path, size=16, load_size=15)
    assert str(caught.value) == "the load size 15 is smaller than the crop size 16; make it 16 or more"


# The bundled data


def test_bundled_nuclei_are_a_task():
    task = open_task(EXAMPLES / "stained")
    assert task.split_note == "train 76 (split.csv), select 10 (split.csv), test 21 (split.csv)"


def test_bundled_nuclei_maps_are_drawn_as_said():
    stains = {}
    for line in (EXAMPLES / "stained" / "split.csv").read_text().splitlines()[1:]:
        name, _, stain = line.split(",")
        image = Image.open(EXAMPLES / "stained" / "A" / f"{name}.png")
        levels = np.unique(np.asarray(image))
        assert (image.mode, image.size) == ("L", (256, 256))
        assert levels.tolist() == [64 if stain == "pale" else 0, 128, 255]
        stains[stain] = stains.get(stain, 0) + 1
    assert stains == {"pale": 38, "purple": 69}
    assert len(list((EXAMPLES / "fluorescence").glob("*.jpg"))) == 541
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) < 10_000_000
