"""A recurrent policy: a distribution over the genomes of a space, from which to draw and which can be taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

#: bound of the initial weights: nearly every option is equally likely at first
START = 0.08


class Policy(nn.Module):
    """An LSTM that makes one choice after the other, each in the knowledge of those before.

    `options` are how many options each choice has. It computes in double precision on the CPU, where it takes
    next to no time, so that the number of threads does not move what is drawn.

    Source: Zoph & Le 2017, Neural architecture search with reinforcement learning, section 3.1 and the appendix on
    training (initial weights).
    """

    def __init__(self, options: Sequence[int], width: int, generator: torch.Generator) -> None:
        super().__init__()
        # on no device, since layers there draw no random numbers of others
        with torch.device("meta"):
            #: what was chosen last; 0 before the first choice
            self.last = nn.Embedding(1 + sum(options), width, dtype=torch.float64)
            self.cell = nn.LSTMCell(width, width, dtype=torch.float64)
            self.heads = nn.ModuleList(nn.Linear(width, count, dtype=torch.float64) for count in options)
        self.to_empty(device="cpu")
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -START, START, generator=generator)
        self.starts = [1 + sum(options[:i]) for i in range(len(options))]

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Int[Tensor, "count choices"]:
        """Genomes as the numbers of their options."""

        def draw(choice: int, log: Tensor) -> Tensor:
            return torch.multinomial(log.exp(), 1, generator=generator)[:, 0]

        return torch.stack([chosen for _, chosen in self._walk(count, draw)], dim=1)

    def forward(self, genomes: Int[Tensor, "n choices"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """The genomes' log-probabilities, and the entropies of the choices on the way to them, summed; in nats."""
        log, entropy = torch.zeros(2, len(genomes), dtype=torch.float64)
        for probabilities, chosen in self._walk(len(genomes), lambda choice, _: genomes[:, choice]):
            log = log + probabilities.gather(1, chosen[:, None])[:, 0]
            entropy = entropy - (probabilities.exp() * probabilities).sum(1)
        return log, entropy

    def _walk(self, count: int, choose: Callable[[int, Tensor], Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """From choice to choice: the options' log-probabilities, and what is chosen."""
        token, state = torch.zeros(count, dtype=torch.int64), None
        for choice, (head, start) in enumerate(zip(self.heads, self.starts, strict=True)):
            state = self.cell(self.last(token), state)
            log = torch.log_softmax(head(state[0]), dim=1)
            chosen = choose(choice, log)
            token = start + chosen
            yield log, chosen
