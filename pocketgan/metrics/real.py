"""The real images of an evaluation: read once, their features kept by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pocketgan.distributed import ALONE, World
from pocketgan.errors import DataError, OutputError
from pocketgan.files import replacing
from pocketgan.metrics.catalog import Metric
from pocketgan.metrics.encoders import Encoders
from pocketgan.metrics.frechet import Statistics
from pocketgan.metrics.stream import Listing, Reals
from pocketgan.pretrained.inception import DIMENSIONS


class Reference:
    """What generated images are held against as a set.

    Attributes:
        listing: which real images.
        features: of them, by encoder (images x dimensions).
        digest: SHA-256 of the file of statistics, where one was given.
    """

    @torch.inference_mode()
    def __init__(
        self,
        batches: Iterable[Reals],
        metrics: Sequence[Metric],
        encoders: Encoders,
        *,
        file: Path | None = None,
        cache: Path | None = None,
        world: World = ALONE,
    ):
        """metrics: distances between sets.
        file: an .npz with mu and sigma, for the FIDs among them instead of the images of `batches`.
        cache: where features are looked for under the hash of the images as they are fed, of the network's weights
            and of the preparation, and left.
        world: the processes that share the images, without a cache.
        """
        self.file = None if file is None else Statistics.read(file, DIMENSIONS)
        self.digest = None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
        wanted = sorted({metric.encoder for metric in metrics if metric.encoder and not self.from_file(metric)})
        self.listing, self.features = _read(batches, encoders, wanted, cache, world)
        if wanted and self.listing.images < 2:
            raise DataError(
                f"an evaluation needs at least 2 real images, and there is {self.listing.images}; add images"
            )
        #: by encoder, made when first asked for
        self._statistics: dict[str, Statistics] = {}

    def from_file(self, metric: Metric) -> bool:
        """Whether a metric is held against the statistics of the file."""
        return self.file is not None and metric.takes_statistics

    def of(self, metric: Metric) -> Tensor | Statistics:
        """What a distance is taken to: features, or the file's statistics."""
        assert metric.encoder
        return self.file if self.file and metric.takes_statistics else self.features[metric.encoder]

    def statistics(self, metric: Metric) -> Statistics:
        """The same, summarised."""
        found = self.of(metric)
        if isinstance(found, Statistics):
            return found
        assert metric.encoder
        if metric.encoder not in self._statistics:
            self._statistics[metric.encoder] = Statistics.of(found)
        return self._statistics[metric.encoder]


def _read(
    batches: Iterable[Reals], encoders: Encoders, wanted: list[str], cache: Path | None, world: World
) -> tuple[Listing, dict[str, Tensor]]:
    listing = Listing()
    if cache is None or not wanted:
        return listing, _run(batches, encoders, wanted, listing, world)
    for batch in batches:
        listing.add(batch.y, batch.names)
    files = {name: cache / f"{_key(listing.sha256, name, encoders.digest(name))}.safetensors" for name in wanted}
    found = {name: kept for name, file in files.items() if (kept := _kept(file, listing.images)) is not None}
    missing = [name for name in wanted if name not in found]
    for name, values in (_run(batches, encoders, missing) if missing else {}).items():
        _keep(files[name], values)
        found[name] = values
    return listing, found


def _run(
    batches: Iterable[Reals],
    encoders: Encoders,
    wanted: list[str],
    listing: Listing | None = None,
    world: World = ALONE,
) -> dict[str, Tensor]:
    own: list[dict[str, Tensor]] = []
    for place, batch in enumerate(batches):
        if listing is not None:
            listing.add(batch.y, batch.names)
        if place % world.size == world.rank:
            some = wanted if len(batch.y) else []
            own.append(encoders.of_real(batch.y.to(encoders.device), some) if some else {})
    every = [found for found in world.in_order(own) if found]
    return {name: torch.cat([found[name] for found in every]).cpu() for name in wanted if every}


def _key(images: str, encoder: str, weights: str) -> str:
    return hashlib.sha256(f"1 {images} {encoder} {weights}".encode()).hexdigest()[:32]


def _kept(file: Path, images: int) -> Tensor | None:
    """The features of a file; none where there is none, or one that is damaged and must be made again."""
    try:
        kept = load_file(file)["features"]
    except (OSError, KeyError, SafetensorError):
        return None
    return kept if len(kept) == images else None


def _keep(file: Path, features: Tensor) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file, shared=True) as part:
            save_file({"features": features.contiguous()}, part)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"the features of real images cannot be kept in {file.parent}: {error}") from error
