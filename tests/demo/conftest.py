"""A small offer of three generators, its server, and a real browser."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from pocketgan.data.values import Values
from pocketgan.demo.contestant import Contestant
from pocketgan.demo.offer import Example, Offer
from pocketgan.demo.palette import paints_of
from pocketgan.demo.server import Server
from pocketgan.demo.site import site_of
from pocketgan.demo.translator import Translator
from pocketgan.deploy.onnx import export_onnx
from pocketgan.networks import NetworkSpec, ResnetSpec
from pocketgan.networks.init import init_normal

SIDE = 32


class Toy(NamedTuple):
    """An offer, and its networks by name."""

    offer: Offer
    networks: dict[str, Any]


def drawn(number: int) -> np.ndarray:
    """A white square on black."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[4 + number : 16 + number, 6:20] = 255
    return pixels


def alone(file: Path, spec: NetworkSpec, **fields: Any) -> Toy:
    """An offer of one network, exported to that file."""
    network = init_normal(spec.build(), torch.Generator().manual_seed(0)).eval()
    export_onnx(network, SIDE, file)
    made = Contestant.of("compressed", "compressed", file, spec, (SIDE, SIDE))
    return Toy(
        Offer(title="toy", size=(SIDE, SIDE), front=[made], start=made.name, **fields), {"compressed": network}
    )


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Pix2pix generators of 32 pixels: a teacher, and a front of two; inputs are drawn in black and white."""
    home = tmp_path_factory.mktemp("offer")
    spec, networks, made = ResnetSpec.uniform(3, blocks=1), {}, {}
    for number, name in enumerate(("front-1", "compressed", "teacher")):
        networks[name] = init_normal(spec.build(), torch.Generator().manual_seed(number)).eval()
        export_onnx(networks[name], SIDE, file := home / f"{name}.onnx")
        made[name] = Contestant.of(name, f"{name} network", file, spec, (SIDE, SIDE), f"fd {number} on select")
    examples = [Example(name=f"p{i}", source=drawn(i), target=255 - drawn(i)) for i in range(2)]
    report = home / "report.html"
    report.write_text("<!doctype html><title>report</title><!-- live -->")
    offer = Offer(
        title="toy",
        values=Values(),
        size=(SIDE, SIDE),
        paints=paints_of(np.stack([each.source for each in examples])),
        front=[made["front-1"], made["compressed"]],
        start="compressed",
        teacher=made["teacher"],
        examples=examples,
        report=report,
    )
    return Toy(offer, networks)


@pytest.fixture(scope="session")
def server(toy: Toy) -> Iterator[Server]:
    """The page of the offer, served."""
    with serving(toy.offer) as running:
        yield running


class serving:
    """A server in a thread while the context lasts."""

    def __init__(self, offer: Offer, assets: Path | None = None) -> None:
        files = site_of(offer, served=True, **({"assets": assets} if assets else {}))
        translator = Translator(offer)
        self.server = Server(files, translator, port=0)

    def __enter__(self) -> Server:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self.server

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` answers with, without its log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """The address of a folder behind Python's own file server while the context lasts."""
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{host.server_port}/"
    finally:
        host.shutdown()
        thread.join()
        host.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window; the test is skipped where there is none."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, place in programs.items() if place is None]:
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(word)
    for word in ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs["chromedriver"]))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()
