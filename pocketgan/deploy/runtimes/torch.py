"""Eager PyTorch on the CPU: the network as it is, in eval mode, given what it takes beside an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pocketgan.deploy.inputs import example_inputs, shipped
from pocketgan.deploy.serving import Served, ServingRuntime


def version() -> str:
    return f"torch {torch.__version__}"


def load(network: nn.Module, threads: int) -> Served:
    network = shipped(network)
    image, *more = example_inputs(network, 1, (1, 1)).items()
    inputs = {image[0]: (None, image[1].shape[1], None, None)}
    return Served(inputs | {name: (None, *each.shape[1:]) for name, each in more}, of_arrays(network, threads))


def of_arrays(network: Callable[..., Tensor], threads: int) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """A function of tensors, the first by its place, as one of arrays, on so many threads."""

    def run(feed: Mapping[str, np.ndarray]) -> np.ndarray:
        (image, *_), before = feed.values(), torch.get_num_threads()
        more = {name: torch.from_numpy(each) for name, each in list(feed.items())[1:]}
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                return network(torch.from_numpy(image), **more).numpy()
        finally:
            torch.set_num_threads(before)

    return run


RUNTIME = ServingRuntime(name="torch", version=version, load=load)
