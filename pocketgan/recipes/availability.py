"""Which networks of others a recipe uses: the user's weights, else the published ones, else the bundled network.

The choice is written into the recipe of the run. A run that goes on keeps it, on whatever machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.metrics.catalog import FRECHET, METRICS, NETWORKS
from pocketgan.metrics.encoders import Encoders
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.pipeline.games import FeatureNetwork, needs_features
from pocketgan.pipeline.owner import MARK
from pocketgan.pretrained.perceptual import PerceptualName
from pocketgan.recipes.settings import RecipeSettings

Settings = TypeVar("Settings", bound=RecipeSettings)


class Choices(NamedTuple):
    """What the recipe of a run has chosen: the name of its feature network, and the metric of its search."""

    feature_network: str | None = None
    metric: str | None = None


def choices_of(run: Path) -> Choices:
    """The choices that are written in a run folder; none where there is no run."""
    try:
        content = json.loads((run / MARK).read_text())
        networks = [fields.get("feature_network") for fields in content["table"].values()]
        return Choices(next((own["name"] for own in networks if own), None), content["recipe"]["metric"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Choices()  # whatever is wrong with the folder is said when it is claimed


def with_available(
    settings: Settings, weights: Mapping[str, Path], *, asked: set[str], written: Choices
) -> tuple[Settings, list[str]]:
    """The settings with networks that are there, and what to tell the user.

    Args:
        weights: files by the name of their network.
        asked: the settings that the user named, of `feature_network` and `metric`; no other takes their place, and
            `DataError` is raised where weights cannot be found.
        written: what the run that goes on has chosen.
    """
    settings, notes = _with_features(settings, weights, "feature_network" in asked, written.feature_network)
    settings, more = _with_metric(settings, weights, "metric" in asked, written.metric)
    return settings, notes + more


def _with_features(
    settings: Settings, weights: Mapping[str, Path], asked: bool, written: str | None
) -> tuple[Settings, list[str]]:
    wanted = settings.feature_network.name
    if not any(needs_features(game) for game in settings.games):
        if unused := sorted(weights.keys() & {"vgg16", "vgg19"} - set(NETWORKS)):
            raise SpecError(f"{unused[0]} was given, and nothing here looks through it; leave it out")
        return settings, []
    imitating = any(isinstance(game, ImitationSettings) for game in settings.games)
    usable: tuple[PerceptualName, ...] = ("vgg16", "vgg19") if imitating else ("vgg19",)
    brought = [name for name in usable if name in weights]
    if brought and not asked:
        wanted, asked = brought[0], True
    elif written == "mobilenet_v2" and not asked:
        wanted = "mobilenet_v2"
    network = FeatureNetwork.of(wanted, weights.get(wanted))
    notes = []
    try:
        network.open()
    except (DataError, OutputError) as error:
        if asked or written == wanted:
            raise
        notes = [f"perceptual terms look through the bundled mobilenet_v2, because {error}"]
        network = FeatureNetwork()
    return settings.model_copy(update={"feature_network": network}), notes


def _with_metric(
    settings: Settings, weights: Mapping[str, Path], asked: bool, written: str | None
) -> tuple[Settings, list[str]]:
    encoder = METRICS[settings.metric].encoder
    if encoder is None or asked:
        return settings, []
    if written == FRECHET:
        return settings.model_copy(update={"metric": FRECHET}), []
    try:
        Encoders([encoder], weights, torch.device("cpu"))
    except (DataError, OutputError) as error:
        if written == settings.metric:
            raise
        note = f"the search scores by {FRECHET} instead of {settings.metric}, because {error}"
        return settings.model_copy(update={"metric": FRECHET}), [note]
    return settings, []
