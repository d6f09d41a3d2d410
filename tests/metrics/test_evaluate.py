import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pocketgan.errors import DataError, PocketGANError, SpecError
from pocketgan.metrics import METRICS, Evaluator, Stream, compare, pairs
from pocketgan.metrics.catalog import DEFAULT_PAIRED, DEFAULT_UNPAIRED
from pocketgan.metrics.compare import unlike
from pocketgan.metrics.encoders import ENCODERS, as_saved, as_truncated
from pocketgan.metrics.frechet import Statistics, frechet_distance
from pocketgan.metrics.kernel import kernel_distance
from pocketgan.pretrained.inception import resize_clean, resize_legacy
from pocketgan.pretrained.mobilenet_v2 import MobileNetV2

from ..parity.golden import GOLDEN
from .toy import batches, darker

pytestmark = pytest.mark.usefixtures("real_features")


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
    assert tuple(evaluation.scores) == DEFAULT_PAIRED
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
    for name in DEFAULT_PAIRED:
        assert METRICS[name].name == name
        assert (good[name] < bad[name]) == (METRICS[name].better == "lower")


def test_intervals_hold_the_scores_and_repeat():
    evaluator = Evaluator(batches(sizes=(8,)))
    evaluation = evaluator(darker, intervals=True)
    assert set(evaluation.intervals) == set(DEFAULT_PAIRED)
    for name, (low, high) in evaluation.intervals.items():
        assert low < evaluation.scores[name] < high
    assert evaluator(darker, intervals=True) == evaluation
    assert evaluator(darker, intervals=True, seed=1).intervals != evaluation.intervals


def test_the_interval_of_a_mean_is_about_two_standard_errors():
    evaluation = Evaluator(batches(sizes=(60,)), metrics=("l1",))(darker, intervals=True)
    low, high = evaluation.intervals["l1"]
    error = np.std(evaluation.per_image["l1"], ddof=1) / 60**0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.25)


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


# -- sets without pairs, teachers --------------------------------------------------------------------------------


def test_unpaired_data():
    sources, reals = batches((4, 3), paired=False), batches((5, 4, 3), seed=1)
    evaluator = Evaluator(sources, targets=reals)
    evaluation = evaluator(darker, intervals=True)
    assert tuple(evaluation.scores) == DEFAULT_UNPAIRED
    network = MobileNetV2.load()
    x = network(as_saved(darker(torch.cat([batch.x for batch in sources]))))
    y = network(as_saved(torch.cat([batch.y for batch in reals])))
    expected = frechet_distance(Statistics.of(x), Statistics.of(y))
    assert evaluation.scores["fd_mobilenet_v2"] == pytest.approx(expected, rel=1e-4)
    assert evaluation.scores["kd_mobilenet_v2"] == pytest.approx(kernel_distance(x, y).value, rel=1e-4)
    assert [len(evaluation.images[side].names) for side in ("sources", "targets")] == [7, 12]
    for name, contributions in evaluation.contributions.items():
        assert (contributions.generated.shape, contributions.real.shape) == ((1, 7), (1, 12))
        low, high = evaluation.intervals[name]
        assert low < evaluation.scores[name] < high
    with pytest.raises(DataError, match="l1 needs a target for each input, and these data have no pairs, or leave"):
        Evaluator(sources, targets=reals, metrics=("l1",))
    with pytest.raises(DataError, match="fd_mobilenet_v2 needs real images, and there are none"):
        Evaluator(sources)


def test_every_metric_of_a_set_without_download():
    names = [name for name, metric in METRICS.items() if metric.encoder == "mobilenet_v2"]
    assert len(names) == 7
    evaluator = Evaluator(batches((7, 5), paired=False), targets=batches((12,), seed=1), metrics=names)
    good, bad = evaluator(lambda x: x, intervals=True), evaluator(darker, intervals=True)
    for name in names:
        assert np.isfinite([good.scores[name], *good.intervals[name], good.errors[name]]).all()
        assert good.scores[name] != bad.scores[name] or METRICS[name].better == "higher"


