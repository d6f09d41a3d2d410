import numpy as np
import pytest
import torch

from pocketgan.losses.distillation import Adaptors


def features(channels: dict[str, int], seed: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {tap: torch.from_numpy(rng.normal(size=(2, count, 3, 4))) for tap, count in channels.items()}


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_formula(cut):
    """mean((W S + b - T)^2), W the leading columns where the student is narrower."""
    adaptors = Adaptors({"down": (4, 6), "block3": (5, 7)}).double()
    student = features({"down": 4 - cut, "block3": 5 - cut}, 0)
    teacher = features({"down": 6, "block3": 7}, 1)
    found = adaptors(student, teacher)
    assert list(found) == ["down", "block3"]
    for tap, loss in found.items():
        weight, bias = (p.detach().numpy() for p in adaptors.taps[tap].parameters())
        narrow = weight[:, : student[tap].shape[1], 0, 0]
        adapted = np.einsum("ts,bshw->bthw", narrow, student[tap].numpy()) + bias[:, None, None]
        assert loss.item() == pytest.approx(np.square(adapted - teacher[tap].numpy()).mean(), rel=1e-12)


def test_no_gradient_for_columns_that_are_not_used():
    adaptors = Adaptors({"down": (4, 6)}).double()
    adaptors(features({"down": 3}, 0), features({"down": 6}, 1))["down"].backward()
    gradient = adaptors.taps["down"].weight.grad
    assert gradient[:, :3].abs().min() > 0
    assert not gradient[:, 3:].any()
