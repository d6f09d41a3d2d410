"""What this machine has for the work, and what will be slow on it and why."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from pocketgan import __version__
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.runtimes import runtime_named, runtime_names
from pocketgan.errors import SpecError
from pocketgan.metrics import dists
from pocketgan.pretrained import alexnet, deeplab, drn, inception, squeezenet, vgg, vit
from pocketgan.pretrained.weights import BUNDLED, cache_folder
from pocketgan.runtime import device_named
from pocketgan.units import bytes_text

#: with a publisher's checksum, and without: these are never downloaded
PINNED = (inception.SOURCE, *vgg.SOURCES.values(), alexnet.SOURCE, squeezenet.SOURCE, dists.SOURCE)
UNPINNED = {
    "drn": drn.FILE,
    "deeplab": deeplab.FILE,
    "dinov2": vit.DINOV2_FILE,
    "clip": vit.CLIP_FILE,
}
#: bytes: what a run at 256 pixels takes of the memory, and its states and decoded images of the disk, at least
MEMORY, DISK = 4 << 30, 5 << 30
#: the share of the cores that programs ask for above which figures of time say little
BUSY = 0.25


class Examination(BaseModel):
    """What `pocketgan doctor` found, each line by its name.

    Attributes:
        device: what `--device auto` means here.
        slow: sentences: what will be slow, or cannot be had, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: dict[str, str]
    devices: dict[str, str]
    device: str
    threads: dict[str, str]
    runtimes: dict[str, str]
    weights: dict[str, str]
    slow: tuple[str, ...]


def examine() -> Examination:
    """Look at the machine and the installation; takes a second, and downloads nothing."""
    return Examination(
        versions={
            "pocketgan": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "system": platform.platform(terse=True),
        },
        devices=dict(_devices()),
        device=str(device_named("auto")),
        threads={
            "cores": f"{Machine.here().cores}, of which this process may use {cores()}",
            "PyTorch": str(torch.get_num_threads()),
            **{name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ},
        },
        runtimes={name: _runtime(name) for name in runtime_names()},
        weights=dict(_weights()),
        slow=tuple(_slow()),
    )


def cores() -> int:
    """Cores that this process may use: those it is bound to, no more than its container's share of time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(bound, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such group, or "max": without a bound
        return bound


def _devices() -> Iterator[tuple[str, str]]:
    memory = f", {bytes_text(found)} of memory" if (found := _memory()) else ""
    yield "cpu", f"{Machine.here().cpu}{memory}"
    for number in range(torch.cuda.device_count()):
        of = torch.cuda.get_device_properties(number)
        yield f"cuda:{number}", f"{of.name}, {bytes_text(of.total_memory)} of memory"
    if torch.backends.mps.is_available():
        yield "mps", "Apple GPU"


def _memory() -> int | None:
    """Bytes of the machine's memory, no more than its container may use."""
    if not hasattr(os, "sysconf"):
        return None
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no such group, or "max": without a bound
        return whole


def _runtime(name: str) -> str:
    runtime = runtime_named(name)
    try:
        runtime.check()
    except SpecError as error:
        return str(error)
    return (
        f"{runtime.version()}; writes files alone: {runtime.elsewhere}" if runtime.elsewhere else runtime.version()
    )


def _weights() -> Iterator[tuple[str, str]]:
    folder, offline = cache_folder() / "weights", os.environ.get("POCKETGAN_OFFLINE", "0") not in ("", "0")
    for bundled in sorted(BUNDLED.glob("*.safetensors")):
        yield bundled.stem, "bundled"
    for source in PINNED:
        there = folder / source.file
        size = f" ({bytes_text(source.size)})" if source.size else ""
        missing = (
            f"missing: POCKETGAN_OFFLINE forbids its download{size}" if offline else f"downloaded when needed{size}"
        )
        yield source.name, str(there) if there.is_file() else missing
    for name, file in UNPINNED.items():
        there = folder / file
        yield (
            name,
            str(there) if there.is_file() else f"missing: put {file} into {folder}, or give --weights {name}=FILE",
        )


def _slow() -> Iterator[str]:
    own, threads = cores(), torch.get_num_threads()
    if device_named("auto").type == "cpu":
        yield (
            "training runs on the CPU, as PyTorch finds no GPU here: minutes become hours; pocketgan plan says how "
            "long, --effort quick and a smaller --size take less"
        )
    if threads < own:
        why = "OMP_NUM_THREADS" if "OMP_NUM_THREADS" in os.environ else "its settings"
        yield f"PyTorch computes with {threads} of {own} cores, because of {why}"
    if threads > own:
        yield f"PyTorch starts {threads} threads for {own} cores, which costs time: set OMP_NUM_THREADS={own}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > BUSY * own:
        yield f"programs ask for {load:.1f} of {own} cores already: everything takes longer, latencies too"
    if (memory := _memory()) and memory < MEMORY:
        yield f"{bytes_text(memory)} of memory are little for images of 256 pixels: choose a smaller --size"
    free = shutil.disk_usage(Path.cwd()).free
    if free < DISK:
        yield f"{bytes_text(free)} are free on this disk, and a run keeps its states and images there"
    folder = cache_folder() / "weights"
    if not (folder / inception.SOURCE.file).is_file():
        yield (
            "FID needs the weights of Inception, which are not here yet: a run that asks for it downloads them, or "
            "scores by the bundled MobileNetV2 where it cannot"
        )
