"""What several processes do together, and what one does alone: games, a training that is stopped, an evaluation.

`python -m tests.distributed.together FOLDER [GAMES]` does it with as many processes as somebody has started; the
first one leaves `found` in the folder.
"""

import random
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pocketgan.data.batches import Batch
from pocketgan.distributed import World, enter, world
from pocketgan.errors import NonFiniteLoss
from pocketgan.metrics import Evaluator
from pocketgan.networks import ResnetSpec
from pocketgan.objectives.base import Objective
from pocketgan.objectives.pix2pix import Pix2Pix, Pix2PixSettings
from pocketgan.objectives.spade import SpadeGame
from pocketgan.runtime import Runtime
from pocketgan.training.fit import fit
from pocketgan.training.schedule import Schedule
from pocketgan.training.state import save_state
from tests.metrics import toy
from tests.objectives.test_bursts import GAMES as BURSTS
from tests.objectives.test_golden import GAMES
from tests.objectives.test_online import GAMES as ONLINE
from tests.objectives.toys import JUDGE, batch, cyclegan, filled, in_place, labels, pix2pix, tensors

CPU = torch.device("cpu")
STEPS = 3
BATCH = 4
#: the steps of an epoch of the training, and the one after which it is stopped
EPOCH, STOPPED = 3, 4


def normed(**settings: Any) -> Pix2Pix:
    """Batch norm in both players."""
    spec = ResnetSpec.uniform(2, blocks=1, norm="batch")
    judge = JUDGE.model_copy(update={"norm": "batch", "layers": 2})
    return Pix2Pix(Pix2PixSettings(**settings), filled(spec.build(), 0.1), filled(judge.build(), 0.2))


#: every game; and batch norm in networks and in a supernet, which runs it by programs of other widths
PLAYED = {
    **GAMES,
    **BURSTS,
    **ONLINE,
    "batch-norm": (normed, {}),
    "batch-norm-supernet": (
        in_place,
        dict(
            spec=ResnetSpec.uniform(2, blocks=2, norm="batch"),
            options=(3, 2, 1),
            sampling={"kind": "sandwich", "random": 1},
        ),
    ),
}


def share(whole: Batch, here: World) -> Batch:
    return Batch(here.share(whole.x), here.share(whole.y), whole.names)


def played(name: str, here: World) -> dict[str, Tensor]:
    """What a game has become after a few steps."""
    make, settings = PLAYED[name]
    game: Objective = make(lr=2e-3, **settings)
    game.setup(CPU, "fp32", here)
    for number in range(STEPS):
        whole = (labels if isinstance(game, SpadeGame) else batch)(number, size=BATCH)
        game.step(share(whole, here), random.Random(number))
    return tensors(game)


def trained(folder: Path, stop: bool) -> dict[str, Tensor]:
    """A CycleGAN, with its pools, by the loop; `stop`: the last process alone gets a signal on the way."""
    game, here = cyclegan(lr=2e-3), world()

    def batches(epoch: int, first: int) -> Iterator[Batch]:
        for step in range(epoch * EPOCH + first, (epoch + 1) * EPOCH):
            yield share(batch(step, size=BATCH), here)

    step, taken = game.step, 0

    def counted(*inputs: Any) -> Any:
        nonlocal taken
        taken += 1
        if stop and taken == STOPPED and here.rank == here.size - 1:
            signal.raise_signal(signal.SIGINT)
        return step(*inputs)

    game.step = counted  # type: ignore[method-assign]
    folder.mkdir(exist_ok=True)
    fit(
        game,
        batches,
        EPOCH,
        Schedule(constant=2, batch_size=BATCH),
        seed=7,
        precision="fp32",
        runtime=Runtime(device="cpu", devices=here.size, log_steps=1),
        folder=folder,
    )
    return tensors(game)


def refused(here: World) -> list[Any]:
    """Whether the weights stayed as they were after a loss that was not finite in the last process alone, and what
    each one says of it; with the flag that accelerators have."""
    game = pix2pix(lr=2e-3)
    game.setup(CPU, "fp32", here)
    game.finite.flag = torch.zeros(())
    for optimizer in game.optimizers.values():
        optimizer.found_inf = game.finite.flag  # type: ignore[attr-defined]
    before = [weight.detach().clone() for weight in game.generator.parameters()]
    own = share(batch(0, size=BATCH), here)
    if here.rank == here.size - 1:
        own.x[0] = float("nan")
    game.step(own, random.Random(0))
    same = all(torch.equal(*each) for each in zip(before, game.generator.parameters(), strict=True))
    try:
        game.finite.check(here)
    except NonFiniteLoss as error:
        return [same, str(error)]
    return [same, ""]


def evaluated(here: World) -> dict[str, Any]:
    """Figures of three batches, the last one smaller: two for one process, one for the other."""
    evaluator = Evaluator(
        toy.batches(sizes=(3, 3, 2)),
        metrics=("l1", "ssim", "fd_mobilenet_v2", "teacher_l1"),
        teacher=lambda x: x.flip(3),
        world=here,
    )
    return evaluator(toy.darker, intervals=True).content()


def squares(numbers: Sequence[int]) -> list[list[int]]:
    return [[number, number**2, world().rank] for number in numbers]


def asked(here: World) -> list[Any]:
    """What the first process has all of them work on."""
    if not here.leads:
        here.serve(squares)
        return []
    found = [here.ask(squares, range(5)), here.ask(squares, [7])]
    here.dismiss()
    return found


def main(folder: Path, *names: str) -> None:
    torch.set_num_threads(1)
    here = enter(CPU)
    games = {name: played(name, here) for name in names or PLAYED}
    try:
        trained(folder, stop=True)
        stopped = False
    except KeyboardInterrupt:
        stopped = True
    found = {
        "processes": here.size,
        "games": games,
        "stopped": here.gather(stopped),
        "refused": here.gather(refused(here)),
        "evaluated": here.gather(evaluated(here)),
        "asked": asked(here),
    }
    if here.leads:
        save_state(found, folder / "found")
    here.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
