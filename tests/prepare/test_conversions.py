"""Made-up originals become folders of exact content that training reads."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan.data.layouts import read_layout
from pocketgan.errors import DataError
from pocketgan.prepare import cityscapes, coco, pairs
from pocketgan.prepare.coco import paint_instances
from pocketgan.prepare.lists import papers_list, write_papers_split
from pocketgan.prepare.sets import SETS

from .originals import SQUARE, domains, picture, small, streets
from .originals import coco as coco_originals


def quiet(name: str, done: int, total: int) -> None:
    assert 0 < done <= total


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path, split: str, domain: int = 0) -> set[str]:
    return {sample.name for sample in read_layout(folder).splits[split][domain]}


def make(convert, published, originals: Path) -> Path:
    result = originals.parent / "result"
    result.mkdir()
    convert(originals, result, published, quiet)
    return result


# -- pairs and domains -------------------------------------------------------------------------------------------


def test_aligned_folders_are_taken_as_they_are(tmp_path: Path):
    root = tmp_path / "originals" / "archive.tar.gz" / "maps"
    for split, count in {"train": 9, "val": 2}.items():
        for number in range(count):
            picture(root / split / f"{number}.png", (number, 0, 0))
    result = make(pairs.aligned, small("maps"), tmp_path / "originals")
    assert tree(result) == tree(root)
    assert all((result / name).read_bytes() == (root / name).read_bytes() for name in tree(root))
    assert read_layout(result).kind == "aligned"
    assert names(result, "test") == {"0", "1"}


def test_the_halves_of_a_pair_are_joined(tmp_path: Path):
    root = tmp_path / "originals" / "maps"
    for split, count in {"train": 3, "test": 1}.items():
        for number in range(count):
            picture(root / f"{split}A" / f"{number}_A.png", (240, 0, 0), (16, 16))
            picture(root / f"{split}B" / f"{number}_B.png", (0, 0, 240), (16, 16))
    result = make(pairs.aligned, small("maps"), tmp_path / "originals")
    assert tree(result) == {"train/0.jpg", "train/1.jpg", "train/2.jpg", "test/0.jpg"}
    pixels = np.asarray(Image.open(result / "train" / "1.jpg")).astype(int)
    assert pixels.shape == (16, 32, 3)
    assert abs(pixels[:, :16] - (240, 0, 0)).max() <= 2
    assert abs(pixels[:, 16:] - (0, 0, 240)).max() <= 2
    picture(root / "trainA" / "9_A.png", size=(16, 16))
    with pytest.raises(DataError, match=r"9 of .*trainA and trainB has no partner; get the whole set"):
        pairs.aligned(tmp_path / "originals", tmp_path / "again", small("maps"), quiet)


def test_partners_of_two_sizes(tmp_path: Path):
    for side in "AB":
        for split in ("train", "test"):
            picture(tmp_path / f"{split}{side}" / f"1_{side}.png", size=(8 if side == "A" else 9, 8))
    with pytest.raises(DataError, match=r"1_A\.png and its partner differ in size; get the whole set"):
        pairs.aligned(tmp_path, tmp_path / "result", small("facades"), quiet)


def test_domains_are_taken_as_they_are(tmp_path: Path):
    root = domains(tmp_path / "originals" / "a.zip" / "horse2zebra")
    result = make(pairs.unaligned, small("horse2zebra"), tmp_path / "originals")
    assert tree(result) == tree(root)
    assert read_layout(result).kind == "unaligned"


def test_a_part_of_a_set_is_refused(tmp_path: Path):
    domains(tmp_path / "horse2zebra")
    with pytest.raises(DataError) as part:
        pairs.unaligned(tmp_path, tmp_path / "result", SETS["horse2zebra"], quiet)
    assert str(part.value) == ("trainA/ of horse2zebra has 3 images, the published set 1,067; get the whole set")
    with pytest.raises(DataError) as none:
        pairs.unaligned(tmp_path / "horse2zebra" / "trainA", tmp_path / "result", SETS["horse2zebra"], quiet)
    assert str(none.value) == (
        "horse2zebra needs the folders trainA/ trainB/ testA/ testB/, which are not in the archive or folder; "
        "give all of horse2zebra.zip with --from"
    )


# -- edges2shoes-r -----------------------------------------------------------------------------------------------


@pytest.fixture
def shoes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten pairs to train and two to test, of which four and four are to be held back."""
    monkeypatch.setattr(pairs, "HELD", 4)
    for split, count in {"train": 10, "val": 2}.items():
        for number in range(1, count + 1):
            path = tmp_path / "originals" / "edges2shoes" / split / f"{number}_AB.jpg"
            picture(path, (number, 0, 0), (16, 8))
            halves = Image.open(path)
            halves.paste((0, 0, 250), (8, 0, 16, 8))
            halves.save(path, quality=100, subsampling=0)
    return tmp_path / "originals"


