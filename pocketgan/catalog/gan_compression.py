"""Every published row of GAN Compression and of its fast form as a table: widths, weights and lengths as the
authors' launch scripts have them.

Source: GAN Compression (CVPR 2020) and Fast GAN Compression (TPAMI 2022): papers, code and launch scripts.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pocketgan.data.task import Direction
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.methods.gan_compression import GanCompression
from pocketgan.networks.presets import LABELS
from pocketgan.recipes.games import GAMES, UNPAIRED
from pocketgan.recipes.supernet import SupernetSettings
from pocketgan.search import AnyStrategy, Evolution, Exhaustive
from pocketgan.training.schedule import Schedule
from pocketgan.units import Size


class Task(NamedTuple):
    """What the rows of one data set share.

    Attributes:
        data: the set's name for `pocketgan prepare`.
        game: who plays; see `GAMES`.
        metric: what the paper reports.
        discriminator: its base width.
        terms: the weights that differ from the game's usual ones: of the teacher, of the student.
        labels: of label maps, which set they are of.
    """

    about: str
    data: str
    game: str
    metric: Literal["fid", "miou"]
    discriminator: int
    direction: Direction = "AtoB"
    size: int | Size = 256
    terms: tuple[dict[str, float], dict[str, float]] = ({}, {})
    labels: str = ""


class Length(NamedTuple):
    """Epochs at the full and at a falling learning rate, images a step, and the steps of a halving of the rate."""

    constant: int
    decay: int
    batch_size: int
    halving: int | None = None

    @property
    def schedule(self) -> Schedule:
        return Schedule(**self._asdict())


class Row(NamedTuple):
    """One published generator.

    Attributes:
        width: base width of the teacher, which is mobile except in the fast form.
        space: where the search looks.
        teaching, supernet: how long the teacher and the supernet train; the narrower student, where there is one,
            trains as long as the teacher.
        tuned: whether the subnet is fine-tuned, for as long as the teacher trains. The authors leave it out without
            pairs, where the FID gets worse, and for the fast form on Cityscapes, where it gains nothing.
        budget: for `--budget`.
        score, params, macs: as published.
    """

    name: str
    task: str
    width: int
    space: str
    teaching: Length
    supernet: Length
    search: AnyStrategy
    tuned: bool
    budget: str
    score: float
    params: int
    macs: float

    @property
    def fast(self) -> bool:
        return self.name.startswith("fast")

    def settings(self) -> SupernetSettings:
        """Teacher and fine-tuning see all of train; batch norm is calibrated on 512 images. Searches go by the FID
        where the authors' did; those of label maps went by mIoU, which needs labels of full size beside the images
        (`evaluate --segmenter`), and go by the default metric here."""
        task = TASKS[self.task]
        parts = GAMES[task.game].parts(
            self.width, task.discriminator, mobile=not self.fast, **LABELS.get(task.labels, {})
        )
        teaching = self.teaching.schedule
        fields: dict[str, Any] = dict(
            parts.fields,
            objective=parts.objective.model_copy(update=task.terms[0]),
            distillation=parts.distillation.model_copy(update=task.terms[1]),
            teaching=teaching,
            space=self.space,
            supernet=self.supernet.schedule,
            search=self.search,
            tuning=teaching if self.tuned else None,
            whole_train=True,
            calibration=512,
        )
        if task.metric == "fid" and not task.labels:
            fields["metric"] = "fid_legacy"
        if task.labels:
            fields["feature_network"] = {"name": "vgg19"}
        if self.fast:
            return FastGanCompression(**fields)
        return GanCompression(**fields, predistillation=teaching)

    def entry(self) -> dict[str, Any]:
        """As the fields of a catalog's entry."""
        task = TASKS[self.task]
        method = "Fast GAN Compression" if self.fast else "GAN Compression"
        shown = {"fid": "FID", "miou": "mIoU"}[task.metric]
        return dict(
            name=self.name,
            task=task.about,
            about=f"{method}, {task.data}: {shown} {self.score:g} at {self.macs / 1e9:.4g} G MACs; days on a GPU",
            settings=self.settings,
            budget=self.budget,
            prepare=task.data,
            direction=task.direction,
            unpaired=True if GAMES[task.game].data == UNPAIRED else None,
            size=task.size,
            load_size=task.size if task.size != 256 else None,
            published={"params": self.params, "macs": self.macs, task.metric: self.score},
        )


#: of the maps, pixels count less
_AERIAL = ({"recon": 10.0}, {"recon": 10.0, "distil": 0.01})
_STREETS = (256, 512)

