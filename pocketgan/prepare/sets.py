"""The table of published data sets.

A set is downloaded only where its archives are pinned: URL, size and SHA-256 known beforehand.

Source: sizes and SHA-256 of the CycleGAN and COCO archives: `url_checksums/{cycle_gan,coco}.txt` of
tensorflow/datasets; numbers of images: its catalog, and the lists of mit-han-lab/gan-compression. No public record
of the SHA-256 of the pix2pix archives and of stuffthingmaps_trainval2017.zip is known.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pocketgan.errors import SpecError, unknown

#: the data that come with the project
BUNDLED = Path(__file__).resolve().parents[2] / "examples" / "nuclei"

Form = Literal[
    "aligned",
    "unaligned",
    "shoes",
    "shoes-unaligned",
    "cityscapes",
    "cityscapes-originals",
    "coco-stuff",
    "bundled",
]


class Archive(BaseModel):
    """One published file. Without a SHA-256 it is never downloaded: the user brings it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    sha256: str | None = None
    size: int | None = None  #: bytes
    account: bool = False  #: the publisher asks for a personal account

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


class PublishedSet(BaseModel):
    """A data set that papers use.

    Attributes:
        form: how the archives become the folder.
        licence: the terms, in one line; where none is stated, that.
        layout: the folders of the result.
        counts: the number of images that the published set has in each of its own folders, where it is known.
        lists: this set has the papers' lists of the images on which the search chooses.
        size: (height, width) that the papers train at.
        backwards: the name by which the opposite direction is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str
    form: Form
    archives: tuple[Archive, ...] = ()
    licence: str
    layout: str
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    size: tuple[int, int] = (256, 256)
    counts: dict[str, int] = {}
    lists: bool = False
    backwards: str | None = None

    @property
    def pinned(self) -> bool:
        return bool(self.archives) and all(archive.sha256 for archive in self.archives)

    @property
    def download_size(self) -> int | None:
        """Bytes of all archives, where all are known."""
        sizes = [archive.size for archive in self.archives]
        return None if None in sizes else sum(size for size in sizes if size)


_CYCLEGAN = "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/"
_PIX2PIX = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/"
_COCO = "http://images.cocodataset.org/"
_CITYSCAPES = "https://www.cityscapes-dataset.com/downloads/"
_PAIRS = "train/ [val/] test/: A and B side by side in each image"
_DOMAINS = "trainA/ trainB/ [valA/ valB/] testA/ testB/"
_UNSTATED = "the publishers state no licence; use it for research"


def _domains(name: str, about: str, sha256: str, size: int, images: str, licence: str, **more) -> PublishedSet:
    """A CycleGAN set; `images` is how many trainA, trainB, testA and testB have."""
    numbers = dict(zip(("trainA", "trainB", "testA", "testB"), map(int, images.split()), strict=True))
    archive = Archive(url=f"{_CYCLEGAN}{name}.zip", sha256=sha256, size=size)
    settings = {"form": "unaligned", "layout": _DOMAINS} | more
    settings["counts"] = numbers | more.get("counts", {})
    return PublishedSet(name=name, about=about, archives=(archive,), licence=licence, **settings)


_SHOES = "UT Zappos50K: non-commercial research only; cite Yu and Grauman, CVPR 2014"
_IMAGENET = "images of ImageNet: non-commercial research only, no redistribution"
_FLICKR = "photos of Flickr users, whose own terms hold; use it for research"
_PAINTINGS = f"paintings from WikiArt, {_FLICKR}"
_STREETS = "Cityscapes: your own account, non-commercial use only, no redistribution"
_STREET_ARCHIVES = tuple(
    Archive(url=_CITYSCAPES + file, account=True)
    for file in ("gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip")
)
_SHOE_ARCHIVE = Archive(url=f"{_PIX2PIX}edges2shoes.tar.gz")

SETS = {
    published.name: published
    for published in (
        PublishedSet(
            name="edges2shoes",
            about="drawn edges to photos of shoes, as pix2pix split them: 49,825 to train, 200 to test",
            form="aligned",
            archives=(_SHOE_ARCHIVE,),
            licence=_SHOES,
            layout=_PAIRS,
            counts={"train": 49_825, "val": 200},
        ),
        PublishedSet(
            name="edges2shoes-r",
            about="edges2shoes (or GAN Compression's edges2shoes-r) with 2,048 pairs to test and 2,048 to search",
            form="shoes",
            archives=(_SHOE_ARCHIVE,),
            licence=_SHOES,
            layout=_PAIRS,
        ),
        PublishedSet(
            name="edges2shoes-r-unaligned",
            about="edges2shoes-r cut into its two domains, for MUNIT",
            form="shoes-unaligned",
            archives=(_SHOE_ARCHIVE,),
            licence=_SHOES,
            layout=_DOMAINS,
        ),
        PublishedSet(
            name="edges2handbags",
            about="drawn edges to photos of handbags",
            form="aligned",
            archives=(Archive(url=f"{_PIX2PIX}edges2handbags.tar.gz"),),
            licence=f"product photos of Amazon (Zhu et al., 2016); {_UNSTATED}",
            layout=_PAIRS,
        ),
        PublishedSet(
            name="night2day",
            about="webcam views by night and by day, in pairs",
            form="aligned",
            archives=(Archive(url=f"{_PIX2PIX}night2day.tar.gz"),),
            licence=f"Transient Attributes (Laffont et al., 2014); {_UNSTATED}",
            layout=_PAIRS,
        ),
        _domains(
            "facades",
            "photos of facades (A) and their labels in colours (B), in pairs",
            "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
            35_135_868,
            "400 400 106 106",
            "CMP Facade Database: research use; cite Tylecek and Sara, GCPR 2013",
            form="aligned",
            layout=_PAIRS,
            direction="BtoA",
            counts={"train": 400, "val": 100, "test": 106},
        ),
        _domains(
            "maps",
            "aerial photos (A) and street maps (B) of New York, in pairs",
            "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
            1_476_754_427,
            "1096 1096 1098 1098",
            f"pictures of Google Maps; {_UNSTATED}",
            form="aligned",
            layout=_PAIRS,
            direction="BtoA",
            counts={"train": 1096, "val": 1098},
            lists=True,
        ),
        PublishedSet(
            name="cityscapes",
            about="street photos (A) and their labels in colours (B), in pairs of 256x256, as pix2pix uses them",
            form="cityscapes",
            archives=_STREET_ARCHIVES,
            licence=_STREETS,
            layout=_PAIRS,
            direction="BtoA",
            counts={"train": 2975, "val": 500},
            lists=True,
        ),
        PublishedSet(
            name="cityscapes-originals",
            about="label maps, instance maps and street photos in their original folders, as GauGAN uses them",
            form="cityscapes-originals",
            archives=_STREET_ARCHIVES,
            licence=_STREETS,
            layout="gtFine/{train,val}/ leftImg8bit/{train,val}/",
            size=(256, 512),
            counts={"train": 2975, "val": 500},
            lists=True,
        ),
        PublishedSet(
            name="coco-stuff",
            about="label maps, instance maps and photos of COCO 2017, as GauGAN uses them",
            form="coco-stuff",
            archives=(
                Archive(
                    url=f"{_COCO}zips/train2017.zip",
                    sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
                    size=19_336_861_798,
                ),
                Archive(
                    url=f"{_COCO}zips/val2017.zip",
                    sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
                    size=815_585_330,
                ),
                Archive(
                    url=f"{_COCO}annotations/annotations_trainval2017.zip",
                    sha256="113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
                    size=252_907_541,
                ),
                Archive(
                    url="http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/"
                    "stuffthingmaps_trainval2017.zip"
                ),
            ),
            licence=f"annotations of COCO and COCO-Stuff: CC BY 4.0; {_FLICKR}",
            layout="{train,val}_{label,inst,img}/",
            counts={"train": 118_287, "val": 5000},
            lists=True,
        ),
        _domains(
            "horse2zebra",
            "horses (A) and zebras (B)",
            "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
            116_867_962,
            "1067 1334 120 140",
            _IMAGENET,
            lists=True,
            backwards="zebra2horse",
        ),
        _domains(
            "summer2winter_yosemite",
            "Yosemite in summer (A) and in winter (B)",
            "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
            132_640_856,
            "1231 962 309 238",
            _FLICKR,
            backwards="winter2summer_yosemite",
        ),
        _domains(
            "apple2orange",
            "apples (A) and oranges (B)",
            "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
            78_456_409,
            "995 1019 266 248",
            _IMAGENET,
            backwards="orange2apple",
        ),
        _domains(
            "monet2photo",
            "paintings of Monet (A) and photos of landscapes (B)",
            "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
            305_231_073,
            "1072 6287 121 751",
            _PAINTINGS,
            backwards="photo2monet",
        ),
        _domains(
            "cezanne2photo",
            "paintings of Cezanne (A) and photos of landscapes (B)",
            "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
            279_885_071,
            "525 6287 58 751",
            _PAINTINGS,
            backwards="photo2cezanne",
        ),
        _domains(
            "ukiyoe2photo",
            "ukiyo-e prints (A) and photos of landscapes (B)",
            "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
            292_946_532,
            "562 6287 263 751",
            _PAINTINGS,
            backwards="photo2ukiyoe",
        ),
        _domains(
            "vangogh2photo",
            "paintings of van Gogh (A) and photos of landscapes (B)",
            "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
            306_590_349,
            "400 6287 400 751",
            _PAINTINGS,
            backwards="photo2vangogh",
        ),
        _domains(
            "iphone2dslr_flower",
            "flowers by telephone (A) and by camera with a shallow depth of field (B)",
            "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
            339_964_458,
            "1812 3325 569 480",
            _FLICKR,
            backwards="dslr2iphone_flower",
        ),
        PublishedSet(
            name="nuclei",
            about="maps of nuclei and micrographs, stained and fluorescent; they come with the project",
            form="bundled",
            licence="2018 Data Science Bowl: CC0",
            layout="A/ B/ split.csv",
        ),
    )
}


def set_named(name: str) -> PublishedSet:
    """A set of the table by its name.

    Raises:
        SpecError: there is no such set, or the name is that of its opposite direction.
    """
    for published in SETS.values():
        if name == published.backwards:
            raise SpecError(
                f"{name} is {published.name} the other way round; prepare {published.name} and train it "
                "with --direction BtoA"
            )
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return SETS[name]
