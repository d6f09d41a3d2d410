import numpy as np
import pytest
import torch

from pocketgan.losses.distillation import Adaptors, ChannelConnectors


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


@pytest.mark.parametrize("cut", [0, 2])
def test_channel_distillation(cut):
    """mean((mean_hw relu(BN(W S)) - mean_hw T)^2), W the leading columns where the student is narrower."""
    connectors = ChannelConnectors({"down": (4, 6), "block3": (5, 7)}).double()
    student, teacher = features({"down": 4 - cut, "block3": 5 - cut}, 0), features({"down": 6, "block3": 7}, 1)
    found = connectors(student, teacher)
    assert list(found) == ["down", "block3"]
    for tap, loss in found.items():
        weight = connectors.taps[tap][0].weight.detach().numpy()[:, : student[tap].shape[1], 0, 0]
        y = np.einsum("ts,bshw->bthw", weight, student[tap].numpy())
        mean, var = y.mean((0, 2, 3), keepdims=True), y.var((0, 2, 3), keepdims=True)
        strength = np.maximum((y - mean) / np.sqrt(var + 1e-5), 0).mean((2, 3))
        want = np.square(strength - teacher[tap].numpy().mean((2, 3))).mean()
        assert loss.item() == pytest.approx(want, rel=1e-10)
        assert connectors.taps[tap][0].bias is None


def test_channel_distillation_forgets_where():
    connectors = ChannelConnectors({"down": (4, 6)}).double()
    student, teacher = features({"down": 4}, 0), features({"down": 6}, 1)
    moved = {"down": student["down"].roll((1, 2), dims=(2, 3))}
    assert connectors(student, teacher)["down"].item() == pytest.approx(connectors(moved, teacher)["down"].item())
