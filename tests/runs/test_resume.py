"""The whole recipe, killed again and again, leaves the same files as one that nothing stopped."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file

from pocketgan.pipeline.recipe import read_recipe
from pocketgan.pipeline.store import Store
from pocketgan.training.log import read_log
from tests.conftest import draw_pairs

#: Carries out the recipe; tells every progress as "stage done total". A candidate takes `pause` seconds longer.
#: Where `torn` is a number, the process dies in the middle of writing that state of a student.
DRIVER = """
import os, signal, sys, time
from pathlib import Path
import torch
from pocketgan.data.task import open_task
from pocketgan.elastic.budget import Budget
from pocketgan.networks import PatchSpec, ResnetSpec
from pocketgan.objectives.distil import DistilSettings
from pocketgan.objectives.pix2pix import Pix2PixSettings
from pocketgan.pipeline.search import Search
from pocketgan.pretrained import mobilenet_v2
from pocketgan.methods.fast_gan_compression import FastGanCompression
from pocketgan.runs.run import run_recipe
from pocketgan.search import Evolution
from pocketgan.runtime import Runtime
from pocketgan.training.schedule import Schedule
from tests.quick_export import quick

data, out, pause, torn = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(1)
mobilenet_v2.SIZE = 32

candidate = Search._candidate
def candidate_slowly(*args, **settings):
    time.sleep(pause)
    return candidate(*args, **settings)
Search._candidate = candidate_slowly

write, written = Path.write_bytes, 0
def write_and_die(path, content):
    global written
    counts = path.parent.name == "state" and path.parents[1].name.startswith("distil")
    written += counts
    if counts and written == torn:
        write(path, content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, content)
if torn:
    Path.write_bytes = write_and_die

short = Schedule(constant=2, decay=1, batch_size=2)
settings = FastGanCompression(
    objective=Pix2PixSettings(), distillation=DistilSettings(), space="4_3_2",
    teacher=ResnetSpec.uniform(3, blocks=3, dropout=0.2), discriminator=PatchSpec(width=4, layers=1),
    teaching=short, supernet=short, tuning=short, search=Evolution(population=4, generations=2),
)
recipe = settings.recipe("toy", open_task(data, size=16), Budget(macs=10**9))
with quick():
    run_recipe(
        recipe, out, Runtime(device="cpu", checkpoint_seconds=0, log_steps=1), "toy",
        lambda name, stage, done, total: print(name, done, total, flush=True),
    )
"""
STEPS = 9


class Kill(NamedTuple):
    """Some of `delays` seconds after a stage told that much progress; or in the midst of a state's writing."""

    stage: str
    done: int
    delays: tuple[float, float]
    torn: int = 0


KILLS = (
    Kill("teacher", 4, (0, 0.03)),
    Kill("supernet", 1, (60, 60), torn=5),
    Kill("search", 3, (0.02, 0.1)),
    Kill("fine-tuning", 2, (0, 0.05)),
    Kill("teacher on select", 2, (0, 0.1)),
)


