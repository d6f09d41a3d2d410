"""The page in a real browser: served, and from a static folder on a host that sends no headers of its own; and the
module of docs/deploy.md.
"""

import base64
import json
import lzma
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from PIL import Image

from pocketgan.data.images import to_tensor, to_uint8
from pocketgan.data.labels import LabelMaps, edges, encode
from pocketgan.data.values import Values
from pocketgan.demo.folder import write_folder
from pocketgan.demo.palette import paints_of_labels
from pocketgan.demo.server import Server
from pocketgan.demo.site import ASSETS, site_of
from pocketgan.networks import MunitSpec, ResnetSpec, SpadeSpec
from tests.demo.conftest import SIDE, Toy, alone, drawn, hosting, serving
from tests.deploy.test_docs import block

#: runs the module of the docs
MODULE = """
const [bytes, width, height, done] = arguments;
const image = new ImageData(Uint8ClampedArray.from(bytes), width, height);
const { translate } = await import("./module.js");
done(Array.from((await translate(image)).data));
"""
SETTLED = "const page = window.pocketgan; return Boolean(page && page.loop.idle && page.student.planes)"


@pytest.fixture(scope="module")
def static(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page as a folder, behind Python's own file server."""
    folder = tmp_path_factory.mktemp("static") / "page"
    write_folder(site_of(toy.offer, served=False), folder)
    with hosting(folder) as address:
        yield address


@pytest.fixture(params=["served", "static"])
def address(request: pytest.FixtureRequest, server: Server) -> str:
    return server.address if request.param == "served" else request.getfixturevalue("static")


def wait(browser: Any, script: str, seconds: float = 60) -> Any:
    """What a script gives as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := browser.execute_script(script)):
        state = "return ['where', 'message'].map((name) => document.getElementById(name)?.textContent)"
        assert time.monotonic() < end, f"{script}: {browser.execute_script(state)}"
        time.sleep(0.05)
    return found


def visit(browser: Any, address: str) -> None:
    browser.get("about:blank")
    browser.get(address)
    wait(browser, SETTLED)


def change(browser: Any, act: Callable[[], object]) -> None:
    """Do something that makes the networks run, and wait until they have."""
    each = "[pocketgan.student, pocketgan.teacher].filter((each) => each)"
    browser.execute_script(f"for (const one of {each}) one.planes = null")
    act()
    wait(browser, f"return pocketgan.loop.idle && {each}.every((one) => one.planes)")


def pixels(browser: Any) -> np.ndarray:
    found = browser.execute_script("return Array.from(pocketgan.drawing.pixels)")
    return np.array(found, np.uint8).reshape(SIDE, SIDE, 3)


def planes(browser: Any, who: str = "student") -> np.ndarray:
    found = browser.execute_script(f"return Array.from(pocketgan.{who}.planes)")
    return np.array(found, np.float32).reshape(-1, SIDE, SIDE)


def expected(toy: Toy, name: str, image: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return toy.networks[name](to_tensor(image[None]))[0].numpy()


def canvas_pixels(browser: Any, identity: str) -> np.ndarray:
    read = (
        "return Array.from(document.getElementById(arguments[0]).getContext('2d').getImageData(0, 0, 32, 32).data)"
    )
    found = browser.execute_script(read, identity)
    return np.array(found, np.uint8).reshape(SIDE, SIDE, 4)[:, :, :3]


def click(browser: Any, identity: str) -> None:
    browser.execute_script("document.getElementById(arguments[0]).click()", identity)


def draw(browser: Any, kind: str = "mouse", on: str = "canvas", parts: tuple[float, ...] = (0.2, 0.5, 0.8)) -> None:
    """A stroke along the diagonal, from the upper left to the lower right."""
    box = browser.execute_script(
        "const canvas = document.getElementById(arguments[0]); canvas.scrollIntoView({block: 'center'});"
        "const {x, y, width, height} = canvas.getBoundingClientRect(); return {x, y, width, height}",
        on,
    )
    points = [(box["x"] + box["width"] * part, box["y"] + box["height"] * part) for part in parts]
    if kind == "touch":
        send = partial(browser.execute_cdp_cmd, "Input.dispatchTouchEvent")
        for number, (x, y) in enumerate(points):
            send({"type": "touchMove" if number else "touchStart", "touchPoints": [{"x": x, "y": y}]})
        send({"type": "touchEnd", "touchPoints": []})
        return
    send = partial(browser.execute_cdp_cmd, "Input.dispatchMouseEvent")
    for number, (x, y) in enumerate(points):
        type_ = "mouseMoved" if number else "mousePressed"
        send({"type": type_, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1})
    send({"type": "mouseReleased", "x": points[-1][0], "y": points[-1][1], "button": "left", "clickCount": 1})


def test_draw_undo_slide_and_save(browser: Any, address: str, toy: Toy, tmp_path: Path):
    browser.get_log("performance")
    visit(browser, address)
    wait(browser, "return Boolean(pocketgan.teacher.planes)")
    # it runs in the browser, on threads where the machine has cores
    assert browser.execute_script("return crossOriginIsolated")
    where = browser.execute_script("return document.getElementById('where').textContent")
    assert "in this browser: WebAssembly with SIMD" in where
    assert "the host does not isolate" not in where
    # the first example, as Python has it
    before = pixels(browser)
    assert np.array_equal(before, drawn(0))
    for who, name in (("student", "compressed"), ("teacher", "teacher")):
        np.testing.assert_allclose(planes(browser, who), expected(toy, name, before), atol=1e-3)
    outputs = {who: planes(browser, who) for who in ("student", "teacher")}
    # a stroke changes both
    change(browser, lambda: draw(browser))
    after = pixels(browser)
    assert (after != before).any()
    assert (after[SIDE // 2, SIDE // 2] == toy.offer.paints[1].colour).all()
    for who, name in (("student", "compressed"), ("teacher", "teacher")):
        assert not np.allclose(planes(browser, who), outputs[who], atol=1e-3)
        np.testing.assert_allclose(planes(browser, who), expected(toy, name, after), atol=1e-3)
    # figures
    text = browser.execute_script("return document.getElementById('student-figures').innerText")
    assert " ms" in text
    assert "MACs" in text
    times = browser.execute_script("return pocketgan.student.times")
    assert times["run"] > 0
    # undo and redo
    change(browser, lambda: click(browser, "undo"))
    assert np.array_equal(pixels(browser), before)
    np.testing.assert_allclose(planes(browser), outputs["student"], atol=1e-6)
    change(browser, lambda: click(browser, "redo"))
    assert np.array_equal(pixels(browser), after)
    # the slider chooses another network
    slide = (
        "const slider = document.getElementById('budget-slider');"
        "slider.value = 0; slider.dispatchEvent(new Event('input'))"
    )
    change(browser, lambda: browser.execute_script(slide))
    np.testing.assert_allclose(planes(browser), expected(toy, "front-1", after), atol=1e-3)
    assert "front-1 network" in browser.execute_script("return document.getElementById('budget-text').textContent")
    # what is saved is what is seen
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(browser, "save")
    end = time.monotonic() + 20
    while not (tmp_path / "toy.png").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    saved = np.asarray(Image.open(tmp_path / "toy.png").convert("RGB")).astype(int)
    shown = ((expected(toy, "front-1", after) + 1) / 2 * 255).clip(0, 255).transpose(1, 2, 0)
    assert np.abs(saved - shown).max() <= 1
    # nothing was asked for outside
    asked = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((address, "blob:", "data:", "about:"))] == []


def test_a_link_holds_the_drawing(browser: Any, server: Server):
    visit(browser, server.address)
    change(browser, lambda: draw(browser))
    drawing = pixels(browser)
    click(browser, "share")
    link = wait(browser, "return location.hash.includes('drawing=') && location.href")
    visit(browser, link)
    assert np.array_equal(pixels(browser), drawing)
    # a damaged one, and one that unpacks to too much, are told of
    much = base64.urlsafe_b64encode(zlib.compress(bytes(1 << 20))[2:-4]).decode().rstrip("=")
    for broken in (f"drawing={link.partition('drawing=')[2][:12]}", f"drawing={much}"):
        visit(browser, f"{server.address}#{broken}")
        assert "is damaged" in browser.execute_script("return document.getElementById('message').textContent")
        assert np.array_equal(pixels(browser), drawn(0))


def test_touch_keyboard_and_fill(browser: Any, server: Server, toy: Toy):
    visit(browser, server.address)
    change(browser, lambda: draw(browser, "touch"))
    assert (pixels(browser) != drawn(0)).any()
    change(browser, lambda: click(browser, "undo"))
    assert np.array_equal(pixels(browser), drawn(0))
    press = (
        "const canvas = document.getElementById('canvas');"
        "const press = (key) => canvas.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
        "press('f'); press(' ')"
    )
    change(browser, lambda: browser.execute_script(press))
    whole = pixels(browser)
    white = (whole == 255).all(axis=2)
    # filled from the middle: the black around the square has become white, which is all
    assert white.all() == (not drawn(0)[SIDE // 2, SIDE // 2].any())


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_it_fits(browser: Any, server: Server, width: int):
    """Nothing is wider than the window, whatever has a role has a name, and colours follow the system."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        visit(browser, server.address)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = {"button", "slider", "combobox", "checkbox", "radio", "application", "img", "image"}
        unnamed = [
            node["role"]["value"]
            for node in tree
            if not node["ignored"] and node["role"]["value"] in roles and not node.get("name", {}).get("value")
        ]
        assert unnamed == []
        colours = set()
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            colours.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert len(colours) == 2
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_the_browsers_runtime_the_server_runs_the_networks(browser: Any, toy: Toy, tmp_path: Path):
    assets = copytree(ASSETS, tmp_path / "page", ignore=ignore_patterns("ort"))
    with serving(toy.offer, assets) as server:
        visit(browser, server.address)
        where = browser.execute_script("return document.getElementById('where').textContent")
        assert "by the server on this computer: ONNX Runtime in Python" in where
        assert "is not installed" in where
        change(browser, lambda: draw(browser))
        for who, name in (("student", "compressed"), ("teacher", "teacher")):
            np.testing.assert_allclose(planes(browser, who), expected(toy, name, pixels(browser)), atol=1e-3)
        browser.get("about:blank")


def test_pictures_from_outside(browser: Any, server: Server, tmp_path: Path):
    """A file is cut to the middle and scaled; what is no picture is told of."""
    visit(browser, server.address)
    Image.fromarray(np.full((50, 90, 3), (200, 30, 90), np.uint8)).save(tmp_path / "red.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    field = browser.find_element("id", "file")
    change(browser, lambda: field.send_keys(str(tmp_path / "red.png")))
    assert np.array_equal(pixels(browser), np.full((SIDE, SIDE, 3), (200, 30, 90), np.uint8))
    field.send_keys(str(tmp_path / "bad.png"))
    text = wait(browser, "return document.getElementById('message').textContent")
    assert text == "bad.png is no picture that this browser reads; use PNG, JPEG or WebP"
    Image.fromarray(np.full((SIDE, SIDE), 4095, np.uint16)).save(tmp_path / "deep.png")
    change(browser, lambda: field.send_keys(str(tmp_path / "deep.png")))
    assert "has 16 bits" in browser.execute_script("return document.getElementById('message').textContent")
    # the camera, a pattern that the browser makes up: pictures follow each other until it is turned off
    click(browser, "webcam")
    wait(browser, "return new Set(pocketgan.drawing.pixels).size > 8")
    # the teacher keeps up
    browser.execute_script("pocketgan.teacher.planes = null")
    wait(browser, "return Boolean(pocketgan.teacher.planes)")
    click(browser, "webcam")
    wait(browser, SETTLED)
    assert (
        browser.execute_script("return document.getElementById('webcam').getAttribute('aria-pressed')") == "false"
    )


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_that_are_handed_over(browser: Any, server: Server, way: str):
    visit(browser, server.address)
    hand = """
        const canvas = new OffscreenCanvas(60, 40), context = canvas.getContext("2d"), [way, done] = arguments;
        context.fillStyle = "rgb(10, 200, 90)";
        context.fillRect(0, 0, 60, 40);
        canvas.convertToBlob().then((blob) => {
          const data = new DataTransfer();
          data.items.add(new File([blob], "green.png", {type: "image/png"}));
          const event = {drop: () => new DragEvent("drop", {dataTransfer: data, bubbles: true}),
            paste: () => new ClipboardEvent("paste", {clipboardData: data, bubbles: true})}[way]();
          document.body.dispatchEvent(event);
          done();
        });
    """
    change(browser, lambda: browser.execute_async_script(hand, way))
    assert np.array_equal(pixels(browser), np.full((SIDE, SIDE, 3), (10, 200, 90), np.uint8))


def test_label_brush_and_objects(browser: Any, tmp_path: Path):
    """What is painted has a class and an object; the network sees both as in training."""
    maps = LabelMaps(classes=3, dont_care=True, instances=True)
    spec = SpadeSpec.uniform(2, in_channels=maps.channels, upsampling="normal")
    toy = alone(tmp_path / "spade.onnx", spec, labels=maps, paints=paints_of_labels(maps), examples=[])

    def as_in_python() -> np.ndarray:
        found = pixels(browser)
        with torch.inference_mode():
            made = toy.networks["compressed"](encode(found[None], maps))[0]
        np.testing.assert_allclose(planes(browser), made, atol=1e-3)
        return found

    with serving(toy.offer) as server:
        visit(browser, server.address)
        assert not as_in_python().any()
        browser.execute_script(
            "pocketgan.drawing.size = 8; document.querySelectorAll('#palette button')[2].click()"
        )
        change(browser, lambda: draw(browser, parts=(0.1, 0.4)))
        first = as_in_python()
        assert first[SIDE // 4, SIDE // 4].tolist() == [2, 1, 0]
        # another object of the same class: an edge where they meet, and only there a difference to one object
        click(browser, "instance")
        change(browser, lambda: draw(browser, parts=(0.4, 0.9)))
        both = as_in_python()
        assert {tuple(each) for each in both.reshape(-1, 3)} == {(0, 0, 0), (2, 1, 0), (2, 2, 0)}
        # the eye sees the edge
        shown = "return Array.from(pocketgan.drawing.image().data)"
        image = np.array(browser.execute_script(shown), np.uint8).reshape(SIDE, SIDE, 4)[:, :, :3]
        assert np.array_equal(
            (image == toy.offer.paints[2].colour).all(2), (both[:, :, 0] == 2) & ~edges(both[None])[0]
        )
        # a file of class numbers keeps them; one in the colours of the palette finds them
        numbers = np.repeat(np.array([0, 1, 2, 255], np.uint8), SIDE // 4)[None].repeat(SIDE, 0)
        Image.fromarray(numbers).save(tmp_path / "numbers.png")
        colours = {paint.label: paint.colour for paint in toy.offer.paints}
        painted = np.array([[colours[label] for label in row] for row in numbers.tolist()], np.uint8)
        Image.fromarray(painted).resize((3 * SIDE, 3 * SIDE), 0).save(tmp_path / "colours.png")
        for name in ("numbers.png", "colours.png"):
            field = browser.find_element("id", "file")
            change(browser, lambda name=name, field=field: field.send_keys(str(tmp_path / name)))
            assert np.array_equal(as_in_python()[:, :, 0], numbers)
        # and what is painted next is an object of its own
        change(browser, lambda: draw(browser))
        assert as_in_python()[SIDE // 2, SIDE // 2].tolist() == [2, 3, 0]
        browser.get("about:blank")


def test_style_pad(browser: Any, tmp_path: Path):
    toy = alone(tmp_path / "munit.onnx", MunitSpec.uniform(2), values=Values(), paints=[], style=8, examples=[])
    with serving(toy.offer) as server:
        visit(browser, server.address)
        seen = []
        for act in (
            lambda: draw(browser, on="style-pad", parts=(0.5, 0.9)),
            lambda: click(browser, "style-new"),
            lambda: browser.find_element("id", "style-pad").send_keys("\ue012"),  # the left arrow
        ):
            change(browser, act)
            style = torch.tensor(browser.execute_script("return Array.from(pocketgan.pad.style)"))
            assert all(not torch.allclose(style, before) for before in seen)
            with torch.inference_mode():
                image = to_tensor(pixels(browser)[None])
                made = toy.networks["compressed"](image, style=style.view(1, 8, 1, 1))[0]
            np.testing.assert_allclose(planes(browser), made, atol=1e-3)
            seen.append(style)
        browser.get("about:blank")


@pytest.mark.parametrize("channels", [(1, 3), (3, 1), (1, 1)])
def test_gray_pictures_before_and_after(browser: Any, tmp_path: Path, channels: tuple[int, int]):
    """A task of pictures: a file, gray where the network takes gray, behind a curtain; in browser and server."""
    spec = ResnetSpec.uniform(2, blocks=1, in_channels=channels[0], out_channels=channels[1])
    values = Values(channels=channels[0])
    toy = alone(tmp_path / "gray.onnx", spec, values=values, paints=[], examples=[])
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    with serving(toy.offer) as server:
        visit(browser, server.address)
        change(browser, lambda: browser.find_element("id", "file").send_keys(str(tmp_path / "picture.png")))
        # halves between two levels of gray may be rounded either way
        seen = pixels(browser)[:, :, : channels[0]]
        assert np.abs(seen.astype(int) - values.pixels(picture)).max() <= 1
        made = expected(toy, "compressed", seen)
        np.testing.assert_allclose(planes(browser), made, atol=1e-3)
        for canvas, own in (("over-canvas", seen), ("student-canvas", to_uint8(torch.from_numpy(made[None]))[0])):
            look = canvas_pixels(browser, canvas).astype(int)
            assert np.abs(look - np.broadcast_to(own, look.shape)).max() <= 1
        engine = (
            "const engine = document.getElementById('engine');"
            "engine.value = 'server'; engine.dispatchEvent(new Event('change'))"
        )
        change(browser, lambda: browser.execute_script(engine))
        np.testing.assert_allclose(planes(browser), made, atol=1e-3)
        browser.get("about:blank")


def test_curtain_and_report(browser: Any, server: Server, static: str):
    visit(browser, server.address)
    look = (
        "const view = document.getElementById('view');"
        "view.value = arguments[0]; view.dispatchEvent(new Event('change'))"
    )
    seen = "return getComputedStyle(document.getElementById('over-canvas')).clipPath"
    browser.execute_script(look, "target")
    assert "50%" in browser.execute_script(seen)
    assert np.array_equal(canvas_pixels(browser, "over-canvas"), 255 - drawn(0))
    # the report of the static folder shows the page
    browser.get(f"{static}report.html")
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    wait(browser, SETTLED)
    browser.switch_to.default_content()


def test_the_module_of_the_docs(browser: Any, tmp_path: Path):
    """An ImageData becomes what ONNX Runtime in Python makes of it."""
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.normal(0, 0.5, (3, 3, 3, 3)).astype(np.float32), "weights")
    sides = [helper.make_tensor_value_info(name, 1, [1, 3, "h", "w"]) for name in ("image", "image_out")]
    layer = helper.make_node("Conv", ["image", "weights"], ["image_out"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([layer], "small", sides[:1], sides[1:], [weights])
    file = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    (tmp_path / "index.html").write_text("<!doctype html><title>module</title>")
    (tmp_path / "module.js").write_text(block("js"))
    (tmp_path / "ort").mkdir()
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"):
        copyfile(ASSETS / "ort" / name, tmp_path / "ort" / name)
    name = "ort-wasm-simd-threaded.wasm"
    (tmp_path / "ort" / name).write_bytes(lzma.decompress((ASSETS / "ort" / f"{name}.xz").read_bytes()))
    pixels = rng.integers(0, 256, (24, 32, 4), np.uint8)
    pixels[..., 3] = 255
    with hosting(tmp_path) as address:
        browser.get(f"{address}index.html")
        said = browser.execute_async_script(MODULE, pixels.ravel().tolist(), 32, 24)
        browser.get("about:blank")
    made = np.array(said, np.uint8).reshape(pixels.shape)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (picture,) = session.run(None, {"image": to_tensor(pixels[None, ..., :3]).numpy()})
    expected = to_uint8(torch.from_numpy(picture))[0]
    assert np.abs(made[..., :3].astype(int) - expected).max() <= 1  # near a half either level is right
    assert (made[..., :3] == expected).mean() > 0.99
    assert (made[..., 3] == 255).all()
