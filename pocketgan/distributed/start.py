"""How the processes of a run are started, and how they find each other.

Three ways, after which all is the same: by ourselves (`launch`), by `torchrun`, or by SLURM's `srun`. The last two
say in the environment who a process is.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from pocketgan.distributed.world import OURS, World, meet, world
from pocketgan.errors import LostProcess, SpecError

#: others wait while the first process exports, measures and writes the report
PATIENCE = timedelta(days=7)
#: seconds for the others to end by themselves after one has failed
GRACE = 15.0
#: says to PyTorch that the store where processes meet is kept by whoever started them
_KEPT_ELSEWHERE = "TORCHELASTIC_USE_AGENT_STORE"
#: the number of the process that started this one
_LAUNCHER = "POCKETGAN_LAUNCHER"


class Place(NamedTuple):
    """A process among those of a run: its number, how many there are; the same on its machine, 0 where that is not
    known; and the address at which they meet."""

    rank: int
    size: int
    local: int
    local_size: int
    address: str
    port: int


def launched(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Who this process is, where somebody has started it as one of several; else None."""
    if "RANK" in environment and int(environment.get("WORLD_SIZE", 1)) > 1:
        return Place(
            int(environment["RANK"]),
            int(environment["WORLD_SIZE"]),
            int(environment["LOCAL_RANK"]),
            int(environment.get("LOCAL_WORLD_SIZE", 0)),
            environment["MASTER_ADDR"],
            int(environment["MASTER_PORT"]),
        )
    # those of a step, which only `srun` has: an allocation alone starts nothing several times
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        step = int(environment.get("SLURM_STEP_ID", 0))
        return Place(
            int(environment["SLURM_PROCID"]),
            int(environment["SLURM_STEP_NUM_TASKS"]),
            int(environment["SLURM_LOCALID"]),
            0,
            environment.get("MASTER_ADDR") or first_node(environment["SLURM_STEP_NODELIST"]),
            # jobs and steps on one machine meet at different ports
            int(environment.get("MASTER_PORT", 20000 + (int(environment["SLURM_JOB_ID"]) * 7 + step) % 20000)),
        )
    return None


def first_node(nodes: str) -> str:
    """The first of SLURM's list of machines.

    >>> first_node("gpu[03-05,9],login1")
    'gpu03'
    """
    found = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\])?([^,\[]*)", nodes)
    assert found is not None, "every text matches"
    return "".join(part or "" for part in found.groups())


def enter(device: torch.device) -> World:
    """Meet the other processes, where somebody has started several; else `ALONE`. `device`: of which kind each has
    one. Raises `SpecError` where the machine has too few."""
    place = launched()
    if place is None or dist.is_initialized():
        return world()
    if device.type == "mps":
        raise SpecError(
            f"mps is one device, and this run has {place.size} processes; use --device cpu, or start one"
        )
    if device.type == "cuda":
        check_gpus(place.local_size)
        torch.cuda.set_device(place.local % torch.cuda.device_count())
    os.environ.update(
        RANK=str(place.rank),
        WORLD_SIZE=str(place.size),
        LOCAL_RANK=str(place.local),
        MASTER_ADDR=place.address,
        MASTER_PORT=str(place.port),
    )
    try:
        store, rank, size = next(dist.rendezvous("env://", timeout=timedelta(minutes=10)))
    except RuntimeError as error:
        raise SpecError(
            f"the processes of this run cannot meet at {place.address}:{place.port}; check that address, and that "
            f"all {place.size} are started"
        ) from error
    store.set_timeout(PATIENCE)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=dist.PrefixStore("run", store), rank=rank, world_size=size, timeout=PATIENCE
    )
    meet(store)
    if launcher := os.environ.get(_LAUNCHER):
        _end_with(int(launcher))
    return world()


