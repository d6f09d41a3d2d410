"""A moving average of a network's weights: what a training leaves instead of the last weights, which jitter."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn


class Average:
    """The average of a network's parameters over past steps; buffers are those of the last step.

    Example:
        average = Average(network)
        average.follow(network, 0.01)  # after every update: one part in a hundred of the way to the new weights
        average.network
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = deepcopy(network)

    @torch.no_grad()
    def follow(self, network: nn.Module, part: float) -> None:
        """Move so far, 0 to 1, towards the weights of `network`."""
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), part)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state)
