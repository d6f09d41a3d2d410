"""Faults: a run of every kind of stage is killed at random moments, and its store damaged at random places.

Kills: a session is ended by SIGKILL or SIGTERM somewhere in a stage drawn at random, and the next one goes on,
until the run is finished; then a new run begins. Bytes: one byte of a file in a finished store is flipped, or the
file cut there, and the same run is carried out again. Counted is what differs from the artifacts of an undisturbed
run.
"""

import argparse
import hashlib
import importlib
import itertools
import json
import math
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from measure import figure, options, report
from PIL import Image

from pocketgan.cli import carry_through
from pocketgan.data.cache import load_examples
from pocketgan.data.samples import SPLITS
from pocketgan.data.task import Task, open_task
from pocketgan.elastic.budget import Budget
from pocketgan.elastic.spaces import space_named
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.online import OnlineSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.from_scratch import FromScratch
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.in_place import InPlaceTraining
from pocketgan.pipeline.latency_model import ModelLatency
from pocketgan.pipeline.online import OnlineDistil, TeacherOf
from pocketgan.pipeline.sort_channels import SortChannels
from pocketgan.pipeline.stage import Stage
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.teacher_file import TeacherFile
from pocketgan.pipeline.upkeep import damaged_images, kept
from pocketgan.runtime import Runtime
from pocketgan.search import Evolution
from pocketgan.training.schedule import Schedule

RUNTIME = Runtime(device="cpu", checkpoint_seconds=0, log_steps=1)
SHORT = Schedule(constant=2, decay=1, batch_size=2)
JUDGE = PatchSpec(width=4, layers=1)
#: what a quick one does without
SLOW = ("online-distil", "teacher-of", "in-place", "from-scratch", "export", "front-latency", "latency-model")
#: their files say what a clock said
CLOCKED = ("front-latency", "latency-model")


