"""Where the time of an evaluation with Inception features goes: FID and KID with intervals, through `Evaluator`.

The weights are random, which does not change the time; the generator does nothing, so that its time is none.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import measure
import torch
from safetensors.torch import save_file
from torch import nn

from pocketgan.data.batches import Batch
from pocketgan.data.images import to_tensor
from pocketgan.metrics import Evaluator, Stream
from pocketgan.pretrained.inception import Inception

METRICS = ("fid_clean", "kid")
BATCH = 16
AIM = 0.85


def random_weights(file: Path) -> None:
    """A file with the names of pytorch-fid."""
    torch.manual_seed(0)
    state = {}
    for place, layer in Inception().layers.named_modules():
        if isinstance(layer, nn.Conv2d):
            own = place.split(".")
            name = f"{own[0]}.{own[-1]}" if len(own) > 1 else place
            state[f"{name}.conv.weight"] = nn.init.kaiming_normal_(torch.empty_like(layer.weight))
            channels = layer.out_channels
            for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
                state[f"{name}.bn.{part}"] = torch.full((channels,), value)
    save_file(state, file)


def main() -> None:
    chosen = measure.options(__doc__, turns=1, threads=2)
    images, size = (6, 32) if chosen.quick else (1000, 256)
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, images, size, size, 3), dtype=torch.uint8, generator=random).numpy()

    def batches() -> Iterator[Batch]:
        for first in range(0, images, BATCH):
            x, y = (to_tensor(side[first : first + BATCH]) for side in pixels)
            yield Batch(x, y, tuple(f"{first + i}" for i in range(len(x))))

    spent = {"network": 0.0}
    forward = Inception.forward

    def timed(self: Inception, x: torch.Tensor) -> torch.Tensor:
        start = time.perf_counter()
        features = forward(self, x)
        spent["network"] += time.perf_counter() - start
        return features

    Inception.forward = timed
    with tempfile.TemporaryDirectory() as folder:
        random_weights(Path(folder) / "inception.safetensors")
        weights = {"inception": Path(folder) / "inception.safetensors"}
        start = time.perf_counter()
        evaluator = Evaluator(Stream(batches), metrics=METRICS, weights=weights)
        ready = time.perf_counter()
        evaluator(lambda x: x, intervals=True)
        end = time.perf_counter()
    whole = end - start
    rows = [
        {"what": name, "seconds": measure.figure(seconds), "share": measure.figure(seconds / whole)}
        for name, seconds in (
            ("whole evaluation", whole),
            ("within the network", spent["network"]),
            ("elsewhere", whole - spent["network"]),
            ("loading and the real images", ready - start),
        )
    ]
    rows[1]["aim"] = AIM
    measure.report("fid_profile", chosen, rows, images=images, size=size, metrics=list(METRICS))


if __name__ == "__main__":
    main()
