"""A stage that only puts channels in order."""

from __future__ import annotations

import shutil
from typing import Literal

from pocketgan.elastic.order import keep_important
from pocketgan.models import load_model, save_model
from pocketgan.networks import GeneratorSpec
from pocketgan.pipeline.stage import Network, Stage, Workspace
from pocketgan.pipeline.supernets import KERNELS


class SortChannels(Stage):
    """A network, or a supernet's, with the most important channels first; what it computes stays, at every depth
    and kernel too.

    Narrower subnets keep leading channels: sorting decides which they are, before the first of them is trained.

    Leaves: `model/`.

    Source: Cai et al., Once-for-All, ICLR 2020, section 3.3 (elastic width).
    """

    kind: Literal["sort-channels"] = "sort-channels"
    network: Network

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model",)

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.network.spec()

    def run(self, work: Workspace) -> None:
        source, target = work.inputs(self.network) / "model", work.artifact / "model"
        model = load_model(source)
        model.network.load_state_dict(keep_important(model.network, model.spec, model.spec.widths))
        save_model(target, model.network, {**model.card, "made_by": self.address})
        if (source / KERNELS).is_file():
            # the channels of a layer share its matrices, in whichever order they are
            shutil.copyfile(source / KERNELS, target / KERNELS)
