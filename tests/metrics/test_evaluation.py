import json
from dataclasses import replace

import numpy as np
import pytest

from pocketgan.errors import DataError, OutputError, SpecError
from pocketgan.metrics import Evaluation, Evaluator, compare, pool
from pocketgan.metrics.bootstrap import Contributions
from pocketgan.metrics.catalog import METRICS
from pocketgan.metrics.compare import FEW, decides
from pocketgan.metrics.evaluation import is_evaluation, worst_of
from pocketgan.metrics.titles import title_of

from .toy import batches, darker


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(batches((8, 7)), metrics=("fd_mobilenet_v2", "kd_mobilenet_v2", "l1", "psnr"))


@pytest.fixture(scope="module")
def good(evaluator):
    return evaluator(lambda x: x, intervals=True)


@pytest.fixture(scope="module")
def bad(evaluator):
    return evaluator(darker, intervals=True)


def made_up(values, **changes):
    """A result of one metric of single images."""
    values = np.asarray(values, float)
    result = Evaluation(
        scores={"l1": float(values.mean())},
        per_image={"l1": values.tolist()},
        names=[f"{n}.png" for n in range(len(values))],
        contributions={"l1": Contributions(values[None])},
        **changes,
    )
    return replace(result, worst=worst_of(result.per_image, result.names)).resampled()


# -- keeping -----------------------------------------------------------------------------------------------------


def test_a_result_comes_back_as_it_was(good, tmp_path):
    good.save(tmp_path / "deep" / "result")
    assert {file.name for file in (tmp_path / "deep" / "result").iterdir()} == {
        "result.json",
        "features.safetensors",
    }
    found = Evaluation.load(tmp_path / "deep" / "result")
    assert found == good
    assert found.resampled() == good
    assert compare(found, good)[0].difference == 0


def test_infinity_is_kept_in_strict_json(evaluator, tmp_path):
    data = batches((3, 2))
    for batch in data:
        batch.x = batch.y
    perfect = Evaluator(data, metrics=("psnr",))(lambda x: x, intervals=True)
    perfect.save(tmp_path)
    text = (tmp_path / "result.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["scores"] == {"psnr": "inf"}
    assert Evaluation.load(tmp_path) == perfect


def test_folders_that_hold_no_result(good, tmp_path):
    with pytest.raises(
        DataError, match="holds no result of an evaluation; make one with `pocketgan evaluate --out`"
    ):
        Evaluation.load(tmp_path)
    good.save(tmp_path)
    assert is_evaluation(tmp_path)
    (tmp_path / "features.safetensors").write_bytes(b"cut")
    with pytest.raises(DataError, match="is damaged; evaluate again"):
        Evaluation.load(tmp_path)
    (tmp_path / "result.json").write_text("{}")
    assert not is_evaluation(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written: .*; choose another --out"):
        good.save(tmp_path / "file")


# -- the worst ---------------------------------------------------------------------------------------------------


def test_the_worst_images():
    values = np.random.default_rng(0).permutation(40) / 10
    result = made_up(values)
    worst = result.worst["l1"]
    assert worst.value == pytest.approx((3.9 + 3.8) / 2)
    assert worst.names == tuple(f"{n}.png" for n in np.argsort(-values)[:2])
    low, high = worst.interval
    assert low < worst.value < high
    assert worst_of({"psnr": [30.0, 20.0, 40.0]}, ["a", "b", "c"])["psnr"].names == ("b",)


# -- several models ----------------------------------------------------------------------------------------------


def test_pooling_is_the_mean_over_models(good, bad):
    both = pool([good, bad])
    for name in good.scores:
        assert both.scores[name] == pytest.approx((good.scores[name] + bad.scores[name]) / 2)
    assert both.members == [good.scores, bad.scores]
    assert both.per_image["l1"] == pytest.approx((np.array(good.per_image["l1"]) + bad.per_image["l1"]) / 2)
    # two very unlike models: less is known of their recipe's mean than of either of them
    assert both.errors["l1"] > 2 * max(good.errors["l1"], bad.errors["l1"])


def test_pooling_needs_like_results(good, bad):
    with pytest.raises(SpecError, match="over the same metrics, and these differ; evaluate all with the same"):
        pool([good, replace(bad, scores={"l1": 1.0})])
    with pytest.raises(SpecError, match="held-out and pseudo-pair"):
        pool([good, replace(bad, protocol="pseudo-pair")])


# -- comparing ---------------------------------------------------------------------------------------------------


def test_a_real_difference(good, bad):
    found = {difference.metric: difference for difference in compare(good, bad)}
    assert found.keys() == good.scores.keys()
    for name, difference in found.items():
        # 15 images: as a set they decide nothing
        told = ("withheld", None) if name.endswith("mobilenet_v2") else ("real", "first")
        assert (difference.verdict, difference.better) == told, name
        assert difference.difference == pytest.approx(bad.scores[name] - good.scores[name])
        low, high = difference.interval
        assert low <= difference.difference <= high
        assert difference.share < 0.05
    assert {each.better for each in compare(bad, good)} == {"second", None}


def test_few_images_decide_nothing_as_a_set():
    assert [decides("fd_mobilenet_v2", images) for images in (8, FEW - 1, FEW)] == [False, False, True]
    assert decides("kid", 8) is False
    assert decides("l1", 8)
    assert decides("miou", 8)


def test_every_metric_has_a_title():
    titles = {name: title_of(name) for name in METRICS}
    assert [name for name, title in titles.items() if "_" in title or title == name] == []
    assert len({*titles.values()}) == len(titles)
    assert title_of("of one's own") == "of one's own"


def test_chance_is_called_noise():
    """Of equal models, about one in twenty differs "really"."""
    random = np.random.default_rng(0)
    verdicts = []
    for _ in range(60):
        image = random.normal(size=40) * 5
        a, b = (made_up(image + random.normal(size=40)) for _ in range(2))
        (difference,) = compare(a, b)
        verdicts.append(difference.verdict)
        assert (difference.better is None) == (difference.verdict == "noise")
    assert verdicts.count("noise") >= 50


def test_a_small_difference_on_the_same_images_is_seen():
    image = np.random.default_rng(0).normal(size=40) * 100
    (difference,) = compare(made_up(image), made_up(image + 0.1))
    assert (difference.verdict, difference.better) == ("real", "first")


def test_results_that_must_not_be_compared(good, bad):
    other = Evaluator(batches((8, 7), seed=5), metrics=("l1",))(darker, intervals=True)
    for second, reason in (
        (
            replace(bad, protocol="paired-val"),
            "only under one protocol, and these are held-out and paired-val; eval",
        ),
        (
            other,
            r"only on the same images, and their sources differ \(15 and 15 images, by names and pixels\); eval",
        ),
        (replace(bad, scores={}), "no metric in common"),
        (replace(bad, contributions={}), "a result without intervals cannot be compared; evaluate it again"),
    ):
        with pytest.raises(SpecError, match=reason):
            compare(good, second)
    otherwise = replace(bad, settings={**bad.settings, "fd_mobilenet_v2": {}})
    assert "fd_mobilenet_v2" not in [each.metric for each in compare(good, otherwise)], "other weights"
