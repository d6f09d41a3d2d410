"""A web server on this machine that tests download from."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pocketgan import download


class Server(ThreadingHTTPServer):
    """Serves `files` by their names, as /name; what it was asked for is in `asked`, as (path, Range)."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.files = files
        self.ranges = True
        self.drops = 0  #: how many answers still break off after half of what they announce
        self.announces_length = True

    def url(self, path: str = "file") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.asked.append((self.path, self.headers["Range"]))
        if self.path in ("/moved", "/local"):
            self.send_response(302)
            self.send_header("Location", "/file" if self.path == "/moved" else "ftp://127.0.0.1/file")
            return self.end_headers()
        if self.path[1:] not in server.files:
            return self.send_error(404)
        content = server.files[self.path[1:]]
        asked, start = self.headers["Range"], 0
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        if server.announces_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.drops:
            server.drops -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def running(files: dict[str, bytes]) -> Iterator[Server]:
    """A server of these files, reached without proxy and without pauses."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "POCKETGAN_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setattr(download, "PAUSE", 0.0)
        server = Server(files)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
