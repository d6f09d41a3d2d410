"""What many tests share: small pairs, the command line as a function, and one finished run."""

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from pocketgan import cli as command_line
from pocketgan.metrics import pace
from pocketgan.pipeline import timing
from pocketgan.pretrained import mobilenet_v2
from tests import quick_export
from tests.standin import standing_in

#: a whole pipeline of seconds: one residual block, four channels, one epoch a training, two candidates
TOY = shlex.split(
    "--method fast-gan-compression --set guard=0 --set teacher.blocks=1 --set teacher.widths=[4,4,4,4,4,4] "
    "--set discriminator.width=4 --set space=4_2 "
    "--set teaching.constant=1 --set teaching.decay=0 --set supernet.constant=1 --set supernet.decay=0 "
    "--set tuning=null --set search.population=2 --set search.generations=0 --set precision=fp32"
)
#: the same of the demo's method
TOY_DEMO = shlex.split(
    "--set form.blocks=1 --set form.widths=[4,4,4,4,4,4] --set discriminator.width=4 --set space=4_2 "
    "--set schedule.constant=1 --set schedule.decay=0 --set tuning=null --set search.population=2 "
    "--set search.generations=0 --set timed=null"
)
#: what is left of it where the teacher is finished
TOY_STUDENT = [
    word
    for option, value in zip(TOY[::2], TOY[1::2], strict=True)
    for word in (option, value)
    if not value.startswith(("teacher.", "teaching."))
]


def draw_pairs(
    folder: Path, layout: Literal["folders", "aligned"] = "folders", count: int = 12, size: int = 24, seed: int = 0
) -> Path:
    """Coloured rectangles (A) and the same ones shaded in other colours (B), `size` pixels square.

    Files are p00.png, p01.png, ...: in A/ and B/, or side by side in the folder itself. Returns the folder.
    """
    rng = np.random.default_rng(seed)
    shade = np.linspace(0.5, 1, size)[:, None, None]
    for number in range(count):
        source = np.full((size, size, 3), rng.integers(0, 256, 3), dtype=np.uint8)
        for _ in range(3):
            top, left = rng.integers(0, size - size // 3, 2)
            source[top : top + size // 3, left : left + size // 3] = rng.integers(0, 256, 3)
        target = ((255 - source[:, :, ::-1]) * shade).astype(np.uint8)
        images = {"A": source, "B": target} if layout == "folders" else {"": np.hstack([source, target])}
        for place, image in images.items():
            (folder / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / place / f"p{number:02}.png")
    return folder


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def call_main(*words: object) -> int:
    """Run `pocketgan WORDS` in this process; returns the exit code."""
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pocketgan", *map(str, words)])
        try:
            command_line.main()
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
    return 0


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`cli("profile", "resnet:8")` runs that command and tells how it ended."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        code = call_main(*words)
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session", autouse=True)
def exporter() -> Iterator[quick_export.Exporter]:
    """Exports in tests take PyTorch's older exporter, unless the test asks for the `real_export`."""
    with quick_export.quick() as made:
        yield made


@pytest.fixture
def real_export(exporter: quick_export.Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the export itself: the product's exporter."""
    monkeypatch.setattr(exporter, "real", True)


@pytest.fixture(scope="session", autouse=True)
def short_work() -> Iterator[None]:
    """What took most of the time of a toy run: the bundled feature network looks at 32 pixels, unless the test asks
    for `real_features`, and how long work will take is measured once, not three times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mobilenet_v2, "SIZE", 32)
        patch.setattr(timing, "STEPS", 1)
        patch.setattr(pace, "RUNS", 1)
        yield


@pytest.fixture
def real_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the features themselves, and those that compare this process with another one."""
    monkeypatch.setattr(mobilenet_v2, "SIZE", 224)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pairs of 24 pixels in A/ and B/ (7 to train, 2 to select, 3 to test); not to be changed."""
    return draw_pairs(tmp_path_factory.mktemp("data") / "pairs")


class ToyRun(NamedTuple):
    """A finished run: its folder, its data, and the words that made it."""

    folder: Path
    data: Path
    words: tuple[str, ...]


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    """The whole pipeline, at toy size, on images of every kind of colour; tests leave it as it is."""
    home = tmp_path_factory.mktemp("toy")
    data = draw_pairs(home / "mixed")
    for number, kind in enumerate(("gray", "palette", "transparent", "gray of 16 bits")):
        recode(data / "A" / f"p{number:02}.png", kind)
    folder = home / "run"
    words = ("compress", str(data), "--budget", "1G", "--size", "24", "--out", str(folder), *TOY)
    assert call_main(*words) == 0
    return ToyRun(folder, data, words)


def printed(outcome: Outcome) -> str:
    """What a command printed; it must have ended well, without a word of complaint."""
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out


def rows_of(run: Path) -> dict[str, dict]:
    """The rows of a run's report by their names."""
    return {row["name"]: row for row in json.loads((run / "report.json").read_text())["rows"]}


def recode(path: Path, kind: str) -> None:
    """Store an image in another mode of colour."""
    image = Image.open(path).convert("RGB")
    if kind == "gray":
        image = image.convert("L")
    elif kind == "palette":
        image = image.quantize(16)
    elif kind == "transparent":
        image.putalpha(128)
    else:
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    image.save(path)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What users keep between runs is left alone, and nothing is downloaded but from the tests' own server."""
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")


@pytest.fixture
def accelerator() -> Iterator[torch.device]:
    """A device that is no CPU, on any machine: see `standin`. It is what "auto" means while the test runs."""
    with standing_in() as device:
        yield device
