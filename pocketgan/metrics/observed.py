"""What an evaluation learns of a generator's images, batch by batch, without waiting for its device."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pocketgan.distributed import ALONE, World
from pocketgan.errors import DataError, PocketGANError
from pocketgan.metrics.catalog import Comparison
from pocketgan.metrics.encoders import Encoders, as_saved
from pocketgan.metrics.segmentation import Segmentation
from pocketgan.metrics.stream import Answers, Pairs, levels_of

TEACHER = "teacher_"


@dataclass(frozen=True, eq=False)
class Observers:
    """The networks and functions that look at images, all on one device.

    Attributes:
        comparisons: by metric, what scores an image against its target, or against the teacher's answer.
        encoders: of features for distances between sets.
        segmentation: where it is to be done.
    """

    comparisons: dict[str, Comparison]
    encoders: Encoders
    answers: Answers | None
    segmentation: Segmentation | None


@dataclass(eq=False)
class Observed:
    """What was seen so far: tensors on the device, one a batch, that nobody waits for before they are asked for.

    `world`: the processes that share the batches (`World.mine`); what all have seen is `joined`.
    """

    observers: Observers
    world: World = ALONE
    names: list[str] = field(default_factory=list)
    _batches: list[tuple[str, ...]] = field(default_factory=list)
    _finite: list[Tensor] = field(default_factory=list)
    _like_first: list[Tensor] = field(default_factory=list)
    _features: dict[str, list[Tensor]] = field(default_factory=dict)
    _per_image: dict[str, list[Tensor]] = field(default_factory=dict)
    _segmented: list[Tensor] = field(default_factory=list)
    _answers: list[Tensor] = field(default_factory=list)
    _first: Tensor | None = None

    def add(self, batch: Pairs, x: Tensor, images: Tensor) -> None:
        """x: the batch's inputs on the device. images: what the generator made of them.

        Raises DataError for images of another size than their targets.
        """
        rounded = as_saved(images)
        self._first = rounded[:1] if self._first is None else self._first
        same_size = self._first.shape[1:] == rounded.shape[1:]
        like_first = rounded == self._first if same_size else torch.zeros_like(rounded, dtype=torch.bool)
        self._like_first.append(like_first.all())
        self._finite.append(images.isfinite().all())
        for of_teacher in (False, True):
            for name, values in self._compared(batch, x, rounded, of_teacher).items():
                self._per_image.setdefault(name, []).append(values)
        for name, values in self.observers.encoders.of_generated(images, rounded).items():
            self._features.setdefault(name, []).append(values)
        if self.observers.segmentation:
            self._segmented.append(self.observers.segmentation(images, batch.names))
        self.names += batch.names
        self._batches.append(tuple(batch.names))

    def _compared(self, batch: Pairs, x: Tensor, images: Tensor, of_teacher: bool) -> dict[str, Tensor]:
        """What each image scores against its target, or against what the teacher makes of `x`."""
        chosen = {
            name: comparison
            for name, comparison in self.observers.comparisons.items()
            if name.startswith(TEACHER) == of_teacher
        }
        if not chosen:
            return {}
        if of_teacher and self.observers.answers:
            other = self.observers.answers.of(self._place, x, batch.names)
            if self.world.size > 1:
                self._answers.append(levels_of(other))
        else:
            other = as_saved(batch.y.to(images.device))
        if other.shape != images.shape:
            sizes = " and ".join(" x ".join(map(str, each.shape[1:])) for each in (images, other))
            raise DataError(
                f"generated images must have the size of what they are compared with, and these are {sizes} "
                "(channels x height x width); evaluate at the size of the model"
            )
        return {name: comparison(images, other) for name, comparison in chosen.items()}

    @property
    def _place(self) -> int:
        """That of the next batch among those of all processes."""
        return self.world.rank + self.world.size * len(self._batches)

    def joined(self) -> Observed:
        """What all processes have seen, in the order of the batches. Collective."""
        if self.world.size == 1:
            return self
        own = [
            {
                "names": names,
                "finite": self._finite[i],
                "like_first": self._like_first[i],
                "features": {name: values[i] for name, values in self._features.items()},
                "per_image": {name: values[i] for name, values in self._per_image.items()},
                "segmented": self._segmented[i] if self._segmented else None,
                "answers": self._answers[i] if self._answers else None,
            }
            for i, names in enumerate(self._batches)
        ]
        every = Observed(self.observers)
        for place, each in enumerate(self.world.in_order(own)):
            every.names += each["names"]
            every._batches.append(tuple(each["names"]))
            every._finite.append(each["finite"])
            every._like_first.append(each["like_first"])
            for kept, found in ((every._features, each["features"]), (every._per_image, each["per_image"])):
                for name, values in found.items():
                    kept.setdefault(name, []).append(values)
            if each["segmented"] is not None:
                every._segmented.append(each["segmented"])
            if each["answers"] is not None and self.observers.answers:
                self.observers.answers.enlist(place, each["answers"].float() / 127.5 - 1, each["names"])
        # each process has compared with the first image that it saw
        firsts = [first for first in self.world.gather(self._first) if first is not None]
        alike = all(first.shape == firsts[0].shape and bool((first == firsts[0]).all()) for first in firsts)
        every._like_first.append(torch.tensor(alike))
        return every

    def check(self) -> None:
        """Raise PocketGANError for an image that is not finite. Waits for the device."""
        finite = torch.stack(self._finite).tolist()
        for names, whole in zip(self._batches, finite, strict=True):
            if not whole:
                raise PocketGANError(
                    f"a generator must give finite images, and gave NaN or infinity within "
                    f"{[*names]}; its weights have diverged, train it at a lower learning rate"
                )

    @property
    def alike(self) -> bool:
        """Whether all images are the same."""
        return bool(torch.stack(self._like_first).all())

    @property
    def per_image(self) -> dict[str, list[float]]:
        """By comparison, what each image scores."""
        return {name: torch.cat(self._per_image[name]).tolist() for name in self.observers.comparisons}

    def features(self, encoder: str) -> Tensor:
        """images x dimensions, on the CPU."""
        return torch.cat(self._features[encoder]).cpu()

    @property
    def segmented(self) -> Tensor | None:
        """The counts of each image (images x 3 x classes)."""
        return torch.cat(self._segmented) if self._segmented else None
