"""Comparing what a frozen network sees in two images.

Features are activations by name, the shallowest first: what `pocketgan.pretrained` networks give.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Features = Mapping[str, Float[Tensor, "batch _ _ _"]]
Grams = Mapping[str, Float[Tensor, "batch _ _"]]

#: GauGAN's weights of five stages
_STAGE_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def vgg_loss(images: Features, targets: Features) -> Float[Tensor, ""]:
    """Mean absolute difference of the features at five stages, weighted 1/32, 1/16, 1/8, 1/4, 1.

    GauGAN takes VGG19 at relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, on images in [-1, 1] as they are.

    Source: Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization", CVPR 2019.
    """
    terms = [F.l1_loss(x, targets[stage]) for stage, x in images.items()]
    return torch.stack([w * term for w, term in zip(_STAGE_WEIGHTS, terms, strict=True)]).sum()


def feature_loss(
    image: Float[Tensor, "batch channels height width"], target: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, ""]:
    """Mean absolute difference of the features at one tap.

    OMGD takes VGG16 at relu2_2, on images in [0, 1].

    Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, section 3.4.
    """
    return F.l1_loss(image, target)


def style_distance(images: Grams, targets: Grams) -> Float[Tensor, ""]:
    """Mean absolute difference of the Gram matrices, summed over all taps that are given.

    OMGD takes VGG16 at relu1_2, relu2_2, relu3_3 and relu4_3, on images in [0, 1].

    Source: Ren et al., "Online Multi-Granularity Distillation for GAN Compression", ICCV 2021, section 3.4.
    """
    return torch.stack([F.l1_loss(x, targets[tap]) for tap, x in images.items()]).sum()


def grams(features: Features) -> dict[str, Float[Tensor, "batch _ _"]]:
    """The Gram matrices of each tap."""
    return {tap: gram(x) for tap, x in features.items()}


def gram(x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels channels"]:
    """The Gram matrix of each image's features F (channels x positions): F F^T / (channels · height · width)."""
    rows = x.flatten(2)
    return rows @ rows.mT / rows[0].numel()
