"""Against the closed formulas, in numpy."""

import numpy as np
import pytest
import torch

from pocketgan.losses.adversarial import fake_loss, fool_loss, real_loss


def bce(p: np.ndarray, label: float) -> np.ndarray:
    q = 1 / (1 + np.exp(-p))
    return -label * np.log(q) - (1 - label) * np.log(1 - q)


FORMULAS = {
    ("hinge", real_loss): lambda p: np.maximum(0, 1 - p),
    ("hinge", fake_loss): lambda p: np.maximum(0, 1 + p),
    ("hinge", fool_loss): lambda p: -p,
    ("lsgan", real_loss): lambda p: (p - 1) ** 2,
    ("lsgan", fake_loss): lambda p: p**2,
    ("lsgan", fool_loss): lambda p: (p - 1) ** 2,
    ("vanilla", real_loss): lambda p: bce(p, 1),
    ("vanilla", fake_loss): lambda p: bce(p, 0),
    ("vanilla", fool_loss): lambda p: bce(p, 1),
    ("wgangp", real_loss): lambda p: -p,
    ("wgangp", fake_loss): lambda p: p,
    ("wgangp", fool_loss): lambda p: -p,
}
SCALES = [np.random.default_rng(i).normal(0, 2, (2, 1, 5 - i, 5 - i)) for i in range(3)]


@pytest.mark.parametrize(("mode", "loss"), FORMULAS, ids=lambda part: getattr(part, "__name__", part))
def test_formulas(mode, loss):
    formula = FORMULAS[mode, loss]
    means = [formula(scores).mean() for scores in SCALES]
    tensors = [torch.from_numpy(scores) for scores in SCALES]
    features = [[torch.full((2, 4, 3, 3), 1e6), scores] for scores in tensors]
    overall = np.mean(means) if mode == "hinge" else np.sum(means)
    assert loss(tensors[0], mode).item() == pytest.approx(means[0], rel=1e-12)
    assert loss(tensors, mode).item() == pytest.approx(overall, rel=1e-12)
    assert loss(features, mode).item() == pytest.approx(overall, rel=1e-12)
    assert loss([tensors[1]], mode).item() == pytest.approx(means[1], rel=1e-12)


def test_vanilla_stays_finite_far_out():
    scores = torch.tensor([-1e4, 1e4], dtype=torch.float64)
    assert real_loss(scores, "vanilla").item() == pytest.approx(5e3)
    assert fake_loss(scores, "vanilla").item() == pytest.approx(5e3)