TASKS = {
    "shoes": Task("edges to shoes", "edges2shoes-r", "pix2pix", "fid", 128),
    "cityscapes": Task("street labels to photos", "cityscapes", "pix2pix", "miou", 128, "BtoA"),
    "maps": Task("maps to aerial photos", "maps", "pix2pix", "fid", 128, "BtoA", terms=_AERIAL),
    "horses": Task("horses to zebras, without pairs", "horse2zebra", "cyclegan", "fid", 64),
    "streets": Task(
        "street label maps to photos",
        "cityscapes-originals",
        "gaugan",
        "miou",
        64,
        size=_STREETS,
        labels="cityscapes",
    ),
    "coco": Task("label maps to photos", "coco-stuff", "gaugan", "fid", 64, labels="coco"),
    "styles": Task("edges to shoes in any style, without pairs", "edges2shoes-r-unaligned", "munit", "fid", 64),
}

_ALL, _EVOLVED = Exhaustive(), Evolution(mutation_probability=0.3)
_HORSES = Evolution(mutation_probability=0.4, weighting="arithmetic", first_generation=2)
_SMALL_FIRST = Evolution(mutation_probability=0.2, weighting="geometric", first_generation=3)
_STYLES = Evolution(mutation_probability=0.2, weighting="geometric", first_generation=2)
_COCO = Evolution(mutation_probability=0.2)
#: MUNIT counts steps of one image: 1 and 2 million, over the 47,977 images of edges2shoes-r
_ONE_MILLION, _TWO_MILLION = Length(21, 0, 1, 100_000), Length(42, 0, 1, 200_000)
_PIX2PIX = "channels-64-pix2pix"

# fmt: off
#      name                        task          width  space                  teaching              supernet              search        tuned  budget   score  parameters  MACs  # noqa: E501
ROWS = (
    Row("edges2shoes-r",           "shoes",      64,  "channels-48",          Length(5, 15, 4),     Length(10, 30, 4),    _ALL,         True,  "5.2G",  26.70, 822_051,    4.99e9),  # noqa: E501
    Row("fast-edges2shoes-r",      "shoes",      64,  _PIX2PIX,               Length(5, 15, 4),     Length(10, 30, 4),    _EVOLVED,     True,  "4.9G",  25.76, 702_835,    4.83e9),  # noqa: E501
    Row("cityscapes",              "cityscapes", 96,  "channels-48",          Length(100, 150, 1),  Length(200, 300, 1),  _ALL,         True,  "5.68G", 38.63, 780_819,    5.59e9),  # noqa: E501
    Row("fast-cityscapes",         "cityscapes", 64,  _PIX2PIX,               Length(100, 150, 1),  Length(200, 300, 1),  _EVOLVED,     False, "5.7G",  41.71, 867_000,    5.61e9),  # noqa: E501
    Row("map2sat",                 "maps",       96,  "channels-48",          Length(100, 200, 1),  Length(200, 400, 1),  _ALL,         True,  "4.7G",  48.02, 746_211,    4.68e9),  # noqa: E501
    Row("fast-map2sat",            "maps",       64,  _PIX2PIX,               Length(100, 200, 1),  Length(200, 400, 1),  _EVOLVED,     True,  "4.6G",  48.67, 708_000,    4.53e9),  # noqa: E501
    Row("horse2zebra",             "horses",     64,  "channels-32",          Length(100, 100, 1),  Length(200, 200, 1),  _ALL,         False, "2.6G",  65.12, 356_867,    2.55e9),  # noqa: E501
    Row("fast-horse2zebra",        "horses",     64,  "channels-64-cycleGAN", Length(100, 100, 1),  Length(200, 200, 1),  _HORSES,      False, "3G",    65.19, 355_235,    2.64e9),  # noqa: E501
    Row("gaugan-cityscapes",       "streets",    64,  "channels-48",          Length(100, 100, 16), Length(100, 100, 16), _ALL,         True,  "35G",   60.29, 21_002_811, 31.2e9),  # noqa: E501
    Row("fast-gaugan-cityscapes",  "streets",    64,  "channels-64",          Length(100, 100, 16), Length(200, 200, 16), _SMALL_FIRST, True,  "32G",   61.17, 20_174_275, 31.3e9),  # noqa: E501
    Row("fast-gaugan-coco",        "coco",       64,  "channels-64",          Length(100, 0, 32),   Length(100, 0, 32),   _COCO,        True,  "36G",   25.06, 25_985_755, 35.5e9),  # noqa: E501
    Row("fast-munit-edges2shoes-r", "styles",    64,  "channels-64",          _ONE_MILLION,         _TWO_MILLION,         _STYLES,      False, "2.7G",  30.53, 1_100_347,  2.63e9),  # noqa: E501
)
# fmt: on
