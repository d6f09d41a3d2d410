"""Which convolutions of a ResNet generator may be decomposed into depthwise and pointwise ones.

Source: Li et al., GAN Compression, CVPR 2020, sections 3.2 and 4 (convolution decomposition).
"""

from __future__ import annotations

from pocketgan.networks.resnet import Part
from pocketgan.pipeline.training import Train
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

SERIES: dict[str, tuple[Part, ...]] = {
    "none": (),
    "downsampling": ("down",),
    "residual blocks": ("residual",),
    "upsampling": ("up",),
}


def decomposition(setting: Setting) -> list[Point]:
    place = f"width {setting.teacher_width}"
    return [
        Point(
            series,
            place,
            # one pace, that of the slowest, which comes first: as many epochs for all
            setting.training(
                Train, 1.0, "generator", generator=setting.dense.model_copy(update={"separable": parts})
            ),
        )
        for series, parts in SERIES.items()
    ]


DECOMPOSITION = Study(
    name="decomposition",
    about="Which layers tolerate decomposed convolutions? The same generator with none, or with those of one part "
    "decomposed, has as many epochs each time, whatever processor time that takes.",
    source="Li et al., GAN Compression, CVPR 2020, section 4: convolution decomposition",
    points=decomposition,
    claims=(
        Claim(better="residual blocks", worse="upsampling"),
        Claim(better="downsampling", worse="upsampling"),
        Claim(better="none", worse="upsampling"),
    ),
)
