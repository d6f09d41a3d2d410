"""The stages: train a teacher, distil, distil online, search, extract, pick, measure, evaluate, export."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pocketgan.pipeline.front import Front, Pick
from pocketgan.pipeline.online import OnlineDistil, Product
from pocketgan.pipeline.searching import Extract, Search
from pocketgan.pipeline.shipping import Evaluate, Export
from pocketgan.pipeline.sorting import Sorted
from pocketgan.pipeline.training import Distil, Given, Train, Training

__all__ = [
    "AnyStage",
    "Distil",
    "Evaluate",
    "Export",
    "Extract",
    "Front",
    "Given",
    "OnlineDistil",
    "Pick",
    "Product",
    "Search",
    "Sorted",
    "Train",
    "Training",
]

AnyStage = Annotated[
    Train | Given | Distil | OnlineDistil | Product | Sorted | Search | Front | Extract | Pick | Evaluate | Export,
    Field(discriminator="kind"),
]
for _stage in (Train, Given, Distil, OnlineDistil, Product, Sorted, Search, Front, Extract, Pick, Evaluate, Export):
    # the modules of the stages cannot know each other all ways round
    _stage.model_rebuild(_types_namespace={**globals()})