def check_gpus(devices: int) -> None:
    """Raise `SpecError` where this machine has fewer GPUs."""
    if devices > (there := torch.cuda.device_count()):
        raise SpecError(
            f"{devices} devices are wanted, and this machine has {there} GPU{'s' * (there != 1)}; choose --devices "
            f"{there}, or --device cpu"
        )


def launch(command: Sequence[str], devices: int, nodes: int = 1, node: int = 0, address: str | None = None) -> int:
    """Run a command as `devices` processes on this machine, of `nodes` alike, and wait for all of them; returns the
    exit code: 0, or that of the process which said why all end.

    When one fails, the others end too; SIGTERM goes on to all. Only for the main thread.

    Args:
        address: HOST:PORT of the first machine, where there are several.
        node: the number of this machine, from 0.
    """
    host, _, port = (address or "127.0.0.1:0").rpartition(":")
    store = _meeting_place(host, int(port)) if node == 0 else None
    processes: list[subprocess.Popen] = []

    def pass_on(number: int, frame: Any) -> None:
        for process in processes:
            process.send_signal(number)

    # Ctrl-C reaches all processes of a terminal by itself; were it ignored here, they would ignore it too
    handlers: dict[int, Any] = {signal.SIGINT: lambda number, frame: None, signal.SIGTERM: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        for local in range(devices):
            own = {
                "RANK": str(node * devices + local),
                "LOCAL_RANK": str(local),
                "WORLD_SIZE": str(devices * nodes),
                "LOCAL_WORLD_SIZE": str(devices),
                "MASTER_ADDR": host,
                "MASTER_PORT": str(store.port if store else port),
                _KEPT_ELSEWHERE: "True",
                _LAUNCHER: str(os.getpid()),
            }
            # only the first one may ask
            asking = None if local == 0 else subprocess.DEVNULL
            processes.append(
                subprocess.Popen(command, env={**_defaults(devices, nodes), **os.environ, **own}, stdin=asking)
            )
        code = _all_ended(processes)
    finally:
        for process in processes:
            process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
    if code and store:
        told = dist.PrefixStore(OURS, store)
        if told.check(["code"]):
            return int(told.get("code"))
    if code < 0:
        raise LostProcess(
            f"a process of this run was killed by signal {-code}; run the same command again to go on from the "
            "last saved state"
        )
    return code


def _meeting_place(host: str, port: int) -> dist.TCPStore:
    """The store where processes meet; port 0 is a free one."""
    try:
        return dist.TCPStore(host, port, is_master=True, wait_for_workers=False)
    except RuntimeError as error:
        raise SpecError(
            f"the processes cannot meet at {host}:{port}; give an --address of this machine and a port that is free"
        ) from error


def _defaults(devices: int, nodes: int) -> dict[str, str]:
    """What the environment says unless the user has said so."""
    # side by side, many threads each would only wait for each other
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // devices))}
    # on one machine no name must be known to a name server
    within = {"GLOO_SOCKET_IFNAME": "lo"} if nodes == 1 and sys.platform == "linux" else {}
    return {**threads, **within}


def _all_ended(processes: Sequence[subprocess.Popen]) -> int:
    """Wait for all, after a failure not long; the exit code is that of the first one that failed."""
    code, deadline = 0, math.inf
    while None in (codes := [process.poll() for process in processes]):
        if not code and any(codes):
            code, deadline = next(filter(None, codes)), time.monotonic() + GRACE
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    return code or next(filter(None, codes), 0)


def _end_with(launcher: int) -> None:
    """End politely when whoever started this process is gone."""

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="launcher").start()


def processes_of(devices: int | None, nodes: int, place: Place | None) -> int:
    """How many processes a run has. Raises `SpecError` where what is asked for is not what was started."""
    asked = (devices or 1) * nodes
    if place is None:
        return asked
    if devices is not None and asked != place.size:
        raise SpecError(
            f"--devices {devices} on {nodes} machine{'s' * (nodes != 1)} are {asked} processes, and {place.size} "
            "were started; leave --devices out"
        )
    return place.size
