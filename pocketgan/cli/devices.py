"""Options for many devices: how many share the work, and the processes that do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import typer

from pocketgan.errors import SpecError

#: the options of this module
NAMES = ("devices", "nodes", "node", "address")


#: verbs that several processes carry out together
SHARED = ("compress", "run")


def check_alone(verb: str | None) -> None:
    """Raise `SpecError` where several processes were started for what is the work of one.

    Looks at the environment alone, as `pocketgan.distributed.launched`, which would have to wait for PyTorch.
    """
    here = os.environ
    started = int(here.get("WORLD_SIZE", 1) if "RANK" in here else here.get("SLURM_STEP_NUM_TASKS", 1))
    if started > 1 and verb not in SHARED:
        raise SpecError(
            f"{verb} is the work of one process, and {started} were started; start it without torchrun or srun"
        )


def share_work(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a verb with what they say of devices put into practice; `devices` is how many there are.

    Starts the command again as so many processes, waits for them and ends as they do; or meets the others, where
    this is one of several that were started.
    """
    from pocketgan.distributed import enter, launch, launched
    from pocketgan.runtime import device_named

    found = counted(given)
    if launched() is not None:
        _lower_voice(enter(device_named(given["device"])).leads)
    elif found["devices"] > 1:
        command = [sys.executable, "-m", "pocketgan", *sys.argv[1:]]
        raise typer.Exit(launch(command, given["devices"] or 1, given["nodes"], given["node"], given["address"]))
    return found


def counted(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a verb, with how many devices there are in place of what says so. Raises `SpecError`."""
    from pocketgan.distributed import check_gpus, launched, processes_of
    from pocketgan.runtime import device_named

    devices, nodes, node, address = (given[name] for name in NAMES)
    place = launched()
    count = processes_of(devices, nodes, place)
    if place is None:
        if nodes > 1 and not (address and address.rpartition(":")[0] and address.rpartition(":")[2].isdigit()):
            raise SpecError(
                f"--nodes {nodes} needs a place where they meet; add --address HOST:PORT of the first machine"
            )
        if node >= nodes:
            raise SpecError(f"--node {node} is none of {nodes}; number them from 0, or set --nodes")
        if address and nodes == 1:
            raise SpecError("--address is for several machines; add --nodes, or leave it out")
        kind = device_named(given["device"]).type
        if kind == "cuda":
            check_gpus(devices or 1)
        elif count > 1 and kind != "cpu":
            raise SpecError(
                f"{kind} is one device, and {count} are wanted; add --device cpu, or leave --devices out"
            )
    return {**{name: value for name, value in given.items() if name not in NAMES}, "devices": count}


def _lower_voice(leads: bool) -> None:
    """Leave it to the first process to tell what all would."""
    if leads:
        return
    import logging
    import warnings

    logging.getLogger("pocketgan").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
