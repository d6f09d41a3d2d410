"""Calibration: batch norm statistics of a subnet, estimated anew.

The statistics in a supernet are a mixture over all the widths that were trained; those of one subnet differ.

Source: GAN Compression, CVPR 2020, section 3.3 (which keeps the last batch only); the cumulative average is
Yu & Huang, Universally Slimmable Networks, ICCV 2019, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketgan.elastic.supernet import Subnet, Supernet
from pocketgan.errors import DataError
from pocketgan.networks import Generator

Network = TypeVar("Network", bound=nn.Module)


def has_statistics(network: nn.Module) -> bool:
    """Whether calibration would change anything."""
    return bool(_norms(network))


@torch.no_grad()
def calibrate(network: Network, batches: Iterable[Tensor]) -> Network:
    """The statistics of all batch norms become the averages over `batches`; in place, returns the network.

    Every batch counts the same: mean = sum of batch means / n, var = sum of unbiased batch variances / n. The batch
    norms alone are in training mode meanwhile; all other layers (dropout) are in evaluation mode. Networks without
    batch norm are left as they are. Raises `DataError` when there is no batch.
    """
    norms = _norms(network)
    if not norms:
        return network
    modes = [(module, module.training) for module in network.modules()]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's word for the cumulative average
        norm.train()
    count = 0
    try:
        for batch in batches:
            network(batch)
            count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
    if not count:
        raise DataError("calibration needs at least one batch of images and got none; give it training images")
    return network


def calibrated(supernet: Supernet, at: Subnet, batches: Iterable[Tensor]) -> Generator:
    """A subnet with weights and statistics of its own; those of the supernet stay as they are."""
    return calibrate(supernet.extract(at), batches)


def _norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
