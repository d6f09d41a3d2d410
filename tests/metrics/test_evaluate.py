import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pocketgan.errors import DataError, PocketGANError, SpecError
from pocketgan.metrics import METRICS, Evaluator, MobileNetV2, pairs
from pocketgan.metrics.evaluate import as_saved
from pocketgan.metrics.frechet import Statistics, frechet_distance

SIZE = 32


def batches(sizes=(3, 2), seed=0):
    """Smooth random pairs, the input a noisy target."""
    generator = torch.Generator().manual_seed(seed)
    made, number = [], 0
    for size in sizes:
        y = torch.rand(size, 3, 8, 8, generator=generator) * 2 - 1
        y = torch.nn.functional.interpolate(y, (SIZE, SIZE), mode="bilinear")
        x = (y + 0.3 * torch.randn(y.shape, generator=generator)).clamp(-1, 1)
        names = [f"{i}.png" for i in range(number, number + size)]
        made.append(SimpleNamespace(x=x, y=y, names=names))
        number += size
    return made


def darker(x):
    return x * 0.5 - 0.5


def test_scores_are_those_of_the_rounded_images():
    data = batches()
    evaluation = Evaluator(data)(darker)
    x = torch.cat([batch.x for batch in data])
    y = torch.cat([batch.y for batch in data])
    images = torch.tensor(np.round((darker(x).numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8))
    targets = torch.tensor(np.round((y.numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8))
    images, targets = images / 127.5 - 1, targets / 127.5 - 1

    assert evaluation.names == [f"{i}.png" for i in range(5)]
    for name in ("l1", "psnr", "ssim"):
        each = getattr(pairs, name)(images, targets).tolist()
        assert evaluation.per_image[name] == pytest.approx(each, rel=1e-4)
        assert evaluation.scores[name] == pytest.approx(np.mean(each), rel=1e-4)
    network = MobileNetV2.load()
    distance = frechet_distance(Statistics.of(network(images)), Statistics.of(network(targets)))
    assert evaluation.scores["fd_mobilenet_v2"] == pytest.approx(distance, rel=1e-4)
    assert list(evaluation.scores) == list(METRICS)
    assert evaluation.intervals == {}


def test_a_perfect_generator():
    data = [SimpleNamespace(x=batch.y, y=batch.y, names=batch.names) for batch in batches()]
    # Less than half a grey level is not seen.
    evaluation = Evaluator(data)(lambda x: as_saved(x) + 0.003, intervals=True)
    assert evaluation.scores["fd_mobilenet_v2"] < 1e-6
    assert evaluation.scores["l1"] == 0
    assert evaluation.scores["psnr"] == float("inf")
    assert evaluation.intervals["psnr"] == (float("inf"), float("inf"))
    assert evaluation.scores["ssim"] == pytest.approx(1, abs=1e-5)


def test_a_subset_of_the_metrics():
    evaluation = Evaluator(batches(), metrics=("l1",))(darker)
    assert set(evaluation.scores) == set(evaluation.per_image) == {"l1"}
    evaluation = Evaluator(batches(), metrics=("fd_mobilenet_v2",))(darker)
    assert set(evaluation.scores) == {"fd_mobilenet_v2"}
    assert evaluation.per_image == {}


def test_every_metric_knows_its_better_side():
    evaluator = Evaluator(batches(sizes=(6,)))
    good, bad = evaluator(lambda x: x).scores, evaluator(darker).scores
    for name, metric in METRICS.items():
        assert metric.name == name
        assert (good[name] < bad[name]) == (metric.better == "lower")


def test_intervals_hold_the_scores_and_repeat():
    evaluator = Evaluator(batches(sizes=(8,)))
    evaluation = evaluator(darker, intervals=True)
    assert set(evaluation.intervals) == set(METRICS)
    for name, (low, high) in evaluation.intervals.items():
        assert low < evaluation.scores[name] < high
    assert evaluator(darker, intervals=True) == evaluation
    assert evaluator(darker, intervals=True, seed=1).intervals != evaluation.intervals


def test_the_interval_of_a_mean_is_about_two_standard_errors():
    evaluation = Evaluator(batches(sizes=(60,)), metrics=("l1",))(darker, intervals=True)
    low, high = evaluation.intervals["l1"]
    error = np.std(evaluation.per_image["l1"], ddof=1) / 60**0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_statistics_are_read_back(tmp_path):
    file = tmp_path / "deep" / "statistics.safetensors"
    first = Evaluator(batches(), statistics_file=file)(darker)
    assert [path.name for path in file.parent.iterdir()] == [file.name]

    reads = []

    class Watched(list):
        def __iter__(self):
            reads.append(1)
            return super().__iter__()

    evaluator = Evaluator(Watched(batches()), statistics_file=file)
    assert reads == []
    assert evaluator(darker) == first


def test_statistics_of_other_images_are_refused(tmp_path):
    file = tmp_path / "statistics.safetensors"
    Evaluator(batches(), statistics_file=file)
    with pytest.raises(DataError, match="got 4 others instead of 5"):
        Evaluator(batches(sizes=(4,)), statistics_file=file)(darker)


@pytest.mark.parametrize("metrics", [("l1",), ("fd_mobilenet_v2",)])
def test_one_image_is_not_enough(metrics):
    with pytest.raises(DataError, match="at least 2 images, and there is 1; add images"):
        Evaluator(batches(sizes=(1,)), metrics=metrics)(darker)


def test_a_diverged_generator_is_named():
    with pytest.raises(PocketGANError, match=r"NaN or infinity within \['0.png'"):
        Evaluator(batches(), metrics=("l1",))(lambda x: x / 0)


def test_unknown_metric():
    with pytest.raises(SpecError, match="unknown metric 'psrn'; did you mean psnr"):
        Evaluator(batches(), metrics=("psrn",))


def test_torchmetrics_is_imported_only_when_used():
    code = "import sys, pocketgan.metrics; assert 'torchmetrics' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
