"""The server of a page: who may ask, for what, and what it withstands."""

import io
import resource
import socket
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pocketgan.data.images import to_tensor
from pocketgan.data.labels import LabelMaps, encode
from pocketgan.demo.server import AT_ONCE, PATIENCE, Server
from pocketgan.demo.translator import LARGEST, Translator
from pocketgan.errors import DataError, OutputError
from tests.demo.conftest import SIDE, Toy, drawn


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def ask(
    server: Server, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def raw(server: Server, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        parts = []
        while part := line.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def test_files_and_headers(server: Server, toy: Toy):
    answer, body = ask(server, "GET", "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert b"<canvas" in body
    answer, body = ask(server, "GET", "/models/teacher.onnx?x=1")
    assert body == toy.offer.teacher.file.read_bytes()
    answer, body = ask(server, "HEAD", "/main.js")
    assert (answer.status, body) == (200, b"")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_it_listens_on_the_loopback_alone(server: Server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OutputError, match=r"port \d+ cannot be listened on .*choose another --port"):
        Server(server.files, server.translator, server.server_port)


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/ort/../../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "//etc/passwd",
        "/etc/passwd",
        "/models/../index.html",
        "/models/",
        "/server.py",
        "/index.html%00.png",
        "/translate/teacher",
    ],
)
def test_there_is_nothing_but_its_own_paths(server: Server, path: str):
    answer, body = ask(server, "GET", path)
    assert (answer.status, body) == (404, b"there is nothing at this address\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:{port}"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_host_and_origin(server: Server, method: str, headers: dict[str, str], status: int):
    headers = {name: value.format(port=server.server_port) for name, value in headers.items()}
    path, body = ("/demo.json", None) if method == "GET" else ("/translate/compressed", png(drawn(0)))
    assert ask(server, method, path, body, headers)[0].status == status


def test_translating(server: Server, toy: Toy):
    answer, body = ask(server, "POST", "/translate/compressed", png(drawn(1)))
    assert answer.status == 200
    made = np.frombuffer(body, "<f4").reshape(3, SIDE, SIDE)
    with torch.inference_mode():
        expected = toy.networks["compressed"](to_tensor(drawn(1)[None]))[0]
    np.testing.assert_allclose(made, expected, atol=1e-3)


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60,000 pixels wide and high."""
    chunk = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": chunk, b"IDAT": zlib.compress(bytes(1000)), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks.items()
    )


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (b"", "no image"),
        (b"no picture at all", "no image"),
        (b"\x80\x04\x95cos\nsystem\n", "no image"),  # what would be a pickle
        (png(drawn(0))[:60], "corrupt, truncated"),
        (png(np.zeros((SIDE, SIDE + 1, 3), np.uint8)), f"is {SIDE}x{SIDE + 1}, and these networks take {SIDE}"),
        (bomb(), "the picture has 3,600,000,000 pixels"),
    ],
    ids=["empty", "text", "pickle", "cut short", "another size", "bomb"],
)
def test_uploads_that_cannot_be_used(server: Server, upload: bytes, said: str):
    answer, body = ask(server, "POST", "/translate/compressed", upload)
    assert answer.status == 400
    assert said in body.decode()
    assert body.count(b"\n") == 1
    assert ask(server, "POST", "/translate/compressed", png(drawn(0)))[0].status == 200


def test_other_formats_are_not_decoded(server: Server):
    buffer = io.BytesIO()
    Image.fromarray(drawn(0)).save(buffer, format="TIFF")
    assert ask(server, "POST", "/translate/compressed", buffer.getvalue())[0].status == 400


def test_uploads_are_limited(server: Server):
    host = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    post = b"POST /translate/compressed HTTP/1.1\r\n" + host
    for length, status in (
        (str(LARGEST + 1), b"413"),
        ("9" * 400, b"413"),
        ("-1", b"411"),
        ("1e3", b"411"),
        ("99", b"400"),
    ):
        assert raw(server, post + f"Content-Length: {length}\r\n\r\nshort".encode()).split()[1] == status
    chunked = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert raw(server, post + chunked).split()[1] == b"411"
    assert ask(server, "POST", "/translate/nobody", png(drawn(0)))[0].status == 404
    assert ask(server, "PUT", "/index.html", b"x")[0].status == 501


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\xff\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_requests_that_are_none(server: Server, request_: bytes):
    answer = raw(server, request_)
    assert b" 200 " not in answer
    assert b"Traceback" not in answer
    assert ask(server, "GET", "/demo.json")[0].status == 200


def test_a_thousand_at_once(server: Server):
    """All are answered, no more than a few at a time, and the memory is what it was."""
    upload = png(drawn(0))

    def one(number: int) -> int:
        if number % 4:
            return ask(server, "GET", "/models/teacher.onnx")[0].status
        return ask(server, "POST", "/translate/compressed", upload)[0].status

    def many() -> list[int]:
        with ThreadPoolExecutor(250) as pool:
            return list(pool.map(one, range(1000)))

    assert set(many()) == {200}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert set(many()) == {200}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024, f"{grown} kB more"


def test_visitors_who_say_nothing_are_let_go(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    from pocketgan.demo.server import Handler
    from tests.demo.conftest import serving

    assert PATIENCE <= 10
    monkeypatch.setattr(Handler, "timeout", 0.3)
    with serving(toy.offer) as server:
        silent = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(AT_ONCE)]
        assert ask(server, "GET", "/demo.json")[0].status == 200
        for each in silent:
            each.close()


# -- label maps and styles, without the network between ------------------------------------------------------------


class Recorded:
    """A session that keeps what it is given."""

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.feed = feed
        return [feed["image"]]


@pytest.fixture
def recorded(toy: Toy) -> Callable[..., tuple[Translator, Recorded]]:
    def make(labels: LabelMaps | None, style: int) -> tuple[Translator, Recorded]:
        session, translator = Recorded(), Translator(replace(toy.offer, labels=labels, style=style))
        translator._sessions["teacher"] = session
        return translator, session

    return make


def test_label_maps_are_encoded_as_in_training(recorded: Callable[..., tuple[Translator, Recorded]]):
    maps = LabelMaps(classes=3, dont_care=True, instances=True)
    translator, session = recorded(maps, 0)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 3, (SIDE, SIDE, 3)).astype(np.uint8)
    pixels[:4, :, 0] = 255
    translator("teacher", png(pixels))
    assert torch.equal(torch.from_numpy(session.feed["image"]), encode(pixels[None], maps))
    pixels[9, 9, 0] = 7
    with pytest.raises(DataError, match="holds the label 7; labels are 0 to 2 here"):
        translator("teacher", png(pixels))


def test_styles(recorded: Callable[..., tuple[Translator, Recorded]]):
    translator, session = recorded(None, 2)
    translator("teacher", png(drawn(0)), "0.5,-1")
    assert session.feed["style"].tolist() == [[[[0.5]], [[-1.0]]]]
    for text in ("", "1", "1,2,3", "1,x", "1,nan", "__import__('os')"):
        with pytest.raises(DataError, match="must be 2 numbers with commas between"):
            translator("teacher", png(drawn(0)), text)


def test_a_file_that_has_gone(server: Server, toy: Toy, tmp_path: Path):
    from pocketgan.demo.site import File
    from tests.demo.conftest import serving

    with serving(toy.offer) as own:
        own.files["gone.txt"] = File(tmp_path / "gone.txt")
        answer, body = ask(own, "GET", "/gone.txt")
    assert (answer.status, body) == (404, b"this file has been removed; start the page again\n")
