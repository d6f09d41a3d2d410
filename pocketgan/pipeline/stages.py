"""The stages: train a teacher, distil, search, extract, evaluate, export."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pocketgan.pipeline.searching import Extract, Search
from pocketgan.pipeline.shipping import Evaluate, Export
from pocketgan.pipeline.training import Distil, Given, Train, Training

__all__ = ["AnyStage", "Distil", "Evaluate", "Export", "Extract", "Given", "Search", "Train", "Training"]

AnyStage = Annotated[Train | Given | Distil | Search | Extract | Evaluate | Export, Field(discriminator="kind")]
for _stage in (Train, Given, Distil, Search, Extract, Evaluate, Export):
    # the modules of the stages cannot know each other all ways round
    _stage.model_rebuild(_types_namespace={**globals()})