def test_shoes_are_split_again(shoes: Path):
    result = make(pairs.shoes, small("edges2shoes-r"), shoes)
    both = {f"{number}_AB" for number in range(1, 11)} | {"val_1_AB", "val_2_AB"}
    parts = [names(result, split) for split in ("train", "select", "test")]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert set().union(*parts) == both
    assert {path.stem for path in (result / "val").iterdir()} == parts[2]
    for path in result.rglob("*.jpg"):
        folder = "val" if path.stem.startswith("val_") else "train"
        assert path.read_bytes() == (shoes / "edges2shoes" / folder / path.name.removeprefix("val_")).read_bytes()


def test_shoes_that_are_split_already_keep_their_split(shoes: Path, monkeypatch: pytest.MonkeyPatch):
    for number in (3, 4, 5):
        picture(shoes / "edges2shoes" / "val" / f"{number}_other.jpg")
    with pytest.raises(
        DataError, match=r"10014_AB is not in .*train, as it is in edges2shoes-r; get the whole set"
    ):
        pairs.shoes(shoes, shoes.parent / "none", small("edges2shoes-r"), quiet)
    monkeypatch.setattr(pairs, "papers_list", lambda name: {"2_AB", "7_AB"})
    result = make(pairs.shoes, small("edges2shoes-r"), shoes)
    assert names(result, "select") == {"2_AB", "7_AB"}
    assert names(result, "test") == {"1_AB", "2_AB", "3_other", "4_other", "5_other"}
    assert len(names(result, "train")) == 8


def test_shoes_in_two_domains(shoes: Path):
    result = make(pairs.shoes_unaligned, small("edges2shoes-r-unaligned"), shoes)
    layout = read_layout(result)
    assert layout.kind == "unaligned"
    for split in ("train", "select", "test"):
        a, b = names(result, split, 0), names(result, split, 1)
        assert len(a) == 4
        assert {name.removesuffix("_A") for name in a} == {name.removesuffix("_B") for name in b}
    for path in (result / "trainB").iterdir():
        pixels = np.asarray(Image.open(path)).astype(int)
        assert pixels.shape == (8, 8, 3)
        assert abs(pixels - (0, 0, 250)).max() <= 3


def test_too_few_shoes(shoes: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pairs, "HELD", 6)
    with pytest.raises(
        DataError, match=r"edges2shoes-r needs more than 12 pairs, .*edges2shoes has 12; get the whole set"
    ):
        make(pairs.shoes, small("edges2shoes-r"), shoes)


# -- Cityscapes --------------------------------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path: Path) -> Path:
    streets(tmp_path / "originals", "train", ("ulm_000002_000019", "aachen_000001_000019", "aachen_000000_000019"))
    return streets(tmp_path / "originals", "val", ("bonn_000000_000019",))


