"""What an objective is: a game between networks, one update at a time.

The training loop knows nothing of a game but this class.
"""

from __future__ import annotations

import random
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn
from torch.optim import Optimizer

from pocketgan.data.batches import Batch
from pocketgan.distributed import ALONE, World, join
from pocketgan.errors import NonFiniteLoss
from pocketgan.losses.adversarial import GanMode
from pocketgan.objectives.finite import REMEDY, Finite
from pocketgan.objectives.precision import Call, Precision, in_precision

Losses = dict[str, Tensor]
#: a decay rate of Adam's moments
Beta = Annotated[float, Field(ge=0, lt=1)]


class ObjectiveSettings(BaseModel):
    """What every game sets: the adversarial term and its weight for the generator, and Adam's numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gan_mode: GanMode = "hinge"
    gan: NonNegativeFloat = 1.0
    lr: PositiveFloat = 2e-4
    betas: tuple[Beta, Beta] = (0.5, 0.999)


class Objective:
    """Players (trained networks, each with its optimizer) and the rule of one step.

    Subclasses call `add_player` for every trained network, `add_frozen` for every other one, and implement `step`,
    which calls them as `networks[name]` and `frozen[name]`. The trained networks themselves are `players[name]`.
    """

    def __init__(self) -> None:
        self.players: dict[str, nn.Module] = {}
        self.networks: dict[str, Call] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.frozen: dict[str, Call] = {}
        self._frozen: dict[str, nn.Module] = {}
        self.finite = Finite()
        self.world = ALONE
        self._games: list[Objective] = []

    # -- what subclasses implement ---------------------------------------------------------------------------

    @property
    def generator(self) -> nn.Module:
        """The network whose training this is."""
        raise NotImplementedError

    @property
    def products(self) -> dict[str, nn.Module]:
        """What a finished training leaves, by the folder that keeps it: `model`, `discriminator`, ..."""
        raise NotImplementedError

    def step(self, batch: Batch, rng: random.Random) -> Losses:
        """One update of every player. Returns named scalars, detached. `rng` is the step's own."""
        raise NotImplementedError

    # -- what they use ---------------------------------------------------------------------------------------

    def add_player(
        self, name: str, network: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float = 0.0
    ) -> None:
        """A network with its Adam; `weight_decay` is added to the gradients (not AdamW)."""
        self.players[name] = self.networks[name] = network.train()
        self.optimizers[name] = torch.optim.Adam(
            network.parameters(), lr, betas, weight_decay=weight_decay, fused=True
        )

    def add_frozen(self, name: str, network: nn.Module) -> None:
        """A network in evaluation mode, without gradients."""
        self.frozen[name] = self._frozen[name] = network.eval().requires_grad_(False)

    def include(self, game: Objective) -> None:
        """Make another game a part of this one: what is done to its players here is done to them there."""
        self.players, self.networks, self.optimizers = game.players, game.networks, game.optimizers
        self.finite = game.finite
        self._games.append(game)

    def backward(self, loss: Tensor, *players: str, terms: Losses | None = None, keep_graph: bool = False) -> None:
        """Add the loss's gradients to these players' own; whatever else is on the way gets none. `terms`: of which
        it is the sum, to be named where it is not finite."""
        self.finite.see(loss, " and ".join(players), terms)
        inputs = [p for name in players for p in self.players[name].parameters() if p.requires_grad]
        torch.autograd.backward(loss, inputs=inputs, retain_graph=keep_graph)

    def update(self, *players: str) -> None:
        """One optimizer step for these players, then their gradients are cleared.

        The one place that all gradients pass: each process has those of its share of the batch, and all take the
        step of their means, which are those of the whole batch.
        """
        self.finite.before_update()
        weights = [weight for name in players for weight in self.players[name].parameters()]
        self._average_gradients([weight.grad for weight in weights if weight.grad is not None])
        for name in players:
            self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)

    def _average_gradients(self, gradients: list[Tensor]) -> None:
        # what one process has seen keeps all from updating
        with self.finite.shared(self.world) as flag:
            self.world.average([*gradients, *flag])

    # -- what the loop uses ----------------------------------------------------------------------------------

    def setup(self, device: torch.device, precision: Precision, world: World = ALONE) -> None:
        """Move everything to the device, and let every network compute in the precision. Before `load_state_dict`,
        so that what is loaded lands where the networks are.

        `world`: all processes that play this game together, each with its share of every batch.
        """
        for game in (self, *self._games):
            game.world = world
        for network in self.players.values():
            join(network, world)
        for own, calls in ((self.players, self.networks), (self._frozen, self.frozen)):
            for name, network in own.items():
                calls[name] = in_precision(network.to(device), device, precision)
        self.finite.place(device)
        for optimizer in self.optimizers.values():
            optimizer.found_inf = self.finite.flag  # type: ignore[attr-defined]

    def set_lr_factor(self, factor: float) -> None:
        """Every learning rate as a fraction of what it was at the start."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    def check(self) -> None:
        """Raises `NonFiniteLoss` where a loss since the last check, or a weight, is not finite, and says which."""
        self.finite.check(self.world)
        for name, network in self.players.items():
            weights = [weight for weight in network.state_dict().values() if weight.is_floating_point()]
            if not torch.stack([weight.isfinite().all() for weight in weights]).all():
                raise NonFiniteLoss(
                    f"weights of {name} became NaN or infinite; training stopped, and nothing of it was saved. "
                    f"{REMEDY}"
                )

    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes."""
        return {
            "networks": {name: network.state_dict() for name, network in self.players.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, network in self.players.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def detached(**losses: Tensor) -> Losses:
    return {name: loss.detach() for name, loss in losses.items()}


def total(terms: Losses) -> Tensor:
    """The sum of all terms."""
    return torch.stack(list(terms.values())).sum()


def mean_losses(rounds: list[Losses]) -> Losses:
    """The mean of each loss over several rounds of one step."""
    return {name: torch.stack([losses[name] for losses in rounds]).mean() for name in rounds[0]}
