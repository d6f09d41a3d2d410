"""Norms with statistics of the image, which may be gathered part by part and are then applied to any part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


class Statistics(NamedTuple):
    """Of each channel of one image: mean and biased variance over its pixels, and how many these are."""

    mean: Float[Tensor, " channels"]
    variance: Float[Tensor, " channels"]
    pixels: int

    @classmethod
    def of(cls, x: Float[Tensor, "1 channels height width"]) -> Statistics:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square_().mean((2, 3))
        return cls(mean.flatten().double(), variance.flatten().double(), x.shape[2] * x.shape[3])

    def joined(self, other: Statistics | None) -> Statistics:
        """Those of both sets of pixels."""
        if other is None:
            return self
        pixels = self.pixels + other.pixels
        share, apart = other.pixels / pixels, other.mean - self.mean
        variance = self.variance + (other.variance - self.variance) * share + apart**2 * share * (1 - share)
        return Statistics(self.mean + apart * share, variance, pixels)

    def replaced(self, old: Float[Tensor, "1 channels height width"], new: Tensor) -> Statistics:
        """Those after some of the pixels have become others."""
        before, after = ((x.sum((0, 2, 3)), x.square().sum((0, 2, 3))) for x in (old, new))
        mean = self.mean + (after[0] - before[0]).double() / self.pixels
        square = self.variance + self.mean**2 + (after[1] - before[1]).double() / self.pixels
        return Statistics(mean, (square - mean**2).clamp_min(0), self.pixels)

    def apart(self, other: Statistics, eps: float = 1e-5) -> float:
        """How far others are from these, in standard deviations: the larger of the changes of mean and of the
        logarithm of the deviation, each the mean over the channels."""
        variance = self.variance + eps
        by_mean = ((other.mean - self.mean).abs() / variance.sqrt()).mean()
        by_deviation = ((other.variance + eps) / variance).log().abs().mean() / 2
        return float(torch.maximum(by_mean, by_deviation))


def _instance_norm(given: Mapping[str, Any]) -> Callable[[Tensor, Statistics], Tensor]:
    weight, bias, eps = given["weight"], given["bias"], given["eps"]

    def norm(x: Tensor, of_image: Statistics) -> Tensor:
        return F.batch_norm(x, of_image.mean.to(x), of_image.variance.to(x), weight, bias, False, 0.0, eps)

    return norm


def _group_norm(given: Mapping[str, Any]) -> Callable[[Tensor, Statistics], Tensor]:
    weight, bias, eps, groups = given["weight"], given["bias"], given["eps"], given["num_groups"]

    def norm(x: Tensor, of_image: Statistics) -> Tensor:
        means, variances = of_image.mean.view(groups, -1), of_image.variance.view(groups, -1)
        mean = means.mean(1, keepdim=True)
        variance = (variances + (means - mean) ** 2).mean(1, keepdim=True)
        mean, variance = (each.expand_as(means).flatten().to(x) for each in (mean, variance))
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    return norm


#: by the name of the operation: from its arguments, what makes a part from one of the input and the statistics
NORMS: dict[str, Callable[[Mapping[str, Any]], Callable[[Tensor, Statistics], Tensor]]] = {
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
}