def test_streets_as_pairs(town: Path):
    result = make(cityscapes.pix2pix_pairs, small("cityscapes"), town)
    assert tree(result) == {"train/0.jpg", "train/1.jpg", "train/2.jpg", "val/0.jpg", "originals.csv"}
    with Image.open(result / "train" / "0.jpg") as image:
        assert image.size == (512, 256)
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}, "colours in full resolution"
        assert max(image.quantization[0]) == 1, "quality 100"
        pixels = np.asarray(image).astype(int)
    assert abs(pixels[:, :256] - (200, 0, 0)).max() <= 2
    assert abs(pixels[:, 256:] - (0, 0, 200)).max() <= 2
    with (result / "originals.csv").open() as file:
        assert [(row["split"], row["id"], row["original"]) for row in csv.DictReader(file)] == [
            ("train", "0", "aachen/aachen_000000_000019"),
            ("train", "1", "aachen/aachen_000001_000019"),
            ("train", "2", "ulm/ulm_000002_000019"),
            ("val", "0", "bonn/bonn_000000_000019"),
        ]
    assert names(result, "test") == {"0"}


def test_streets_in_their_folders(town: Path):
    result = make(cityscapes.original_folders, small("cityscapes-originals"), town)
    assert tree(result) == {name for name in tree(town) if not name.endswith("_color.png")}
    assert all((result / name).read_bytes() == (town / name).read_bytes() for name in tree(result))
    layout = read_layout(result)
    assert layout.kind == "labels"
    assert names(result, "test") == {"bonn_000000_000019"}


def test_a_street_without_its_labels(town: Path):
    lacking = town / "gtFine" / "train" / "ulm" / "ulm_000002_000019_gtFine_color.png"
    lacking.unlink()
    with pytest.raises(
        DataError, match=r"there is no .*_color\.png for .*leftImg8bit\.png; unpack both archives again"
    ):
        make(cityscapes.pix2pix_pairs, small("cityscapes"), town)


def test_one_of_two_archives(tmp_path: Path):
    (tmp_path / "leftImg8bit" / "train").mkdir(parents=True)
    with pytest.raises(DataError) as lacking:
        cityscapes.pix2pix_pairs(tmp_path, tmp_path / "result", SETS["cityscapes"], quiet)
    assert str(lacking.value) == (
        "cityscapes needs the folders gtFine/, which are not in the archive or folder; "
        "give all of gtFine_trainvaltest.zip, leftImg8bit_trainvaltest.zip with --from"
    )


# -- COCO-Stuff --------------------------------------------------------------------------------------------------


def test_coco_folders(tmp_path: Path):
    coco_originals(tmp_path / "originals", "train2017", ("000000000009", "000000000025", "000000000030"))
    coco_originals(tmp_path / "originals", "val2017", ("000000000139",))
    result = make(coco.label_folders, small("coco-stuff"), tmp_path / "originals")
    assert {path.name for path in result.iterdir()} == {
        f"{split}_{kind}" for split in ("train", "val") for kind in ("img", "inst", "label")
    }
    expected = np.full((8, 8), 5)
    expected[2:5, 1:4] = 0
    expected[5:8, 4:7] = 1
    assert (np.asarray(Image.open(result / "train_inst" / "000000000025.png")) == expected).all()
    assert (np.asarray(Image.open(result / "val_label" / "000000000139.png")) == 5).all()
    assert read_layout(result).kind == "labels"
    assert names(result, "test") == {"000000000139"}


def test_a_crowd_takes_no_number_and_polygons_of_one_object_share_theirs():
    labels = np.full((8, 8), 5)
    crowd = {"segmentation": {"counts": [0, 64], "size": [8, 8]}}
    one = {"segmentation": [SQUARE, [x + 3 for x in SQUARE]]}
    assert (paint_instances(labels, [crowd]) == 5).all()
    painted = paint_instances(labels, [crowd, {"segmentation": [SQUARE]}, crowd, one])
    assert (painted[2:5, 1:4] == 1).all()
    assert (painted[5:8, 4:7] == 1).all()
    assert (labels == 5).all()


