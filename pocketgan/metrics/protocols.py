"""Protocols: which images are generated, and what they are held against. Two figures compare only within one."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pocketgan.data.samples import Split
from pocketgan.errors import SpecError, unknown


class Protocol(BaseModel):
    """A way to evaluate, by name.

    Attributes:
        sources: the splits whose inputs are given to the generator.
        targets: the splits whose real images its images are held against as a set.
        reference: "targets", or "teacher": the teacher's outputs take the place of the real images.
        data: whether it is for pairs, for data without pairs, or for both.
        metrics: what it is usually reported with; none: what suits the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str
    sources: tuple[Split, ...] = ("test",)
    targets: tuple[Split, ...] = ("test",)
    reference: Literal["targets", "teacher"] = "targets"
    data: Literal["pairs", "unpaired", "any"] = "any"
    metrics: tuple[str, ...] = ()

    def check(self, paired: bool) -> None:
        """Raises SpecError where the data are of the other kind."""
        if self.data != "any" and (self.data == "pairs") != paired:
            kind, other = ("pairs", "has none") if self.data == "pairs" else ("data without pairs", "has pairs")
            raise SpecError(f"the protocol {self.name} is for {kind}, and this folder {other}; use held-out")


_ALL = (
    Protocol(name="held-out", about="generated test images against the real ones of the test split"),
    Protocol(
        name="paired-val",
        about="the papers' FID of paired tasks: generated against real validation images, which are the test split "
        "where a data set has no other",
        data="pairs",
        metrics=("fid_legacy",),
    ),
    Protocol(
        name="gan-compression-unpaired",
        about="the papers' FID of CycleGAN: generated test images against all real images of train and test",
        targets=("train", "select", "test"),
        data="unpaired",
        metrics=("fid_legacy",),
    ),
    Protocol(
        name="cut-120-140",
        about="all test inputs against all real test images alone (120 and 140 of horse2zebra)",
        data="unpaired",
        metrics=("fid_legacy", "fid_clean"),
    ),
    Protocol(
        name="pseudo-pair",
        about="generated test images against the teacher's, image by image and as a set",
        reference="teacher",
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in _ALL}
HELD_OUT = PROTOCOLS["held-out"]


def find_protocol(name: str) -> Protocol:
    """Raises SpecError, which names the nearest, for an unknown name."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