def draw_pairs(folder: Path, count: int = 20, size: int = 20) -> Path:
    """Noise, and its negative."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        for name, pixels in (("A", image), ("B", 255 - image)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


def stages(task: Task, given: Path | None, quick: bool) -> dict[str, Stage]:
    """Every kind of stage, at toy size; `quick`: without some. `given`: a teacher file."""
    settings = FastGanCompression(
        objective=Pix2PixSettings(),
        distillation=DistilSettings(),
        space="4_3_2",
        teacher=ResnetSpec.uniform(3, blocks=3, dropout=0.2),
        discriminator=JUDGE,
        teaching=SHORT,
        supernet=SHORT,
        tuning=SHORT,
        search=Evolution(population=4, generations=2),
    )
    recipe = settings.recipe("toy", task, Budget(macs=10**9))
    found: dict[str, Stage] = dict(recipe.all_stages)
    shared = {"task": task, "schedule": SHORT}
    student = ResnetSpec.uniform(2, blocks=1, separable=("residual",))
    online = OnlineDistil(
        **shared,
        wide=ResnetSpec.uniform(4, blocks=1, separable=("residual",)),
        student=student,
        discriminator=PatchSpec(width=2, layers=2),
        objective=OnlineSettings(n_dis=2, style=0, feature=0, channel=1),
    )
    found |= {
        "online": online,
        "its teacher": TeacherOf(source=online, role="teacher"),
        "in place": InPlaceTraining(**shared, discriminator=JUDGE, space=space_named("4_2", student)),
        "guard": FromScratch(**shared, discriminator=JUDGE, like=recipe["subnet"]),
        "sorted": SortChannels(network=recipe.teacher),
        "front": FrontLatency(search=recipe.search, points=2),
        "latency": ModelLatency(space=recipe.search.space, size=task.size, runtime="onnxruntime:1", points=2),
    }
    if given:
        found["given"] = TeacherFile.of(given)
    return {name: each for name, each in found.items() if not (quick and each.kind in SLOW)}


def carried_out(every: dict[str, Stage], store: Store, tell=lambda name: None) -> None:
    for name, stage in every.items():
        tell(name)
        store.realise(stage, RUNTIME)


def artifacts(every: dict[str, Stage], store: Store) -> dict[str, str]:
    """The digest of every file of every artifact, but for what a clock said."""
    return {
        path.relative_to(store.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for stage in every.values()
        if stage.kind not in CLOCKED
        for path in sorted(store.artifact(stage).rglob("*"))
        if path.is_file()
    }


# -- kills -------------------------------------------------------------------------------------------------------


def serve(data: Path, quick: bool) -> None:
    """For each line on stdin, a folder: a session on it in a process of its own, and on stdout what becomes of it.
    So that sessions need not wait until everything is imported."""
    torch.set_num_threads(1)
    for name in ("onnxruntime", "optuna", "onnxscript"):
        importlib.import_module(name)
    for line in sys.stdin:
        folder, given = json.loads(line)
        if not (pid := os.fork()):
            session(data, Path(folder), Path(given) if given else None, quick)
        _, status = os.waitpid(pid, 0)
        tell("end", os.waitstatus_to_exitcode(status))


def session(data: Path, folder: Path, given: Path | None, quick: bool) -> NoReturn:
    """Carry out the run, as a command does; the process ends with its exit code, or 99 on a traceback."""
    tell("session", os.getpid())
    os.environ["POCKETGAN_CACHE"] = f"{folder}-cache"  # what one run has measured, the next one measures too
    try:
        every = stages(open_task(data, size=16), given, quick)
        carry_through(lambda: carried_out(every, Store(folder), lambda name: tell("stage", name)))
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        tell("traceback", traceback.format_exc())
        os._exit(99)
    os._exit(0)


def tell(*message: object) -> None:
    print(json.dumps(message), flush=True)


class Server:
    """Sessions in processes of their own."""

    def __init__(self, data: Path, quick: bool, said: Path) -> None:
        self.said = said
        words = [sys.executable, __file__, "--serve", str(data), *(["--quick"] if quick else [])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said.open("w"),
            bufsize=0,  # else a line could wait in a buffer where `select` does not see it
            env=environment,
        )

    def told(self):
        return json.loads(self.process.stdout.readline())

    def session(
        self,
        folder: Path,
        given: Path | None,
        at: str | None = None,
        delay: float = 0.0,
        how: signal.Signals = signal.SIGKILL,
    ) -> tuple[int, dict[str, float], float]:
        """One session, ended so many seconds after the stage `at` began, or as soon as that stage has ended.
        Returns its exit code, when each stage began, and the seconds from the signal to its end."""
        self.process.stdin.write(json.dumps([str(folder), given and str(given)]).encode() + b"\n")
        began: dict[str, float] = {}
        _, pid = self.told()
        due, sent = math.inf, None
        while True:
            wait = None if due == math.inf else max(0.0, due - time.monotonic())
            if not select.select([self.process.stdout], [], [], wait)[0] or time.monotonic() >= due:
                with suppress(ProcessLookupError):  # it has come to its end meanwhile
                    os.kill(pid, how)
                due, sent = math.inf, time.monotonic()
                continue
            if (message := self.told())[0] == "end":
                break
            assert message[0] == "stage", message
            began[message[1]] = time.monotonic()
            if message[1] == at:
                due = time.monotonic() + delay
            elif due < math.inf:
                due = time.monotonic()
        now = time.monotonic()
        began["end"] = now
        return message[1], began, now - sent if sent else 0.0

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def killed(data: Path, work: Path, kills: int, seconds: float, quick: bool, rng: random.Random) -> list[dict]:
    """Kill so many sessions, or as many as there is time for; after some of them one file of what is saved of an
    unfinished stage is damaged. A row for each kind of stage."""
    server, whole, given = Server(data, quick, work / "said"), Store(work / "whole"), work / "given"
    code, began, _ = server.session(whole.folder, None)
    assert code == 0, server.said.read_text()
    every = stages(open_task(data, size=16), None, quick)
    shutil.copytree(whole.artifact(every["teacher"]) / "model", given)
    every = stages(open_task(data, size=16), given, quick)
    code, _, _ = server.session(whole.folder, given)
    assert code == 0, server.said.read_text()
    wanted = artifacts(every, whole)
    lasts = lengths(began)
    rows = {kind: Counter() for kind in dict.fromkeys(stage.kind for stage in every.values())}
    slowest, done, runs, start = 0.0, 0, 0, time.monotonic()
    while done < kills and time.monotonic() - start < seconds:
        store, runs, code = Store(work / f"killed-{runs}"), runs + 1, None
        while code != 0:
            left = [name for name, stage in every.items() if store.status(stage) != "finished"]
            at = rng.choice(left[:3]) if left and done < kills else None
            delay = rng.uniform(0, lasts.get(at, 0.05))
            how = rng.choice([signal.SIGKILL, signal.SIGTERM])
            code, began, took = server.session(store.folder, given, at, delay, how)
            assert code in (0, -signal.SIGKILL, 143), (code, server.said.read_text().splitlines()[-1:])
            *_, last, _ = began
            # but of a stage that was begun before, or is not at its end now
            whole_ones = {*left[1:]} - ({last} if code else set())
            lasts |= {name: length for name, length in lengths(began).items() if name in whole_ones}
            if code:
                # where it is slower now, and saves nothing on the way, it would never come to its end else
                lasts[last] = 1.25 * lasts.get(last, 0.05)
                done += 1
                slowest = max(slowest, took if code == 143 else 0)
                row = rows[every[last].kind]
                row[how.name] += 1
                row["states damaged"] += rng.random() < 1 / 3 and spoil_a_state(store, rng)
        found = artifacts(every, store)
        for name in wanted.keys() | found.keys():
            rows[name.partition("/")[0].rsplit("-", 1)[0]]["files that differ"] += found.get(name) != wanted.get(
                name
            )
        left_over = [*store.folder.glob("*/state"), *store.folder.glob("**/*.part")]
        assert not left_over, left_over
        shutil.rmtree(store.folder)
    server.close()
    columns = ("SIGKILL", "SIGTERM", "states damaged", "files that differ")
    per_kind = [{"fault": "kills in", "where": kind, **{c: row[c] for c in columns}} for kind, row in rows.items()]
    totals = {c: sum(row[c] for row in rows.values()) for c in columns}
    return [*per_kind, {"fault": "kills", "where": f"{runs} runs", **totals, "slowest_end_s": figure(slowest)}]


def lengths(began: dict[str, float]) -> dict[str, float]:
    """The seconds of each stage of a session."""
    return {name: end - at for (name, at), (_, end) in itertools.pairwise(began.items())}


def spoil_a_state(store: Store, rng: random.Random) -> bool:
    """Damage a file of what is saved of an unfinished stage, if there is one. Not its first bytes: a journal that
    begins otherwise is refused, as it may be somebody else's."""
    files = [path for path in sorted(store.folder.glob("*/state/*")) if path.suffix in (".safetensors", ".log")]
    files = [path for path in files if path.stat().st_size > 100]
    if files:
        damage(rng.choice(files), rng, first=50)
    return bool(files)