def test_broken_coco(tmp_path: Path):
    root = coco_originals(tmp_path, "train2017", ("000000000009",))
    file = root / "annotations" / "instances_train2017.json"
    for content in ("{}", "[", '{"images": [], "annotations": [{"image_id": 1, "segmentation": []}]}'):
        file.write_text(content)
        with pytest.raises(
            DataError, match=r"instances_train2017\.json is not a file of COCO annotations; get it again"
        ):
            coco.label_folders(tmp_path, tmp_path / "result", small("coco-stuff"), quiet)
    file.unlink()
    with pytest.raises(
        DataError, match=r"there is no instances_train2017\.json; give annotations_trainval2017\.zip"
    ):
        coco.label_folders(tmp_path, tmp_path / "result", small("coco-stuff"), quiet)
    (root / "labels" / "train2017" / "000000000009.png").unlink()
    with pytest.raises(
        DataError, match="000000000009 of train2017 has no label map or no photo; get all four archives"
    ):
        coco.label_folders(tmp_path, tmp_path / "result", small("coco-stuff"), quiet)


# -- the papers' lists -------------------------------------------------------------------------------------------

LISTED = {
    ("edges2shoes-r", ""): 2048,
    ("maps", ""): 300,
    ("cityscapes", ""): 200,
    ("cityscapes-originals", ""): 200,
    ("coco-stuff", ""): 500,
    ("horse2zebra", "A"): 120,
    ("horse2zebra", "B"): 120,
}


def test_the_papers_lists():
    assert {key: len(papers_list(*key)) for key in LISTED} == LISTED
    assert {name for name, own in SETS.items() if own.lists} | {"edges2shoes-r"} == {name for name, _ in LISTED}
    assert max(map(int, papers_list("maps"))) <= SETS["maps"].counts["train"]
    assert max(map(int, papers_list("cityscapes"))) < SETS["cityscapes"].counts["train"]


def test_the_papers_lists_become_the_split(tmp_path: Path):
    for name in papers_list("maps") | {"3", "5"}:
        picture(tmp_path / "train" / f"{name}.png", size=(4, 2))
    picture(tmp_path / "test" / "1.png", size=(4, 2))
    write_papers_split(tmp_path, SETS["maps"])
    assert names(tmp_path, "select") == papers_list("maps")
    assert names(tmp_path, "train") == {"3", "5"}
    (tmp_path / "train" / "10.png").unlink()
    with pytest.raises(DataError) as lacking:
        write_papers_split(tmp_path, SETS["maps"])
    assert str(lacking.value) == (
        "10, which the papers search on, is not among the training images of maps; get the whole set"
    )


def test_the_papers_lists_of_two_domains(tmp_path: Path):
    for domain in "AB":
        for name in papers_list("horse2zebra", domain) | {f"other{domain}"}:
            picture(tmp_path / f"train{domain}" / f"{name}.png", size=(4, 2))
        picture(tmp_path / f"test{domain}" / f"test{domain}.png", size=(4, 2))
    write_papers_split(tmp_path, SETS["horse2zebra"])
    assert names(tmp_path, "select", 0) == papers_list("horse2zebra", "A")
    assert names(tmp_path, "train", 1) == {"otherB"}


@pytest.mark.parametrize("name", ["cityscapes-originals", "coco-stuff"])
def test_the_papers_lists_of_label_maps(name: str, tmp_path: Path):
    chosen = sorted(papers_list(name))
    if name == "coco-stuff":
        for split, own in {"train": [*chosen, "other"], "val": ["tested"]}.items():
            for kind, suffix in {"label": "png", "img": "jpg", "inst": "png"}.items():
                for stem in own:
                    picture(tmp_path / f"{split}_{kind}" / f"{stem}.{suffix}", size=(4, 2))
    else:
        for split, own in {"train": [*chosen, "ulm_0"], "val": ["bonn_0"]}.items():
            for stem in own:
                city = stem.split("_")[0]
                picture(tmp_path / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", size=(4, 2))
                for kind in ("labelIds", "instanceIds"):
                    picture(tmp_path / "gtFine" / split / city / f"{stem}_gtFine_{kind}.png", size=(4, 2))
    write_papers_split(tmp_path, SETS[name])
    assert names(tmp_path, "select") == set(chosen)
