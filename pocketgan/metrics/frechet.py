"""The Fréchet distance between two sets of features, each summarised by its mean and covariance."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from pocketgan.errors import DataError
from pocketgan.metrics.bootstrap import Figure

#: shares of the images between which a distance is extrapolated to infinitely many
SHARES = tuple(np.linspace(0.5, 1, 15))


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

    @classmethod
    def read(cls, file: Path, dimensions: int) -> "Statistics":
        """Statistics as pytorch-fid and the GAN-compression papers publish them: ``mu`` and ``sigma`` in an .npz.

        Such a file does not say of how many images; ``count`` is 0. Raises DataError for any other file.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                mean, covariance = (
                    torch.from_numpy(np.asarray(arrays[name], np.float64)) for name in ("mu", "sigma")
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(
                f"{file} holds no statistics; give an .npz file with the arrays mu and sigma"
            ) from error
        if mean.shape != (dimensions,) or covariance.shape != (dimensions, dimensions):
            raise DataError(
                f"the statistics in {file} are of {tuple(mean.shape)} and {tuple(covariance.shape)} numbers, and "
                f"the feature network gives {dimensions}; give the file of that network"
            )
        if not (mean.isfinite().all() and covariance.isfinite().all()):
            raise DataError(f"the statistics in {file} are not finite; make or fetch the file again")
        return cls.from_moments(mean, covariance, count=0)

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


def frechet(
    generated: Real[Tensor, "images dimensions"], real: Real[Tensor, "reals dimensions"] | Statistics
) -> Figure:
    """The distance, and what each image contributes to it: the derivative of the distance by the image's weight.

    Giving an image x of a set with mean μ and covariance Σ a little more weight moves the distance to (ν, T) by
    2 (μ − ν)·(x − μ) + ‖x − μ‖² − (x − μ)ᵀ M (x − μ), less its mean over the set, where M maps the first Gaussian
    onto the second. With x one of the samples, (x − μ)ᵀ M (x − μ) is a diagonal element of U S Uᵀ, of the same
    singular values and vectors as in `frechet_distance`: no matrix is inverted, and any rank will do.

    Source: Hampel, "The influence curve and its role in robust estimation", 1974; Dowson and Landau, 1982.
    """
    mean, rows, triangle, basis = _centred(generated)
    if isinstance(real, Statistics):
        other_mean, other_triangle = real.mean, real.factor
    else:
        other_mean, other_rows, other_triangle, other_basis = _centred(real)
    left, overlap, right = torch.linalg.svd(triangle @ other_triangle.T, full_matrices=False)
    gap = mean - other_mean
    traces = triangle.square().sum() + other_triangle.square().sum()
    value = max(0.0, float(gap.square().sum() + traces - 2 * overlap.sum()))

    def influence(
        rows: Float[Tensor, "samples dimensions"],
        own: Float[Tensor, "samples rank"],
        gap: Float[Tensor, " dimensions"],
    ) -> np.ndarray:
        mapped = (len(rows) - 1) * (own.square() * overlap).sum(1)
        each = 2 * rows @ gap + rows.square().sum(1) - mapped
        return (each - each.mean()).numpy()

    return Figure(
        value,
        influence(rows, left if basis is None else basis @ left, gap),
        None
        if isinstance(real, Statistics)
        else influence(other_rows, right.T if other_basis is None else other_basis @ right.T, -gap),
    )


def extrapolated(
    generated: Real[Tensor, "images dimensions"],
    real: Real[Tensor, "reals dimensions"] | Statistics,
    *,
    paired: bool,
    random: np.random.Generator,
) -> Figure:
    """The distance for infinitely many images: the intercept of a straight line through distances over 1 / N.

    From random halves up to all images; both sets shrink alike, pairs stay together, and statistics from a file
    stay what they are. May fall below 0. Needs many more images than features have notable directions: with few,
    the bias does not follow 1 / N, and much of it is left. Being a weighted sum of distances, its influences are
    that sum of theirs.

    Source: Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", CVPR 2020
    (there all real images are kept).
    """
    line = np.stack([np.ones(len(SHARES)), 1 / np.array(SHARES)], axis=1)
    value, of_images = 0.0, np.zeros(len(generated))
    of_reals = np.zeros(0 if isinstance(real, Statistics) else len(real))
    for weight, share in zip(np.linalg.pinv(line)[0], SHARES, strict=True):
        chosen = _some(len(generated), share, random)
        if isinstance(real, Statistics):
            figure = frechet(generated[chosen], real)
        else:
            others = chosen if paired else _some(len(real), share, random)
            figure = frechet(generated[chosen], real[others])
            of_reals[others] += weight * figure.real * len(real) / len(others)
        value += float(weight) * figure.value
        of_images[chosen] += weight * figure.generated * len(generated) / len(chosen)
    return Figure(value, of_images, None if isinstance(real, Statistics) else of_reals)


def _some(count: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Which of so many images make up a share."""
    return random.permutation(count)[: max(2, round(count * share))]


def _centred(
    features: Real[Tensor, "samples dimensions"],
) -> tuple[Tensor, Tensor, Tensor, Float[Tensor, "samples rows"] | None]:
    """Mean; rows less the mean; a factor A of the covariance; Q with Q A = rows / √(n − 1) (None: the identity)."""
    if len(features) < 2:
        raise DataError(f"a covariance needs at least 2 images, and there is {len(features)}; add images")
    features = features.detach().to("cpu", torch.float64)
    mean = features.mean(0)
    rows = features - mean
    factor = rows / (len(rows) - 1) ** 0.5
    if len(factor) <= factor.shape[1]:
        return mean, rows, factor, None
    basis, triangle = torch.linalg.qr(factor)
    return mean, rows, triangle, basis
