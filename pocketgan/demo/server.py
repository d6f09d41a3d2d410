"""The server of a page: for this computer alone, for the page's own paths alone."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs

from pocketgan.demo.site import File, media_type
from pocketgan.demo.translator import LARGEST, Translator
from pocketgan.errors import DataError, OutputError

LOOPBACK = "127.0.0.1"
PORT = 8765
#: requests that are answered at once; others wait in the kernel's queue
AT_ONCE = 16
#: seconds that a connection may take to send or to take the next bytes
PATIENCE = 10.0

#: sent with everything: the isolation that threads in a page need, and nothing from outside
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
        "img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
#: the report is a page of its own, with its style inside, and a script that its own policy pins
_REPORT = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; frame-src 'self'; "
    "base-uri 'none'"
)


class Server(ThreadingMixIn, HTTPServer):
    """Answers for the files of a page, and runs its networks on uploaded pictures.

    Listens on the loopback address. `port`: 0 for any that is free. Raises `OutputError` where it is taken.

        with Server(site, translator, port=0) as server:
            server.serve_forever()
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, files: Mapping[str, File], translator: Translator, port: int = PORT) -> None:
        self.files, self.translator = files, translator
        self._free = threading.BoundedSemaphore(AT_ONCE)
        try:
            super().__init__((LOOPBACK, port), Handler)
        except OSError as error:
            raise OutputError(
                f"port {port} cannot be listened on ({error.strerror}); choose another --port"
            ) from error
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, as soon as one is free."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who leaves in the middle is no event."""

    def server_bind(self) -> None:
        # HTTPServer's own asks the network for this computer's name
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.socket.getsockname()[1]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = PATIENCE
    server_version, sys_version = "pocketgan", ""

    def do_GET(self) -> None:
        if not self._from_here():
            return
        address = self.path.partition("?")[0].removeprefix("/") or "index.html"
        file = self.server.files.get(address)
        if file is None:
            return self._say(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        try:
            stream, length = file.open()
        except OSError:
            return self._say(HTTPStatus.NOT_FOUND, "this file has been removed; start the page again")
        with stream:
            self._send(HTTPStatus.OK, stream, length, media_type(address), report=address == "report.html")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if not self._from_here():
            return
        address, _, query = self.path.partition("?")
        prefix, _, name = address.rpartition("/")
        if prefix != "/translate" or not self.server.translator.knows(name):
            return self._say(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self._say(HTTPStatus.LENGTH_REQUIRED, "an upload must say its length")
        if len(length) > 12 or int(length) > LARGEST:
            return self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an upload may have {LARGEST:,} bytes")
        upload = self.rfile.read(int(length))
        if len(upload) < int(length):
            return self._say(HTTPStatus.BAD_REQUEST, "the upload ended early")
        try:
            made = self.server.translator(name, upload, parse_qs(query).get("style", [""])[0])
        except DataError as error:
            return self._say(HTTPStatus.BAD_REQUEST, str(error))
        numbers = made.astype("<f4").tobytes()
        self._send(HTTPStatus.OK, io.BytesIO(numbers), len(numbers), "application/octet-stream")

    def _from_here(self) -> bool:
        """Whether the request is for this server by its own name, and from its own page or from no page."""
        own, host = self.server.hosts, self.headers.get_all("Host") or []
        origins = self.headers.get_all("Origin") or []
        if len(host) != 1 or host[0].lower() not in own:
            self._say(HTTPStatus.MISDIRECTED_REQUEST, f"this page is at {self.server.address} alone")
        elif any(origin not in {f"http://{name}" for name in own} for origin in origins):
            self._say(HTTPStatus.FORBIDDEN, "other pages may not ask here")
        else:
            return True
        return False

    def _say(self, status: HTTPStatus, text: str) -> None:
        content = f"{text}\n".encode()
        self._send(status, io.BytesIO(content), len(content), "text/plain; charset=utf-8")

    def _send(
        self, status: HTTPStatus, content: io.BufferedIOBase, length: int, kind: str, *, report: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **({"Content-Security-Policy": _REPORT} if report else {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            shutil.copyfileobj(content, self.wfile)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses, as a request that is none: in one line, and nothing of it is repeated."""
        self._say(HTTPStatus(code), HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the user's."""
