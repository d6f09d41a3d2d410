"""Reference packages as oracles, where they are installed."""

import importlib.util
from types import ModuleType

import pytest
import torch


def reference(name: str) -> ModuleType:
    """A package that needs torchvision; without either of them the test is skipped.

    torchvision does not import where its compiled operators do not load, unless something has declared them.
    """
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip(f"{name} needs torchvision, which is not installed")
    if not hasattr(torch.ops.torchvision, "nms"):
        for operator in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
    return pytest.importorskip(name)
