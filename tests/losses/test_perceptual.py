import pytest
import torch

from pocketgan.losses.perceptual import feature_loss, gram, grams, style_distance, vgg_loss


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_stages_are_weighted_as_gaugan_has_it():
    """One stage apart by 1 at a time: what is left is its weight."""
    features = {f"stage{i}": draw(2, i, 4, 4) for i in range(1, 6)}
    for stage, weight in zip(features, (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), strict=True):
        moved = {**features, stage: features[stage] - 1}
        assert vgg_loss(features, moved).item() == pytest.approx(weight)
    assert vgg_loss(features, features).item() == 0


def test_gaugan_needs_five_stages():
    with pytest.raises(ValueError, match="zip"):
        vgg_loss({"stage1": draw(1, 1, 2, 2)}, {"stage1": draw(1, 1, 2, 2)})


def test_feature_loss_is_the_mean_difference():
    a, b = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    assert feature_loss(a, b).item() == pytest.approx((a - b).abs().sum().item() / 120)


def test_gram_element_by_element():
    x = draw(2, 3, 4, 5)
    for n in range(2):
        for i in range(3):
            for j in range(3):
                want = (x[n, i] * x[n, j]).sum() / (3 * 4 * 5)
                assert gram(x)[n, i, j].item() == pytest.approx(want.item())


def test_style_sums_over_taps_and_forgets_positions():
    a = {"shallow": draw(2, 3, 4, 4), "deep": draw(2, 5, 2, 2, seed=1)}
    b = {"shallow": draw(2, 3, 4, 4, seed=2), "deep": draw(2, 5, 2, 2, seed=3)}
    parts = [(gram(a[tap]) - gram(b[tap])).abs().mean().item() for tap in a]
    assert style_distance(grams(a), grams(b)).item() == pytest.approx(sum(parts))
    turned = {tap: x.flip(-1) for tap, x in a.items()}
    assert style_distance(grams(a), grams(turned)).item() == pytest.approx(0, abs=1e-15)
