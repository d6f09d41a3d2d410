"""The terms of the adversarial game.

A prediction is a tensor of scores, a list of them (one per scale), or a list of lists of feature maps whose last is
the score. 'hinge' averages over scales, the other modes add them up, as the official code does.

Source: Goodfellow 2014 (vanilla), Mao 2017 (lsgan), Lim & Ye 2017 (hinge), Gulrajani 2017 (wgangp).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

GanMode = Literal["hinge", "lsgan", "vanilla", "wgangp"]
Prediction = Tensor | Sequence[Tensor] | Sequence[Sequence[Tensor]]

# softplus(-p) = BCE-with-logits(p, 1); softplus(p) = BCE-with-logits(p, 0)
_REAL: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda p: F.relu(1 - p).mean(),
    "lsgan": lambda p: (p - 1).square().mean(),
    "vanilla": lambda p: F.softplus(-p).mean(),
    "wgangp": lambda p: -p.mean(),
}
_FAKE: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda p: F.relu(1 + p).mean(),
    "lsgan": lambda p: p.square().mean(),
    "vanilla": lambda p: F.softplus(p).mean(),
    "wgangp": lambda p: p.mean(),
}
_FOOL: dict[str, Callable[[Tensor], Tensor]] = {**_REAL, "hinge": lambda p: -p.mean()}


def real_loss(prediction: Prediction, mode: GanMode) -> Tensor:
    """The discriminator's term for real images."""
    return _over_scales(prediction, mode, _REAL[mode])


def fake_loss(prediction: Prediction, mode: GanMode) -> Tensor:
    """The discriminator's term for generated images."""
    return _over_scales(prediction, mode, _FAKE[mode])


def fool_loss(prediction: Prediction, mode: GanMode) -> Tensor:
    """The generator's term."""
    return _over_scales(prediction, mode, _FOOL[mode])


def _over_scales(prediction: Prediction, mode: GanMode, term: Callable[[Tensor], Tensor]) -> Tensor:
    if isinstance(prediction, Tensor):
        return term(prediction)
    scores = [scale if isinstance(scale, Tensor) else scale[-1] for scale in prediction]
    terms = torch.stack([term(score) for score in scores])
    return terms.mean() if mode == "hinge" else terms.sum()