def test_a_teacher_is_one_more_thing_to_compare_with():
    data = batches((3, 2), paired=False)
    metrics = ("teacher_l1", "teacher_psnr")
    evaluation = Evaluator(data, metrics=metrics, teacher=lambda x: -x)(darker)
    x = torch.cat([batch.x for batch in data])
    assert evaluation.scores["teacher_l1"] == pytest.approx(
        (as_saved(darker(x)) - as_saved(-x)).abs().mean().item()
    )
    assert Evaluator(data, metrics=metrics, teacher=darker)(darker).scores["teacher_l1"] == 0
    with pytest.raises(DataError, match="teacher_l1 needs a teacher's outputs; give one with --teacher"):
        Evaluator(data, metrics=metrics)
    by_default = Evaluator(batches(), teacher=darker)
    assert by_default.metrics == (*DEFAULT_PAIRED, "teacher_l1", "teacher_psnr", "teacher_ssim")


def test_results_of_different_teachers_are_not_compared():
    first, second = (
        Evaluator(batches(), metrics=("teacher_l1",), teacher=teacher)(darker, intervals=True)
        for teacher in (torch.neg, torch.zeros_like)
    )
    assert compare(first, first)[0].verdict == "noise"
    assert unlike(first, second) == ["teacher_l1"]
    with pytest.raises(SpecError, match="no metric in common that was computed alike"):
        compare(first, second)
    both = [
        Evaluator(batches(), metrics=("l1", "teacher_l1"), teacher=teacher)(darker, intervals=True)
        for teacher in (torch.neg, torch.zeros_like)
    ]
    assert [each.metric for each in compare(*both)] == ["l1"], "what is alike is compared all the same"


def test_pseudo_pairs_are_held_against_the_teacher():
    data = batches((3, 2), paired=False)
    evaluation = Evaluator(data, teacher=darker, protocol="pseudo-pair")(darker, intervals=True)
    assert evaluation.protocol == "pseudo-pair"
    assert tuple(evaluation.scores) == DEFAULT_PAIRED
    assert (evaluation.scores["l1"], evaluation.scores["psnr"]) == (0, np.inf)
    assert evaluation.scores["fd_mobilenet_v2"] < 1e-6
    with pytest.raises(DataError, match="pseudo-pair holds against a teacher's outputs; give one with --teacher"):
        Evaluator(data, protocol="pseudo-pair")


def test_images_are_made_once():
    made = []

    def generate(x):
        made.append(len(x))
        return x

    read = []

    def stream():
        read.append(1)
        return iter(batches())

    evaluator = Evaluator(Stream(stream), metrics=("l1", "ssim", "kd_mobilenet_v2", "fd_mobilenet_v2"))
    read.clear()
    evaluator(generate)
    assert (made, read) == ([3, 2], [1])


# -- bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs the golden data in ../shared")
def test_bytes_of_the_papers():
    from safetensors.torch import load_file

    tensors = load_file(GOLDEN / "metrics" / "tensor_to_uint8.safetensors")
    found = (as_truncated(tensors["input.x"]) + 1) * 127.5
    assert torch.equal(found.round().to(torch.uint8).permute(0, 2, 3, 1), tensors["output.u8"])


