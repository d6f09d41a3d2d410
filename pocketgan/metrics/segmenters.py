"""Segmenters: what tells the class of each pixel of an image, whatever network does it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F

from pocketgan.data.images import resize, to_uint8
from pocketgan.errors import DataError


@runtime_checkable
class Segmenter(Protocol):
    """Tells the class of each pixel, at the size (height, width) that is asked for; images are in [-1, 1]."""

    @property
    def classes(self) -> int: ...

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], size: tuple[int, int]
    ) -> Int[Tensor, "batch rows columns"]: ...


class View(BaseModel):
    """How a network wants to see an 8-bit image: (scale · level / 255 − mean) / std in its order of channels.

    Attributes:
        scale: what white is before the mean is subtracted: 1 or 255.
        mean, std: of each channel, in the network's order.
        bgr: whether blue comes first.
        rounding: how an image in [-1, 1] becomes 8 bits.
        size: (height, width) to which the image is resized (bicubic) first; "own" and "labels": its own, the map's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = 1
    mean: tuple[float, float, float] = (0, 0, 0)
    std: tuple[float, float, float] = (1, 1, 1)
    bgr: bool = False
    rounding: Literal["round", "truncate"] = "round"
    size: tuple[int, int] | Literal["own", "labels"] = "own"


@dataclass(frozen=True, kw_only=True)
class NetworkSegmenter:
    """A segmenter made of a network that gives class scores, or the classes themselves as integers.

    Scores are resized bilinearly to the size asked for and the highest counts; classes take the nearest. Outputs
    after the first ``classes`` (an "unlabelled", say) are left out.
    """

    network: Callable[[Tensor], Tensor]
    classes: int
    view: View

    @torch.inference_mode()
    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], size: tuple[int, int]
    ) -> Int[Tensor, "batch rows columns"]:
        levels = to_uint8(images, self.view.rounding)
        return torch.stack([self._one(image, size, images.device) for image in levels])

    def _one(
        self, image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], device: torch.device
    ) -> Int[Tensor, "rows columns"]:
        wanted = {"own": image.shape[:2], "labels": size}.get(str(self.view.size), self.view.size)
        if image.shape[:2] != wanted:
            image = resize(image, *wanted)
        x = torch.from_numpy(image.copy()).to(device).permute(2, 0, 1).unsqueeze(0).float()
        if self.view.bgr:
            x = x.flip(1)
        mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (self.view.mean, self.view.std))
        scores = self.network((x * (self.view.scale / 255) - mean) / std)
        if not scores.is_floating_point():
            found = scores.reshape(1, 1, *scores.shape[-2:]).cpu().double()
            return F.interpolate(found, size, mode="nearest-exact")[0, 0].long()
        # antialiasing is what Pillow does, and only matters where labels are smaller than scores
        scores = F.interpolate(
            scores[:, : self.classes], size, mode="bilinear", align_corners=False, antialias=True
        )
        return scores[0].argmax(0)


class OnnxNetwork:
    """An ONNX file as a function of one image; ``size`` and ``classes`` are None where it leaves them open."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised: no need to print them too
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has its own exceptions for each kind of damage
            raise DataError(f"{path} is no ONNX network that can be run; export it again") from error
        taken, given = self._session.get_inputs(), self._session.get_outputs()[0]
        if len(taken) != 1 or len(taken[0].shape) != 4 or taken[0].shape[1] != 3:
            raise DataError(f"{path} does not take one image (1, 3, height, width); export it with that input")
        self._input, sides = taken[0].name, taken[0].shape[2:]
        self.size = (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None
        scores = "int" not in given.type and len(given.shape) == 4
        self.classes: int | None = given.shape[1] if scores and isinstance(given.shape[1], int) else None

    def __call__(self, x: Float[Tensor, "1 3 height width"]) -> Tensor:
        found: Any = self._session.run(None, {self._input: x.cpu().numpy()})[0]
        return torch.from_numpy(found).to(x.device)