def damage(path: Path, rng: random.Random, first: int = 0) -> bool:
    """Flip a bit of a byte from the one numbered `first` on, or cut the file there. Whether it was flipped."""
    content = bytearray(path.read_bytes())
    at, flipped = rng.randrange(first, len(content)), rng.random() < 0.5
    if flipped:
        content[at] ^= 1 << rng.randrange(8)
    path.write_bytes(content if flipped else content[:at])
    return flipped


# -- bytes -------------------------------------------------------------------------------------------------------


def spoilt(data: Path, work: Path, places: int, seconds: float, quick: bool, rng: random.Random) -> list[dict]:
    """Damage so many places of a finished store, or as many as there is time for, one by one, each followed
    by the same run again. A row for each kind of file."""
    task, store = open_task(data, size=16), Store(work / "spoilt")
    teacher = stages(task, None, quick)["teacher"]
    given = shutil.copytree(store.realise(teacher, RUNTIME) / "model", work / "given-to-spoilt")
    every = stages(task, given, quick)
    carried_out(every, store)
    wanted = artifacts(every, store)
    files = [path for path in sorted(store.folder.rglob("*")) if path.is_file() and path.stat().st_size]
    backup = shutil.copytree(store.folder, work / "backup")
    rows: dict[str, Counter] = {}
    start, done = time.monotonic(), 0
    while done < places and time.monotonic() - start < seconds:
        done += 1
        path = rng.choice(files)
        place = path.relative_to(store.folder)
        flipped = damage(path, rng)
        row = rows.setdefault(
            place.parts[0] if place.parts[0] == "cache" else "/".join(place.parts[1:2]), Counter()
        )
        row["flipped" if flipped else "cut"] += 1
        named = {store.folder / each.address / name for each in kept(store) for name in each.damaged}
        row["found"] += bool(named | set(damaged_images(store)))
        for split in SPLITS:
            load_examples(task, split, store.cache, training=split == "train")
        carried_out(every, store)
        silent = artifacts(every, store) != wanted
        row["silent"] += silent
        # what nothing depends on, and latencies, are put back as they were
        for file in files:
            if file.read_bytes() != (whole := (backup / file.relative_to(store.folder)).read_bytes()):
                file.write_bytes(whole)
    columns = ("flipped", "cut", "found", "silent")
    lines = [
        {"fault": "bytes in", "where": name, **{c: row[c] for c in columns}} for name, row in sorted(rows.items())
    ]
    return [
        *lines,
        {"fault": "bytes", "where": "all", **{c: sum(row[c] for row in rows.values()) for c in columns}},
    ]


def main() -> None:
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--kills", type=int, default=200, help="sessions to kill (default 200)")
    own.add_argument("--seconds", type=float, default=600, help="for either, at most (default 600)")
    own.add_argument("--bytes", type=int, default=1000, help="places to damage (default 1000)")
    chosen = options(__doc__, turns=1, threads=1, own=own)
    kills, places = (1, 12) if chosen.quick else (chosen.kills, chosen.bytes)
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as brief:
        work = Path(brief)
        data = draw_pairs(work / "pairs")
        rows = killed(data, work, kills, chosen.seconds, chosen.quick, rng) if kills else []
        rows += spoilt(data, work, places, chosen.seconds, chosen.quick, rng) if places else []
    report("chaos", chosen, rows)
    if any(row.get("silent") or row.get("files that differ") for row in rows):
        sys.exit("a fault went by in silence")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), "--quick" in sys.argv)
    else:
        main()
