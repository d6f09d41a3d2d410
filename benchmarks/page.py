"""Frames a second of the page in Chromium: a compressed generator of the demo's size at 128 pixels, in WebAssembly.

A stroke is drawn on the page for every frame. The page measures the wall time of the network, and of all that it
adds to a frame itself (painting, encoding, decoding); the system tells the processor time, which neighbours hardly
change where there is one thread. Networks that end earlier show what each part costs.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np
import onnx
import torch
from selenium import webdriver

from pocketgan.data.values import Values
from pocketgan.demo.contestant import Contestant
from pocketgan.demo.offer import Example, Offer
from pocketgan.demo.palette import Paint
from pocketgan.demo.server import Server
from pocketgan.demo.site import site_of
from pocketgan.demo.translator import Translator
from pocketgan.deploy.latency import latencies
from pocketgan.deploy.onnx import export_onnx
from pocketgan.deploy.runtimes import runtime_named
from pocketgan.networks import ResnetSpec
from pocketgan.networks.init import init_normal

WIDTHS = "12_24_12_8_24_16_16_12"  # what the search of `make demo` chose
SIDE = 128
AIM_FRAMES = 30
#: where networks end, by how many instance norms they hold
PARTS = {"stem": 1, "downsampling": 3, "residual blocks": 39, "upsampling": 41}

DRAW = """
const [name, frames, done] = arguments, { about, drawing, student, loop } = window.pocketgan;
const show = Object.getPrototypeOf(student).show, times = [];
let painting = 0;
student.model = about.front.find((model) => model.name === name);
student.show = (answer, before) => {
  const began = performance.now();
  show.call(student, answer, before);
  times.push([answer.run, painting + before + answer.encode + performance.now() - began, performance.now()]);
  if (times.length === frames) done(times);
  else next();
};
const next = () => {
  const began = performance.now();
  drawing.pixels.set([255, 255, 255], ((times.length * 97) % 4096) * 3);
  drawing.show();
  painting = performance.now() - began;
  drawing.dispatchEvent(new Event("change"));
};
next();
"""


def main() -> None:
    chosen = measure.options(__doc__, turns=60, threads=2)
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        sys.exit("the page needs chromium and chromedriver: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory() as folder:
        offer = offer_in(Path(folder), chosen.quick)
        native = latencies(runtime_named("onnxruntime"), [offer.front[-1].file], offer.size, threads=chosen.threads)
        rows, where, browser = drawn(offer, chosen.threads, chosen.turns)
    measure.report(
        "page",
        chosen,
        rows,
        network=f"mobile-resnet:{WIDTHS}",
        size=offer.size[0],
        where=where,
        browser=browser,
        onnxruntime_ms=measure.figure(native[0].median_ms),
        aim_frames_a_second=AIM_FRAMES,
    )


def offer_in(folder: Path, quick: bool) -> Offer:
    """The page of a network and of its beginnings. Weights are random: the time does not depend on them."""
    side = 32 if quick else SIDE
    spec = ResnetSpec.of(WIDTHS, separable=("residual",))
    network = init_normal(spec.build(), torch.Generator().manual_seed(0)).eval()
    export_onnx(network, side, file := folder / "whole.onnx")
    files = {
        name: cut(file, norms, folder / f"{number}.onnx") for number, (name, norms) in enumerate(PARTS.items())
    }
    size = (side, side)
    return Offer(
        title="benchmark",
        values=Values(),
        size=size,
        paints=[Paint("black", (0, 0, 0)), Paint("white", (255, 255, 255))],
        front=[Contestant.of(path.stem, name, path, spec, size) for name, path in {**files, "whole": file}.items()],
        start="whole",
        examples=[Example(name="black", source=np.zeros((*size, 3), np.uint8))],
    )


def cut(file: Path, norms: int, target: Path) -> Path:
    """The beginning of a network, up to an instance norm and the activation or sum behind it."""
    model = onnx.load(file)
    nodes = list(model.graph.node)
    last = [i for i, node in enumerate(nodes) if node.op_type == "InstanceNormalization"][norms - 1] + 1
    del model.graph.node[last + 1 :]
    end = onnx.NodeProto(op_type="Identity", input=nodes[last].output[:1], output=["image_out"])
    model.graph.node.append(end)
    del model.graph.value_info[:]
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("image_out", onnx.TensorProto.FLOAT, None))
    onnx.save(model, target)
    return target


def drawn(offer: Offer, threads: int, frames: int) -> tuple[list[dict[str, Any]], str, str]:
    """A row for each network, what the page says of its runtime, and the browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(word)
    translator = Translator(offer)
    with Server(site_of(offer, served=True), translator, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            count = f"Object.defineProperty(navigator, 'hardwareConcurrency', {{get: () => {threads}}})"
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": count})
            driver.set_script_timeout(600)
            driver.get(server.address)
            while not driver.execute_script("return Boolean(window.pocketgan?.student.planes)"):
                time.sleep(0.1)
            rows = [row_of(driver, each, frames) for each in offer.front]
            where = driver.execute_script("return document.getElementById('where').textContent")
            return rows, where, f"Chromium {driver.capabilities['browserVersion']}"
        finally:
            driver.quit()
            server.shutdown()


def row_of(driver: Any, contestant: Contestant, frames: int) -> dict[str, Any]:
    """The medians of one network, after a warm-up."""
    name = contestant.file.stem
    driver.execute_async_script(DRAW, name, 2)
    before = processor_seconds(driver)
    times = np.array(driver.execute_async_script(DRAW, name, frames))
    used = processor_seconds(driver) - before
    run, page = np.median(times[:, 0]), np.median(times[:, 1])
    apart = np.diff(times[:, 2])
    return {
        "ends_with": contestant.title,
        "network_ms": measure.figure(run),
        "least_ms": measure.figure(times[:, 0].min()),
        "processor_ms": measure.figure(used / frames * 1000),
        "page_ms": measure.figure(page),
        "page_share": measure.figure(page / (page + run)),
        "frames_a_second": measure.figure(1000 / np.median(apart)),
    }


def processor_seconds(driver: Any) -> float:
    """Of the processes that pages and their workers run in, since they began; Linux alone tells it."""
    stats = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
            stats[int(place.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
        except OSError:  # it has ended meanwhile
            continue

    def ours(process: int) -> bool:
        return process == driver.service.process.pid or (process in stats and ours(stats[process][0]))

    def renders(process: int) -> bool:
        return b"--type=renderer" in Path(f"/proc/{process}/cmdline").read_bytes()

    ticks = sum(used for process, (_, used) in stats.items() if ours(process) and renders(process))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
