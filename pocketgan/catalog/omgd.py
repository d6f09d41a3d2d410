"""Every published row of OMGD as a table: networks, weights and lengths as the authors' launch scripts have them.

Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021: paper, code, launch
scripts; the figures marked as read off a plot stand in no table.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from pocketgan.methods.omgd import Omgd
from pocketgan.networks import DeepResnetSpec, PatchSpec, ResnetSpec, UnetSpec
from pocketgan.networks.spec import Norm
from pocketgan.objectives.bursts import BurstSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.games import FeatureNetwork
from pocketgan.training.schedule import Schedule

Family = Literal["unet", "resnet"]


class Task(NamedTuple):
    """What the rows of one data set share.

    `epochs`: at the full and at a falling learning rate. `n_dis`: steps of the student for one of the teachers'.
    `prepare`: the set's name for `pocketgan prepare`.
    """

    about: str
    prepare: str
    metric: Literal["miou", "fid"]
    epochs: tuple[int, int]
    n_dis: int
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    paired: bool = True


class Row(NamedTuple):
    """One published student.

    Attributes:
        width, wide, deep: base widths of the student and of its teachers.
        shared: how many of the discriminator's convolutions the teachers share.
        discriminator: its base width.
        channel: the weight of channel distillation.
        score: what the paper reports, None where it reports nothing.
        plotted: whether that was read off a plot.
        every: without pairs, how many epochs the teachers learn between two turns of the student.
    """

    family: Family
    data: str
    scale: str
    width: int
    wide: int
    deep: int | None
    shared: int
    discriminator: int
    channel: float
    batch_size: int
    score: float | None
    plotted: bool = True
    every: int = 0

    @property
    def name(self) -> str:
        return f"omgd-{self.family}-{self.data}-{self.scale}"

    @property
    def task(self) -> Task:
        return TASKS[self.data]

    @property
    def params(self) -> int:
        return STUDENTS[self.family, self.width][0]

    @property
    def macs(self) -> float:
        """As published: without instance norms."""
        return STUDENTS[self.family, self.width][1]

    @property
    def budget(self) -> str:
        """The student's MACs, instance norms included, rounded up."""
        return f"{math.ceil(STUDENTS[self.family, self.width][2] / 1e7) / 100:g}G"

    @property
    def about(self) -> str:
        what = {"miou": "mIoU", "fid": "FID"}[self.task.metric]
        score = "as intended (the official script does not run), no figure published"
        if self.score is not None:
            score = f"{what} {self.score:g}{' (read off a plot)' if self.plotted else ''}"
        elif self.data == "cityscapes":
            score = "no figure published"
        return f"OMGD, {self.data}: {score} at {self.macs / 1e9:.4g} G MACs; days on a GPU"

    def settings(self) -> Omgd:
        """Pairs: a wide and a deep teacher, all of train. Without pairs the selection split is held out of train,
        because the teacher is chosen on it."""
        task, norm = self.task, _NORMS[self.family]
        constant, decay = task.epochs
        return Omgd(
            student=_generator(self.family, self.width),
            wide=_generator(self.family, self.wide),
            deep=_deep(self.family, self.deep) if self.deep else None,
            discriminator=PatchSpec(in_channels=6 if task.paired else 3, width=self.discriminator, norm=norm),
            shared=self.shared,
            objective=OnlineSettings(channel=self.channel, n_dis=task.n_dis)
            if task.paired
            else BurstSettings(channel=self.channel, n_dis=task.n_dis, every=self.every),
            schedule=Schedule(constant=constant, decay=decay, batch_size=self.batch_size),
            whole_train=task.paired,
            # mIoU needs labels of full size beside the images (`evaluate --segmenter`)
            metric="fid_legacy" if task.metric == "fid" else "fd_mobilenet_v2",
            feature_network=FeatureNetwork(name="vgg16"),
        )

    def entry(self) -> dict[str, Any]:
        """As the fields of a catalog's entry; some have no figure."""
        task = self.task
        score: dict[str, float] = {} if self.score is None else {task.metric: self.score}
        return dict(
            name=self.name,
            task=task.about,
            about=self.about,
            settings=self.settings,
            budget=self.budget,
            direction=task.direction,
            unpaired=None if task.paired else True,
            prepare=task.prepare,
            published={"params": self.params, "macs": self.macs, **score},
        )


