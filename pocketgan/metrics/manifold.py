"""Do generated images look real, and are all kinds of real images among them? By nearest neighbours of features.

A set's manifold is the union of balls around its images, each reaching to the image's k-th nearest neighbour.
Influences take the manifolds as given: intervals show the noise of which images were judged, not of what they were
judged by.
"""

import numpy as np
import torch
from jaxtyping import Float, Real
from torch import Tensor

from pocketgan.errors import DataError
from pocketgan.metrics.bootstrap import Figure

#: neighbours, as published
PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5

#: rows of distances that are held at a time
BLOCK = 1024


def precision(generated: Real[Tensor, "images dimensions"], real: Real[Tensor, "reals dimensions"]) -> Figure:
    """The share of generated images within the manifold of the real ones (k = 3).

    Source: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS
    2019.
    """
    images, reals = _aligned(generated, real)
    return _judged(_within(images, reals, PRECISION_NEIGHBOURS).clamp(max=1))


def recall(generated: Real[Tensor, "images dimensions"], real: Real[Tensor, "reals dimensions"]) -> Figure:
    """The share of real images within the manifold of the generated ones (k = 3). Source: as `precision`."""
    images, reals = _aligned(generated, real)
    return _judging(_within(reals, images, PRECISION_NEIGHBOURS).clamp(max=1), len(images))


def density(generated: Real[Tensor, "images dimensions"], real: Real[Tensor, "reals dimensions"]) -> Figure:
    """In how many balls of real images a generated one lies, over k = 5; about 1 for equal distributions.

    Source: Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020.
    """
    images, reals = _aligned(generated, real)
    return _judged(_within(images, reals, DENSITY_NEIGHBOURS) / DENSITY_NEIGHBOURS)


def coverage(generated: Real[Tensor, "images dimensions"], real: Real[Tensor, "reals dimensions"]) -> Figure:
    """The share of real images with a generated one within their ball (k = 5). Source: as `density`."""
    images, reals = _aligned(generated, real)
    nearest = torch.cat([torch.cdist(rows, images).amin(1) for rows in reals.split(BLOCK)])
    return _judging((nearest <= _radii(reals, DENSITY_NEIGHBOURS)).double(), len(images))


def _aligned(generated: Tensor, real: Tensor) -> tuple[Float[Tensor, "i d"], Float[Tensor, "r d"]]:
    """Both in float64, about the origin: distances of equal features are then 0, as they should be."""
    images, reals = (features.detach().to("cpu", torch.float64) for features in (generated, real))
    centre = reals.mean(0)
    return images - centre, reals - centre


def _radii(features: Float[Tensor, "images dimensions"], neighbours: int) -> Float[Tensor, " images"]:
    """The distance of each image to its k-th nearest neighbour, itself not counted."""
    if len(features) <= neighbours:
        raise DataError(
            f"precision, recall, density and coverage need more than {neighbours} images to find neighbours, and "
            f"there are {len(features)}; add images or leave the metric out"
        )
    return torch.cat([_kth(rows, features, neighbours) for rows in features.split(BLOCK)])


def _kth(
    rows: Float[Tensor, "rows d"], features: Float[Tensor, "images d"], neighbours: int
) -> Float[Tensor, " rows"]:
    # the nearest is the image itself
    return torch.cdist(rows, features).kthvalue(neighbours + 1, dim=1).values


def _within(
    points: Float[Tensor, "points d"], manifold: Float[Tensor, "images d"], neighbours: int
) -> Float[Tensor, " points"]:
    """In how many balls of the manifold each point lies."""
    radii = _radii(manifold, neighbours)
    return torch.cat([(torch.cdist(rows, manifold) <= radii).double().sum(1) for rows in points.split(BLOCK)])


def _judged(values: Float[Tensor, " images"]) -> Figure:
    """A mean over generated images."""
    return Figure(float(values.mean()), (values - values.mean()).numpy())


def _judging(values: Float[Tensor, " reals"], images: int) -> Figure:
    """A mean over real images."""
    return Figure(float(values.mean()), np.zeros(images), (values - values.mean()).numpy())
