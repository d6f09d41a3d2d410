"""The training of a student by a finished teacher.

Pre-distillation, supernet training and fine-tuning are all `Distil`, with different arguments.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from pocketgan.elastic.order import keep_important
from pocketgan.elastic.sampling import ResolutionSampling
from pocketgan.elastic.space import SearchSpace
from pocketgan.elastic.supernet import Supernet
from pocketgan.errors import SpecError
from pocketgan.models import load_model
from pocketgan.networks import DiscriminatorSpec, Generator, GeneratorSpec, PatchSpec, initialise
from pocketgan.objectives.base import Objective
from pocketgan.objectives.distil import DistilSettings
from pocketgan.pipeline.games import Distilling, distilling_game
from pocketgan.pipeline.stage import Network, Stage, Workspace
from pocketgan.pipeline.supernets import load_kernels
from pocketgan.pipeline.training import Training, bundled


class StudentTraining(Training):
    """Base of the stages that train a student.

    Fields:
        space: makes it a supernet; `student` a plain network; neither continues with the network of `init`.
        init: whose weights it starts from. A student narrower than that starts from its most important channels;
            without `init` it starts from scratch.
    """

    student: GeneratorSpec | None = None
    space: SearchSpace | None = None
    init: Network | None = None

    def spec(self, name: str = "model") -> GeneratorSpec:
        if self.space:
            return self.space.spec
        if self.student:
            return self.student
        if self.init is None:
            raise SpecError("a distillation needs a student, a space or an init; give one of them")
        return self.init.spec()

    def notes(self) -> tuple[str, ...]:
        whole = ("A student learnt from the selection split too, as in the papers.",)
        return (*super().notes(), *(whole if "select" in self.splits else ()))

    def _fresh(self) -> Any:
        """The stage as one that needs no earlier one for its student."""
        student = None if self.space else self.spec()
        features = bundled(self.feature_network)
        return self.model_copy(update={"student": student, "init": None, "feature_network": features})

    def _student(self, init: Generator | None) -> Supernet | Generator:
        """The student before its first step; `init`: the network of the stage of that name."""
        # the network of `init` itself says best what it is: of a search, `spec` knows the widest that it may choose
        spec = init.spec if init and not (self.space or self.student) else self.spec()
        sampling = self.objective.sampling
        if isinstance(sampling, ResolutionSampling):
            sampling.check(spec, self.task.size)
        student: Supernet | Generator = Supernet(spec) if self.space else spec.build()
        network = student.network if isinstance(student, Supernet) else student
        if init is None:
            initialise(network, self._random("generator"))
        elif init.spec.widths == spec.widths:
            network.load_state_dict(init.state_dict())
        else:
            network.load_state_dict(keep_important(init, init.spec, spec.widths))
        return student

    def _initial(self, work: Workspace) -> Generator | None:
        """The network of `init`."""
        return load_model(work.inputs(self.init) / "model").network if self.init else None

    def _fit(self, work: Workspace, objective: Objective, *changed: Any) -> None:
        """Begin with the kernel matrices of `init` too, where it is a supernet that has some."""
        if self.init:
            load_kernels(work.inputs(self.init) / "model", objective.generator)
        super()._fit(work, objective, *changed)


class Distil(StudentTraining):
    """A finished teacher teaches a student.

    Leaves: `model/` and `discriminator/`.
    Fields:
        inherited: the stage whose discriminator the student plays against; without it a fresh `discriminator`.
    """

    kind: Literal["distil"] = "distil"
    teacher: Network
    inherited: Stage | None = None
    discriminator: DiscriminatorSpec = PatchSpec()
    objective: Distilling = DistilSettings()

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model", "discriminator")

    @property
    def largest(self) -> GeneratorSpec:
        return self.teacher.spec()

    def untrained(self) -> Objective:
        return self._fresh().build(untrained(self.teacher.spec()), None, None)

    def build(self, teacher: Generator, init: Generator | None, inherited: nn.Module | None) -> Objective:
        """The game before its first step."""
        return distilling_game(
            self.objective,
            teacher,
            self._student(init),
            inherited or initialise(self.discriminator.build(), self._random("discriminator")),
            self.space,
            self._random,
            self.feature_network.open() if self.feature_network else None,
        )

    def run(self, work: Workspace) -> None:
        inherited = load_model(work.inputs(self.inherited) / "discriminator").network if self.inherited else None
        self._fit(
            work,
            self.build(
                load_model(work.inputs(self.teacher) / "model").network,
                self._initial(work),
                inherited,
            ),
        )


def untrained(spec: GeneratorSpec) -> Generator:
    """A fresh network in the place of a trained one. Initialised: other weights may overflow where no norm holds
    them."""
    return initialise(spec.build(), torch.Generator().manual_seed(0)).eval()
