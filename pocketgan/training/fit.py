"""The training loop: one function, for every objective.

It never looks inside the objective. What a step sees depends on the seed and the step's number alone, so that a
run that was stopped anywhere goes on exactly as if it had not been.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pocketgan.data.batches import Batch, PackedBatch, prefetch
from pocketgan.errors import note
from pocketgan.objectives.base import Objective
from pocketgan.objectives.precision import Precision
from pocketgan.runtime import Runtime, synchronise
from pocketgan.seeds import derive_seed
from pocketgan.training.log import Log
from pocketgan.training.schedule import Rates
from pocketgan.training.state import load_last, saving
from pocketgan.trees import tensors_of

Progress = Callable[[int, int], None]


def fit(
    objective: Objective,
    epoch_batches: Callable[[int, int], Iterable[Batch | PackedBatch]],
    steps_per_epoch: int,
    schedule: Rates,
    *,
    seed: int,
    precision: Precision,
    runtime: Runtime,
    folder: Path,
    sample: Callable[[int], None] = lambda epoch: None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Train to the end of the schedule, from where `folder` says the training stands.

    Where several processes carry out the run, all train, each on its share of every batch; the first one alone
    writes, says how far it is and draws.

    Args:
        epoch_batches: (epoch, first step) -> the epoch's batches from that step on.
        folder: holds `state/` while training goes on, and `log.jsonl`.
        sample: called after each epoch with its number from 1, e.g. to draw pictures.
        progress: called after each step with (steps done, steps in all).

    Raises:
        NonFiniteLoss: a loss or a weight became NaN or infinite; what is saved is a state before that. Off the CPU
            it may be said up to `log_steps` steps later, in which nothing changed any more.
        KeyboardInterrupt: after the running step was finished and saved.
    """
    # set up, then resume: so that what is loaded, optimizers' moments too, lands on the device
    device, world = runtime.place, runtime.world
    objective.setup(device, precision, world)
    state_file = folder / "state" / "state.safetensors"
    step = 0
    if state := world.first(lambda: load_last(state_file)):
        step = state["step"]
        objective.load_state_dict(state["objective"])
        if world.leads and state.get("processes", 1) != world.size:
            note(_moved(state.get("processes", 1), world.size))
    world.copy_first(tensors_of(objective.state_dict()))
    log = Log(folder / "log.jsonl", step) if world.leads else None
    total = schedule.epochs * steps_per_epoch
    saved, logged = time.monotonic(), (time.monotonic(), step)

    def save() -> None:
        objective.check()
        if world.leads:
            save_soon({"step": step, "processes": world.size, "objective": objective.state_dict()})

    if world.leads and step and step % steps_per_epoch == 0:
        sample(step // steps_per_epoch)  # it may have been stopped just before that
    with _stop_between_steps() as stopped, saving(state_file) as save_soon:
        for epoch in range(step // steps_per_epoch, schedule.epochs):
            batches = epoch_batches(epoch, step - epoch * steps_per_epoch)
            for batch in prefetch(each.on(device) for each in batches):
                # one step: its random numbers follow from the seed and its number
                objective.set_lr_factor(schedule.factor(epoch, step))
                # (what PyTorch draws, dropout, is drawn for each sample by its own process)
                torch.manual_seed(derive_seed(seed, "torch", step, *([world.rank] if world.rank else [])))
                losses = objective.step(batch, random.Random(derive_seed(seed, "step", step)))
                step += 1

                # tell
                if world.leads:
                    progress(step, total)
                if step % runtime.log_steps == 0 or step == total:
                    objective.finite.check(world)
                    world.average([*losses.values()])
                    synchronise(device)
                    rate = schedule.batch_size * (step - logged[1]) / (time.monotonic() - logged[0])
                    logged = (time.monotonic(), step)
                    values = {name: round(loss.item(), 5) for name, loss in losses.items()}
                    if log:
                        log.write(step=step, epoch=epoch, images_per_second=round(rate, 2), **values)

                # keep: all processes together, whichever was told to stop
                due = world.leads and time.monotonic() - saved > runtime.checkpoint_seconds
                stop, due = world.any(stopped.is_set(), due)
                if stop:
                    stopped.set()
                if stop or due:
                    save()
                    saved = time.monotonic()
                if stop:
                    return
            if world.leads:
                sample(epoch + 1)
        objective.check()
        if world.any(stopped.is_set())[0]:
            stopped.set()
            save()


def _moved(before: int, now: int) -> str:
    """What it means that a training goes on with another number of processes."""
    return (
        f"this training was at work with {before} device{'s' * (before != 1)} and goes on with {now}: batches, "
        "crops, subnets and styles stay the same; sums are rounded in another order, and dropout draws other masks"
    )


@contextmanager
def _stop_between_steps() -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event, so that no step breaks in two, and breaks at the end; the second breaks."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(number, frame) -> None:
        event.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
    if event.is_set():
        raise KeyboardInterrupt
