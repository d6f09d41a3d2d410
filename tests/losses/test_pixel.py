import numpy as np
import pytest
import torch

from pocketgan.losses.pixel import pixel_loss

FORMULAS = {
    "l1": np.abs,
    "l2": np.square,
    "smooth_l1": lambda d: np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5),
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_formulas(kind):
    a, b = np.random.default_rng(0).normal(0, 1.5, (2, 2, 3, 4, 5))
    found = pixel_loss(torch.from_numpy(a), torch.from_numpy(b), kind)
    assert found.item() == pytest.approx(FORMULAS[kind](a - b).mean(), rel=1e-12)
