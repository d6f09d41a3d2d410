import numpy as np
import pytest

from pocketgan.metrics.bootstrap import Contributions, Figure, resample, resample_differences


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def only(figure, seed=0):
    return resample({"figure": figure}, seed)["figure"]


def test_the_error_of_a_mean_is_that_of_the_textbook():
    figure = Contributions(normal(1, 200))
    found = only(figure)
    error = figure.generated.std() / 200**0.5
    assert found.error == pytest.approx(error, rel=0.08)
    low, high = found.interval
    assert (low, high) == pytest.approx((figure.value - 1.96 * error, figure.value + 1.96 * error), abs=0.3 * error)


def test_two_independent_sets_add_their_variances():
    figure = Contributions.of(Figure(3.0, normal(100, seed=1), normal(50, seed=2) * 2), paired=False)
    error = (figure.generated.var() / 100 + figure.real.var() / 50) ** 0.5
    assert only(figure).error == pytest.approx(error, rel=0.08)
    assert np.mean(only(figure).values) == pytest.approx(
        3 + figure.real.mean() + normal(100, seed=1).mean(), abs=0.05
    )


def test_pairs_are_drawn_together():
    """What a generated image adds and the real one of its place takes away does not move the figure."""
    values = normal(80)
    values -= values.mean()
    together = Contributions.of(Figure(3.0, values, -values), paired=True)
    assert together.real is None
    assert only(together).interval == pytest.approx((3.0, 3.0))
    assert only(Contributions.of(Figure(3.0, values, -values), paired=False)).error > 0.1


def test_models_are_drawn_too():
    """Images alike, models not: the error is that of a mean of models, unbiased by their small number."""
    models = np.array([1.0, 2.0, 4.0, 5.0])
    found = only(Contributions(np.repeat(models[:, None], 60, axis=1)))
    assert np.mean(found.values) == pytest.approx(3, abs=0.1)
    assert found.error == pytest.approx(models.std(ddof=1) / 4**0.5, rel=0.08)


def test_the_real_side_of_a_model_goes_with_the_model():
    real = np.array([[-1.0] * 5, [1.0] * 5])
    generated = np.array([[1.0] * 9, [-1.0] * 9])
    # up to the widening for few models the two sides cancel
    assert only(Contributions(generated, real)).interval == pytest.approx((0, 0), abs=1e-12)


def test_figures_of_the_same_images_share_their_draws():
    values = normal(1, 30)
    found = resample(
        {"a": Contributions(values), "b": Contributions(2 * values), "c": Contributions(normal(1, 7))}, 0
    )
    np.testing.assert_allclose(found["b"].values, 2 * found["a"].values)


def test_differences_are_paired():
    image = normal(1, 50) * 10
    a, b = Contributions(image), Contributions(image + 1)
    found = resample_differences({"m": a}, {"m": b}, 0)["m"]
    assert found.interval == pytest.approx((1, 1))
    noise = Contributions(image + normal(1, 50, seed=4))
    error = (noise.generated - a.generated).std() / 50**0.5
    assert resample_differences({"m": a}, {"m": noise}, 0)["m"].error == pytest.approx(error, rel=0.1)


def test_infinite_values():
    some = np.array([[30.0, np.inf, 31.0, 32.0]])
    low, high = only(Contributions(some)).interval
    assert 30 <= low <= 32
    assert high == np.inf
    everywhere = Contributions(np.full((1, 4), np.inf))
    assert only(everywhere).interval == (np.inf, np.inf)
    assert only(everywhere).error == 0
    assert resample_differences({"m": everywhere}, {"m": everywhere}, 0)["m"].interval == (0, 0)
    finite = Contributions(np.ones((1, 4)))
    assert resample_differences({"m": finite}, {"m": everywhere}, 0)["m"].interval == (np.inf, np.inf)


def test_equal_seeds_give_equal_draws():
    figure = Contributions(normal(1, 30), normal(1, 20, seed=1))
    assert only(figure).interval == only(figure).interval
    assert only(figure, seed=1).interval != only(figure).interval