class Grid(torch.nn.Module):
    """2048 features of an image: a coarse grid of its levels, repeated."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1).repeat(1, 43)[:, :2048]


@pytest.fixture
def loaded(monkeypatch):
    """Grid in place of Inception; a list of its loadings."""
    loads = []
    for name in ("inception", "inception_legacy"):
        encoder = ENCODERS[name]
        replaced = replace(encoder, load=lambda file: loads.append(file) or Grid())
        monkeypatch.setitem(ENCODERS, name, replaced)
    return loads


def test_both_kinds_of_fid(loaded, tmp_path):
    data = batches((4, 3), side=40)
    file = tmp_path / "weights"
    evaluator = Evaluator(data, metrics=("fid_legacy", "fid_clean", "kid"), weights={"inception": file})
    scores = evaluator(darker).scores
    assert loaded == [file], "one network serves both"
    x, y = (torch.cat([getattr(batch, side) for batch in data]) for side in "xy")
    for name, bytes_of, resize in (
        ("fid_legacy", as_truncated, resize_legacy),
        ("fid_clean", as_saved, resize_clean),
    ):
        made, real = (Grid()(resize(images)) for images in (bytes_of(darker(x)), as_saved(y)))
        expected = frechet_distance(Statistics.of(made), Statistics.of(real))
        assert scores[name] == pytest.approx(expected, rel=1e-4)


def test_published_statistics_take_the_place_of_real_images(loaded, tmp_path):
    data, file = batches((4, 3), side=40), tmp_path / "real.npz"
    real = Grid()(resize_legacy(as_saved(torch.cat([batch.y for batch in data])))).double()
    np.savez(file, mu=real.mean(0).numpy(), sigma=np.cov(real.numpy(), rowvar=False))
    expected = Evaluator(data, metrics=("fid_legacy",))(darker).scores
    for batch in data:
        batch.y = batch.y[:0]
    evaluation = Evaluator(data, metrics=("fid_legacy",), statistics=file)(darker, intervals=True)
    assert evaluation.scores == pytest.approx(expected, rel=1e-4)
    low, high = evaluation.intervals["fid_legacy"]
    assert low < evaluation.scores["fid_legacy"] < high
    assert len(evaluation.settings["fid_legacy"]["statistics"]) == 64
    with pytest.raises(DataError, match="kid_legacy needs real images, and there are none"):
        Evaluator(data, metrics=("fid_legacy", "kid_legacy"), statistics=file)


# -- degenerate input --------------------------------------------------------------------------------------------


def test_no_images():
    with pytest.raises(DataError, match="at least 2 images, and there is 0; add images"):
        Evaluator([], metrics=("l1",))


def test_one_real_image():
    with pytest.raises(DataError, match="at least 2 real images, and there is 1; add images"):
        Evaluator(batches(paired=False), targets=batches((1,)))


def test_all_images_alike():
    evaluation = Evaluator(batches(), metrics=("fd_mobilenet_v2", "kd_mobilenet_v2", "l1"))(
        torch.zeros_like, intervals=True
    )
    assert any("all generated images are alike" in warning for warning in evaluation.warnings)
    values = [*evaluation.scores.values(), *evaluation.errors.values(), *sum(evaluation.intervals.values(), ())]
    assert np.isfinite(values).all()
    flat = [SimpleNamespace(x=batch.x, y=torch.zeros_like(batch.y), names=batch.names) for batch in batches()]
    evaluation = Evaluator(flat)(torch.zeros_like, intervals=True)
    assert any("all real images are alike" in warning for warning in evaluation.warnings)
    assert evaluation.scores["fd_mobilenet_v2"] == pytest.approx(0, abs=1e-9)


def test_fewer_images_than_features_are_warned_of():
    (warning,) = Evaluator(batches(), metrics=("fd_mobilenet_v2", "l1"))(darker).warnings
    assert warning == (
        "fd_mobilenet_v2: 5 images are no more than its 1280 features, so it is far too high, and compares only "
        "with figures of as many images"
    )
    assert Evaluator(batches(), metrics=("l1", "kd_mobilenet_v2"))(darker).warnings == ()


def test_equal_images_are_told():
    data = batches((3, 2))
    data[0].y = data[0].x
    evaluation = Evaluator(data, metrics=("psnr",))(lambda x: x, intervals=True)
    assert evaluation.warnings == ("psnr: 3 of 5 images equal their targets, which makes it infinite",)
    assert evaluation.scores["psnr"] == np.inf
    low, high = evaluation.intervals["psnr"]
    assert low > 0
    assert high == np.inf


def test_sizes_that_differ():
    evaluator = Evaluator(batches(), metrics=("l1",))
    with pytest.raises(
        DataError, match=r"these are 3 x 16 x 16 and 3 x 32 x 32 .*; evaluate at the size of the model"
    ):
        evaluator(lambda x: x[..., ::2, ::2])


def test_statistics_that_do_not_fit(loaded, tmp_path):
    np.savez(tmp_path / "real.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(DataError, match="the feature network gives 2048; give the file of that network"):
        Evaluator(batches(), metrics=("fid_clean",), statistics=tmp_path / "real.npz")
    with pytest.raises(
        SpecError, match="statistics of real images are for FIDs, and none is wanted; add fid_legacy"
    ):
        Evaluator(batches(), metrics=("l1",), statistics=tmp_path / "real.npz")


def test_weights_of_an_unknown_network(tmp_path):
    with pytest.raises(SpecError, match="unknown network 'incepton'; did you mean inception"):
        Evaluator(batches(), weights={"incepton": tmp_path})
