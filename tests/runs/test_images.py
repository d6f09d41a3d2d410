"""The images on which an export is verified: read as the model learnt to see them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketgan.data.values import Values
from pocketgan.models import Model, save_model
from pocketgan.networks import ResnetSpec
from pocketgan.runs.images import selection_of
from tests.conftest import Outcome

GRAY12 = Values(channels=1, high=4095, dtype="uint16")
HEIGHTS = Values(channels=1, low=-1000, high=3000, dtype="int16")
BANDS = Values(channels=4, low=2, high=50, dtype="float32")


def write_flat(root: Path, values: dict[str, Values], side: int = 16) -> list[float]:
    """Twelve pairs of plain images, which use a quarter of their range; what the network sees of them."""
    shares = np.linspace(0.3, 0.5, 12)
    for name, own in values.items():
        (root / name).mkdir(parents=True)
        for number, share in enumerate(shares):
            value = own.low + share * (own.high - own.low)
            np.save(root / name / f"p{number:02}.npy", np.full((side, side, own.channels), value).astype(own.dtype))
    return [2 * share - 1 for share in shares]


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize(("source", "target"), [(GRAY12, Values()), (HEIGHTS, BANDS), (BANDS, HEIGHTS)])
def test_images_are_read_as_the_model_learnt_to(tmp_path: Path, source: Values, target: Values, direction: str):
    seen = write_flat(tmp_path, dict(zip("AB" if direction == "AtoB" else "BA", (source, target), strict=True)))
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=source.channels, out_channels=target.channels)
    card = {"size": 16, "direction": direction, "input": source.model_dump(), "output": target.model_dump()}
    x = selection_of("any", Model(None, spec, card), (16, 16), tmp_path)
    assert x.shape[1:] == (source.channels, 16, 16)
    for image in x:
        assert float(image.max() - image.min()) == 0
        assert min(abs(float(image[0, 0, 0]) - each) for each in seen) < 1 / 2000


def test_an_export_is_verified_on_them(cli: Callable[..., Outcome], tmp_path: Path):
    random = np.random.default_rng(0)
    for name, own in (("A", BANDS), ("B", GRAY12)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            values = random.uniform(own.low, own.high / 5, (16, 16, own.channels))
            np.save(tmp_path / "data" / name / f"p{number:02}.npy", values.astype(own.dtype))
    torch.manual_seed(0)
    network = ResnetSpec.uniform(2, blocks=1, in_channels=4, out_channels=1).build()
    save_model(
        tmp_path / "model", network, {"size": 16, "input": BANDS.model_dump(), "output": GRAY12.model_dump()}
    )
    file = tmp_path / "m.onnx"
    ended = cli("export", tmp_path / "model", "--data", tmp_path / "data", "-o", file)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(" over 2 images\n")
    assert json.loads((tmp_path / "m.onnx.json").read_text())["verified"]["images"] == 2
