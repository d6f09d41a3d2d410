"""A finished network with norms of fixed statistics in the place of instance norms."""

from __future__ import annotations

from itertools import islice
from typing import Literal

from pocketgan.data.cache import load_examples
from pocketgan.distributed import ALONE
from pocketgan.elastic.calibrate import calibrate
from pocketgan.errors import SpecError
from pocketgan.models import load_model
from pocketgan.networks import Generator, GeneratorSpec
from pocketgan.networks.layers import Padding
from pocketgan.objectives.fixed_norms import FixedNorms, FixedNormsSettings
from pocketgan.pipeline.distil import untrained
from pocketgan.pipeline.stage import Network, Workspace
from pocketgan.pipeline.training import Training

#: batches of the first epoch that the statistics are taken from
CALIBRATION = 16


class FixNorms(Training):
    """A finished network teaches itself with fixed norms.

    Leaves: `model/`.
    Fields:
        padding: how its residual blocks pad from now on; default as they did.
    """

    kind: Literal["fixed-norms"] = "fixed-norms"
    teacher: Network
    objective: FixedNormsSettings = FixedNormsSettings()
    padding: Padding | None = None

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model",)

    def spec(self, name: str = "model") -> GeneratorSpec:
        return fixed(self.teacher.spec(), self.padding)

    @property
    def largest(self) -> GeneratorSpec:
        return self.teacher.spec()

    def notes(self) -> tuple[str, ...]:
        told = (
            "The teacher is the network as it was; the compressed one is the same with norms of fixed statistics. "
            "Its parameters and size count these norms, which exports fold into the convolutions."
        )
        return (*super().notes(), told)

    def untrained(self) -> FixedNorms:
        return self._game(*(untrained(spec) for spec in (self.teacher.spec(), self.spec())))

    def run(self, work: Workspace) -> None:
        teacher = load_model(work.inputs(self.teacher) / "model").network
        student = with_fixed_norms(teacher, self.padding)
        examples = load_examples(self.task, self.splits, work.cache, training=True)
        batches = self._epoch(ALONE, examples, epoch=0, first=0)
        place = work.runtime.place
        calibrate(student.to(place), (batch.on(place).x for batch in islice(batches, CALIBRATION)))
        self._fit(work, self._game(teacher, student))

    def _game(self, teacher: Generator, student: Generator) -> FixedNorms:
        return FixedNorms(self.objective, teacher, student, self.task.paired)


def with_fixed_norms(network: Generator, padding: Padding | None = None) -> Generator:
    """A network like this one and with its weights, but for its norms, which are yet to be calibrated.

    What has no place in it are biases in front of norms, which an instance norm takes away again.
    """
    made = fixed(network.spec, padding).build()
    own = made.state_dict()
    made.load_state_dict(own | {name: each for name, each in network.state_dict().items() if name in own})
    return made


def fixed(spec: GeneratorSpec, padding: Padding | None = None) -> GeneratorSpec:
    """The spec with fixed norms, and another padding if given. Raises `SpecError` where there is none, or nothing
    would change."""
    found = spec.with_fixed_norms
    if found is None:
        what = "a network of your own" if spec.kind == "traced" else f"a {spec.kind}"
        what += " with decomposed convolutions" if getattr(spec, "separable", ()) else ""
        raise SpecError(
            "without instance norm there are forms of a resnet and of a unet that is not decomposed, and this is "
            f"{what}; export it as it is"
        )
    if padding and "padding" not in type(spec).model_fields:
        raise SpecError(f"a {spec.kind} has no choice of padding; leave out --set padding={padding}")
    if padding:
        found = found.model_copy(update={"padding": padding})
    if found == spec:
        raise SpecError(f"this {spec.kind} has no instance norm; export it, and its norms are folded away")
    return found