def start(data: Path, out: Path, pause: float = 0.0, torn: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(data), str(out), str(pause), str(torn)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def killed(process: subprocess.Popen[str], kill: Kill, delay: float) -> dict[str, int]:
    """Run until the kill. Returns for each stage the first progress that it told."""
    first: dict[str, int] = {}
    for line in process.stdout:
        stage, done, total = line.rsplit(maxsplit=2)
        if int(total):
            first.setdefault(stage, int(done))
        if not kill.torn and stage == kill.stage and int(done) >= kill.done:
            time.sleep(delay)
            process.kill()
            break
    process.communicate()
    assert process.returncode == -9, kill
    return first


def digests(out: Path) -> dict[str, str]:
    """Everything that a user takes away or that a later stage reads."""
    files = [*out.glob("stages/*/artifact/**/*"), *out.glob("stages/*/samples/*")]
    files += [*out.glob("model/*"), *out.glob("export/*")]
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def timeless(node: Any) -> Any:
    """Without what a clock said, and where the run is."""
    if isinstance(node, dict):
        clocks = {"images_per_second", "latency_ms", "latency_runtime", "measurements", "date", "seconds", "run"}
        return {name: timeless(value) for name, value in node.items() if name not in clocks}
    return [timeless(item) for item in node] if isinstance(node, list) else node


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of an uninterrupted run, that of an interrupted one, and what each session of it told first."""
    home = tmp_path_factory.mktemp("resume")
    data = draw_pairs(home / "pairs", size=20)
    whole, broken = home / "whole", home / "broken"
    uninterrupted = start(data, whole)
    try:
        rng, told = random.Random(233), []
        for kill in KILLS:
            process = start(data, broken, pause=0.3 if kill.stage == "search" else 0.0, torn=kill.torn)
            told.append(killed(process, kill, rng.uniform(*kill.delays)))
            assert not (broken / "report.json").exists(), f"killed too late: {kill}"
        last = start(data, broken)
        output, _ = last.communicate(timeout=120)
        assert last.returncode == 0
        told.append({line.rsplit(maxsplit=2)[0]: 1 for line in output.splitlines() if not line.endswith(" 0 0")})
        uninterrupted.communicate(timeout=120)
        assert uninterrupted.returncode == 0
    finally:
        uninterrupted.kill()
    return whole, broken, told


def test_every_file_is_bit_identical(runs):
    whole, broken, _ = runs
    wanted, found = digests(whole), digests(broken)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    kinds = {name.split("/")[1].split("-")[0] for name in wanted if name.startswith("stages/")}
    assert kinds == {"train", "distil", "search", "pick", "evaluate", "export"}
    assert {"model/weights.safetensors", "export/compressed.onnx", "export/teacher.onnx"} <= wanted.keys()


def test_it_was_resumed_and_not_begun_again(runs):
    *_, told = runs
    teacher, supernet, search, tuning, report, last = told
    assert teacher["teacher"] == 1
    assert supernet["teacher"] > 2, "the teacher goes on from the state that was last written"
    assert supernet["supernet"] == 1
    assert search["supernet"] == 5, "the fifth state was torn, so the fourth step is the last one saved"
    assert search["search"] == 1
    assert tuning["search"] > 3, "scored candidates are kept"
    assert report["fine-tuning"] > 1
    assert not {"teacher", "supernet", "search", "fine-tuning"} & last.keys(), "what is finished is not run again"


def test_the_logs_are_the_same(runs):
    whole, broken, _ = runs
    logs = sorted(path.relative_to(whole) for path in whole.glob("stages/*/log.jsonl"))
    assert len(logs) == 3
    for log in logs:
        wanted = timeless(read_log(whole / log))
        assert [line["step"] for line in wanted] == list(range(1, STEPS + 1))
        assert timeless(read_log(broken / log)) == wanted


def test_the_reports_are_the_same(runs):
    whole, broken, _ = runs
    reports = [timeless(json.loads((folder / "report.json").read_text())) for folder in (whole, broken)]
    assert reports[0] == reports[1]


def test_nothing_is_left_over(runs):
    _, broken, _ = runs
    assert [*broken.glob("stages/*/state"), *broken.glob("**/*.part")] == []
    recipe = read_recipe(broken)
    assert all(Store(broken / "stages").status(stage) == "finished" for stage in recipe.all_stages.values())


def test_the_runs_say_something(runs):
    """Training moved the weights, and the search had a choice."""
    whole, *_ = runs
    recipe, store = read_recipe(whole), Store(whole / "stages")
    assert len(recipe.search.load(store.artifact(recipe.search)).candidates) >= 6
    subnet, tuned = (
        load_file(store.artifact(stage) / "model" / "weights.safetensors")
        for stage in (recipe["subnet"], recipe["fine-tuning"])
    )
    assert not np.array_equal(subnet["stem.conv.weight"], tuned["stem.conv.weight"])
