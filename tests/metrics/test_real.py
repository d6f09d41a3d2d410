import pytest
import torch

from pocketgan.errors import OutputError
from pocketgan.metrics import Evaluator
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2

from .toy import batches, darker


@pytest.fixture
def seen(monkeypatch):
    """How many images MobileNetV2 has looked at, call by call."""
    counts = []
    forward = MobileNetV2.forward

    def counted(self, x):
        counts.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(MobileNetV2, "forward", counted)
    return counts


def test_features_of_real_images_are_kept_by_content(tmp_path, seen):
    cache = tmp_path / "deep" / "features"
    metrics = ("fd_mobilenet_v2", "kd_mobilenet_v2", "precision_mobilenet_v2")
    first = Evaluator(batches((4, 2)), metrics=metrics, cache=cache)(darker)
    assert seen == [4, 2, 4, 2], "real and generated images once, whatever the number of metrics"
    assert [file.suffix for file in cache.iterdir()] == [".safetensors"]

    renamed = batches((6,))
    pixels = [torch.cat([getattr(batch, side) for batch in batches((4, 2))]) for side in "xy"]
    renamed[0].x, renamed[0].y = pixels
    renamed[0].names = [f"other-{name}" for name in renamed[0].names]
    seen.clear()
    again = Evaluator(renamed, metrics=metrics, cache=cache)(darker)
    assert seen == [6], "names and batches are no content"
    assert again.scores == pytest.approx(first.scores, rel=1e-5)


def test_other_images_have_features_of_their_own(tmp_path, seen):
    for number, data in enumerate((batches((6,)), batches((6,), seed=1), batches((6,), side=40))):
        Evaluator(data, metrics=("fd_mobilenet_v2",), cache=tmp_path)
        assert len(list(tmp_path.iterdir())) == number + 1
    assert seen == [6, 6, 6]


def test_damaged_features_are_made_again(tmp_path, seen):
    first = Evaluator(batches(), metrics=("fd_mobilenet_v2",), cache=tmp_path)(darker)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert Evaluator(batches(), metrics=("fd_mobilenet_v2",), cache=tmp_path)(darker) == first
    seen.clear()
    Evaluator(batches(), metrics=("fd_mobilenet_v2",), cache=tmp_path)
    assert seen == []


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="features of real images cannot be kept in"):
        Evaluator(batches(), metrics=("fd_mobilenet_v2",), cache=tmp_path / "file")
