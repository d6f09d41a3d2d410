"""What it costs to keep a search: seconds and processor seconds of a candidate, by storage and number of processes.

A candidate's score takes `--score` seconds of sleep and no processor time. Its overhead is what its process spends
besides: waiting for a turn, for the storage, and for the last ones of a generation. Servers run on this machine;
their processor seconds include their start.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from measure import figure, options, report

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import UserError
from pocketgan.networks import ResnetSpec
from pocketgan.search import Evolution, Place, search, work

sys.path.append(str(Path(__file__).resolve().parents[1]))
from tests.search import servers

WORKERS = (1, 2, 4)


@contextmanager
def storages(kind: str) -> Iterator[str]:
    """The URL of a new storage."""
    if kind == "journal":
        with tempfile.TemporaryDirectory() as brief:
            yield f"journal:{brief}/journal.log"
    else:
        with servers.postgresql() if kind == "postgresql" else servers.grpc() as url:
            yield url


def row(kind: str, workers: int, generation: int, seconds: float) -> dict:
    """Two generations, scored by so many processes."""
    space = space_named("64_56_48_40_32_24_16", ResnetSpec.uniform(1).mobile)
    model, notes = CostModel(space.spec, 64), Path(tempfile.mkdtemp())
    strategy = Evolution(population=generation, generations=1)

    def score(genomes):
        begun = time.monotonic()
        time.sleep(seconds * len(genomes))
        with (notes / "scored").open("a") as file:
            file.write(f"{begun}\n")
        return [{"fid": float(sum(genome))} for genome in genomes]

    def process(job) -> int:
        if pid := os.fork():
            return pid
        place = Place(url, "search")
        arguments = (space, model, Budget(macs=10**12), strategy, score)
        options = dict(objective="fid", better="lower", seed=0, storage=place)
        while True:
            with suppress(UserError):  # nobody leads yet
                job(*arguments, **options)
                os._exit(0)
            time.sleep(0.05)

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with storages(kind) as url:
        pids = [process(search), *(process(work) for _ in range(workers - 1))]
        usages = [os.wait4(pid, 0)[2] for pid in pids]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    times = sorted(map(float, (notes / "scored").read_text().split()))
    wall = times[-1] + seconds - times[0]
    own = sum(each.ru_utime + each.ru_stime for each in usages)
    server = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - own
    return {
        "storage": kind,
        "processes": workers,
        "candidates": len(times),
        "candidates_per_s": figure(len(times) / wall),
        "overhead_s": figure(wall * workers / len(times) - seconds),
        "processor_s": figure(own / len(times)),
        "server_processor_s": figure(server / len(times)) if kind != "journal" else None,
    }


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--score", type=float, default=0.3, help="seconds of a score (default 0.3)")
    own.add_argument("--generation", type=int, default=40, help="candidates of a generation (default 40)")
    own.add_argument("--storages", default="journal,postgresql,grpc", help="which (default all)")
    chosen = options(__doc__, turns=1, threads=1, own=own)
    size, seconds = (4, 0.01) if chosen.quick else (chosen.generation, chosen.score)
    kinds = ["journal"] if chosen.quick else chosen.storages.split(",")
    counts = WORKERS[:2] if chosen.quick else WORKERS
    rows = [row(kind, workers, size, seconds) for kind in kinds for workers in counts]
    report("workers", chosen, rows)


if __name__ == "__main__":
    main()
