import pytest
import torch

from pocketgan.losses.feature_matching import feature_matching


def maps(*values: float) -> list[torch.Tensor]:
    """Feature maps of one scale, each constant, of different shapes."""
    return [torch.full((2, 3, 4 + i, 5), value, requires_grad=True) for i, value in enumerate(values)]


def test_scores_do_not_count():
    fake, real = [maps(1.0, 2.0, 50.0), maps(5.0, 0.0, 70.0)], [maps(0.5, 4.0, 0.0), maps(5.0, -1.0, 0.0)]
    # (0.5 + 2) at the first scale, (0 + 1) at the second
    assert feature_matching(fake, real).item() == pytest.approx((2.5 + 1.0) / 2)


def test_only_the_fakes_are_moved():
    fake, real = [maps(1.0, 2.0)], [maps(3.0, 4.0)]
    feature_matching(fake, real).backward()
    assert fake[0][0].grad is not None
    assert real[0][0].grad is None


def test_no_gap_is_nothing():
    same = [maps(1.0, 2.0, 3.0)]
    assert feature_matching(same, same).item() == 0


def test_unlike_scales_are_refused():
    with pytest.raises(ValueError, match="zip"):
        feature_matching([maps(1.0, 2.0)], [maps(1.0, 2.0), maps(1.0, 2.0)])
