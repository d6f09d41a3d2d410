"""Eager PyTorch on the CPU: the network as it is, in eval mode, given what it takes beside an image."""

from __future__ import annotations

import copy

import torch
from torch import nn

from pocketgan.deploy.latency import numbers
from pocketgan.deploy.serving import Call, ServingRuntime
from pocketgan.networks import Generator
from pocketgan.units import Size


def ready(network: nn.Module, size: Size, threads: int) -> Call:
    network = copy.deepcopy(network).cpu().float().eval()
    channels, drawn = 3, {}
    if isinstance(network, Generator):
        channels, drawn = network.spec.in_channels, network.draw(1, torch.Generator().manual_seed(0))
    image = torch.from_numpy(numbers((1, channels, *size)))

    def run() -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                network(image, **drawn)
        finally:
            torch.set_num_threads(before)

    return run


RUNTIME = ServingRuntime(name="torch", version=lambda: f"torch {torch.__version__}", ready=ready)
