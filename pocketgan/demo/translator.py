"""The server's own runtime, for browsers that cannot run the networks: an uploaded picture in, numbers out."""

from __future__ import annotations

import io
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pocketgan.data.images import decoding
from pocketgan.data.labels import DONT_CARE, LabelMaps
from pocketgan.data.packed import Packed
from pocketgan.data.values import Values
from pocketgan.demo.offer import Offer
from pocketgan.errors import DataError
from pocketgan.units import size_text

#: the most bytes of an upload
LARGEST = 8 * 1024 * 1024
_FORMATS = ("PNG", "JPEG", "WEBP")
_UPLOAD = Path("the picture")


class Translator:
    """Runs the networks of a page on uploaded pictures of its size, one at a time, on ONNX Runtime."""

    def __init__(self, offer: Offer) -> None:
        self._files = {each.name: each.file for each in offer.contestants}
        self.size, self.labels, self.style = offer.size, offer.labels, offer.style
        self._values = Values(channels=offer.values.channels if offer.values else 3)
        self._sessions: dict[str, Any] = {}
        self._lock = Lock()

    def knows(self, name: str) -> bool:
        """Whether there is a network of that name."""
        return name in self._files

    def __call__(self, name: str, upload: bytes, style: str = "") -> Float[np.ndarray, "channels height width"]:
        """What a network makes of an encoded picture, in [-1, 1].

        Label maps lie in the channels as `labels.pack` has it. `style`: numbers with commas between.
        Raises `DataError` for an upload that cannot be used, `KeyError` for a name that is not known.
        """
        feed: dict[str, np.ndarray] = {"image": self._decoded(upload)}
        if self.style:
            feed["style"] = self._read_style(style)
        with self._lock:
            return self._session(name).run(None, feed)[0][0]

    def _session(self, name: str) -> Any:
        import onnxruntime

        file = self._files[name]
        if name not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4  # errors are raised: no need to print them too
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._sessions[name] = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return self._sessions[name]

    def _decoded(self, upload: bytes) -> Float[np.ndarray, "1 planes height width"]:
        height, width = self.size
        # the size stands in the header: what is not of it is refused before a pixel is decoded
        with decoding(_UPLOAD):
            image = Image.open(io.BytesIO(upload), formats=_FORMATS)
        if image.size != (width, height):
            raise DataError(
                f"the picture is {image.height}x{image.width}, and these networks take {size_text(self.size)}; "
                "resize it first"
            )
        with decoding(_UPLOAD):
            pixels = np.asarray(image.convert("RGB"))
        if self.labels:
            pixels = self._checked(pixels[:, :, : self.labels.bytes], self.labels)
        else:
            pixels = self._values.pixels(pixels)
        import torch

        return Packed(pixels[None], self.labels).on(torch.device("cpu")).numpy()

    @staticmethod
    def _checked(
        pixels: UInt8[np.ndarray, "height width bytes"], maps: LabelMaps
    ) -> UInt8[np.ndarray, "height width bytes"]:
        strange = pixels[:, :, 0] >= maps.classes
        if maps.dont_care:
            strange &= pixels[:, :, 0] != DONT_CARE
        if strange.any():
            raise DataError(
                f"the picture holds the label {pixels[:, :, 0][strange].max()}; "
                f"labels are 0 to {maps.classes - 1} here"
            )
        return pixels

    def _read_style(self, text: str) -> Float[np.ndarray, "1 numbers 1 1"]:
        try:
            style = np.array([float(each) for each in text.split(",")], np.float32)
        except ValueError:
            style = np.zeros(0, np.float32)
        if style.size != self.style or not np.isfinite(style).all():
            raise DataError(f"the style is '{text[:60]}', and must be {self.style} numbers with commas between")
        return style.reshape(1, -1, 1, 1)