_NORMS: dict[Family, Norm] = {"unet": "batch", "resnet": "instance"}


def _generator(family: Family, width: int) -> ResnetSpec | UnetSpec:
    return UnetSpec.uniform(width) if family == "unet" else ResnetSpec.uniform(width).mobile


def _deep(family: Family, width: int) -> DeepResnetSpec | UnetSpec:
    return UnetSpec.uniform(width, residuals=2) if family == "unet" else DeepResnetSpec.uniform(width)


TASKS = {
    "cityscapes": Task("street labels to photos", "cityscapes", "miou", (300, 450), 3, direction="BtoA"),
    "edges2shoes-r": Task("edges to shoes", "edges2shoes-r", "fid", (100, 100), 1),
    "horse2zebra": Task("horses to zebras, without pairs", "horse2zebra", "fid", (100, 100), 4, paired=False),
    "summer2winter": Task(
        "summer to winter, without pairs", "summer2winter_yosemite", "fid", (100, 100), 4, paired=False
    ),
}

#: a student's parameters, its MACs as published, and as counted here: instance norms included
STUDENTS: dict[tuple[Family, int], tuple[int, float, int]] = {
    ("unet", 16): (3_404_451, 1.219e9, 1_218_707_456),
    ("unet", 12): (1_915_899, 0.707e9, 706_756_608),
    ("unet", 8): (852_307, 0.333e9, 332_988_416),
    ("resnet", 24): (295_875, 2.904e9, 2_923_560_960),
    ("resnet", 16): (137_347, 1.408e9, 1_420_558_336),
    ("resnet", 12): (80_547, 0.858e9, 867_237_888),
    ("resnet", 8): (38_723, 0.440e9, 446_038_016),
}

#                              scale  student wide deep shared discr channel batch score
ROWS = (
    Row("unet", "cityscapes", "1.0x", 16, 64, 16, 5, 128, 50, 4, 48.91, plotted=False),
    Row("unet", "cityscapes", "0.75x", 12, 48, 12, 5, 96, 50, 4, 45.6),
    Row("unet", "cityscapes", "0.5x", 8, 48, 12, 3, 96, 50, 4, 41.6),
    Row("unet", "edges2shoes-r", "1.0x", 16, 64, 16, 5, 128, 10, 4, 25.1),
    Row("unet", "edges2shoes-r", "0.75x", 12, 48, 12, 5, 96, 10, 4, 31.9),
    Row("unet", "edges2shoes-r", "0.5x", 8, 48, 12, 5, 96, 10, 4, 37.4),
    Row("resnet", "cityscapes", "1.5x", 24, 96, 24, 3, 128, 0, 1, None),
    Row("resnet", "cityscapes", "1.0x", 16, 64, 16, 4, 128, 0, 1, 45.2),
    Row("resnet", "cityscapes", "0.75x", 12, 48, 12, 3, 96, 0, 1, 42.2),
    Row("resnet", "cityscapes", "0.5x", 8, 48, 12, 3, 96, 0, 1, 37.7),
    Row("resnet", "edges2shoes-r", "1.5x", 24, 96, 24, 3, 128, 100, 4, None),
    Row("resnet", "edges2shoes-r", "1.0x", 16, 64, 16, 3, 128, 100, 4, 25.9),
    Row("resnet", "edges2shoes-r", "0.75x", 12, 48, 12, 3, 96, 1000, 4, 34.5),
    Row("resnet", "edges2shoes-r", "0.5x", 8, 48, 12, 3, 96, 1000, 4, 38.1),
    Row("resnet", "horse2zebra", "1.0x", 16, 64, None, 0, 64, 500, 1, 51.92, plotted=False, every=10),
    Row("resnet", "horse2zebra", "0.75x", 12, 48, None, 0, 64, 500, 1, 64.3, every=12),
    Row("resnet", "horse2zebra", "0.5x", 8, 48, None, 0, 64, 500, 1, 71.3, every=8),
    Row("resnet", "summer2winter", "1.0x", 16, 64, None, 0, 64, 100, 1, 74.4, every=6),
    Row("resnet", "summer2winter", "0.75x", 12, 48, None, 0, 64, 100, 1, 75.0, every=6),
    Row("resnet", "summer2winter", "0.5x", 8, 48, None, 0, 64, 100, 1, 75.5, every=6),
)
