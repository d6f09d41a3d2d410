"""What perceptual terms and scores look through: the user's weights, else the published ones, else the bundled
network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.metrics.catalog import FRECHET, METRICS, NETWORKS
from pocketgan.metrics.encoders import Encoders
from pocketgan.objectives.imitation import ImitationSettings
from pocketgan.pipeline.games import Sight, needs_sight
from pocketgan.pretrained.perceptual import PerceptualName
from pocketgan.recipes.methods import AnySettings


def with_sight(settings: AnySettings, weights: Mapping[str, Path], *, chosen: bool) -> tuple[AnySettings, str]:
    """The settings with a network that is there, and what to tell the user ("" for nothing).

    Args:
        weights: files by the name of their network.
        chosen: whether the user asked for this network; then no other takes its place, and `DataError` is raised
            where its weights cannot be found.
    """
    wanted = settings.sight.network
    if not any(needs_sight(game) for game in settings.games):
        if unused := sorted(weights.keys() & {"vgg16", "vgg19"} - set(NETWORKS)):
            raise SpecError(f"{unused[0]} was given, and nothing here looks through it; leave it out")
        return settings, ""
    imitating = any(isinstance(game, ImitationSettings) for game in settings.games)
    looked_through: tuple[PerceptualName, ...] = ("vgg16", "vgg19") if imitating else ("vgg19",)
    brought = [name for name in looked_through if name in weights]
    if brought and not chosen:
        wanted, chosen = brought[0], True
    sight = Sight.of(wanted, weights.get(wanted))
    note = ""
    try:
        sight.open()
    except (DataError, OutputError) as error:
        if chosen:
            raise
        note = f"perceptual terms look through the bundled mobilenet_v2, because {error}"
        sight = Sight()
    return settings.model_copy(update={"sight": sight}), note


def with_metric(settings: AnySettings, weights: Mapping[str, Path], *, chosen: bool) -> tuple[AnySettings, str]:
    """The settings with a metric whose network is there, and what to tell the user; arguments as `with_sight`."""
    encoder = METRICS[settings.metric].encoder
    if encoder is None or chosen:
        return settings, ""
    try:
        Encoders([encoder], weights, torch.device("cpu"))
    except (DataError, OutputError) as error:
        note = f"the search scores by {FRECHET} instead of {settings.metric}, because {error}"
        return settings.model_copy(update={"metric": FRECHET}), note
    return settings, ""
