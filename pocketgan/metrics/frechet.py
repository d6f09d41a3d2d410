"""The Fréchet distance between two sets of features, each summarised by its mean and covariance."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from pocketgan.errors import DataError


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of ``count`` features, in float64 on the CPU.

    The covariance is kept as a factor A with AᵀA = covariance, of at most min(count, dimensions) rows: few
    samples of many features then stay few rows, which is both smaller and more exact than a
    (dimensions x dimensions) matrix without full rank.
    """

    mean: Float[Tensor, " dimensions"]
    factor: Float[Tensor, "rows dimensions"]
    count: int

    @classmethod
    def of(
        cls, features: Real[Tensor, "samples dimensions"], weights: Int[Tensor, " samples"] | None = None
    ) -> "Statistics":
        """Unbiased (n - 1) statistics of features; ``weights`` say how often each sample counts (once).

        Raises DataError for fewer than two samples.
        """
        features = features.detach().to("cpu", torch.float64)
        if weights is None:
            weights = torch.ones(len(features), dtype=torch.int64)
        count = int(weights.sum())
        if count < 2:
            raise DataError(f"a covariance needs at least 2 images, and there is {count}; add images")
        present = weights > 0
        features, weights = features[present], weights[present].double().unsqueeze(1)
        mean = (weights * features).sum(0) / count
        factor = (weights / (count - 1)).sqrt() * (features - mean)
        if len(factor) > factor.shape[1]:
            factor = torch.linalg.qr(factor, mode="r").R
        return cls(mean, factor, count)

    @classmethod
    def from_moments(
        cls,
        mean: Real[Tensor, " dimensions"],
        covariance: Real[Tensor, "dimensions dimensions"],
        count: int,
    ) -> "Statistics":
        """Statistics computed elsewhere; a covariance that rounding left slightly indefinite is accepted."""
        values, vectors = torch.linalg.eigh(covariance.to("cpu", torch.float64))
        factor = values.clamp(min=0).sqrt().unsqueeze(1) * vectors.T
        return cls(mean.to("cpu", torch.float64), factor, count)

    @property
    def covariance(self) -> Float[Tensor, "dimensions dimensions"]:
        """The unbiased covariance."""
        return self.factor.T @ self.factor


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), the squared Fréchet distance between two Gaussians.

    With Σ = AᵀA the non-zero eigenvalues of Σ₁Σ₂ are the squared singular values of A₁A₂ᵀ, so that the last
    trace is the sum of those singular values: real, exact at any rank, and fast for few samples.

    Source: Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982;
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, equation 6.
    """
    means = (a.mean - b.mean).square().sum()
    traces = a.factor.square().sum() + b.factor.square().sum()
    overlap = torch.linalg.svdvals(a.factor @ b.factor.T).sum()
    # Equal sets cancel to rounding noise of either sign.
    return max(0.0, float(means + traces - 2 * overlap))
