"""Real servers that keep a search: PostgreSQL of the system's package, and Optuna's gRPC server."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "s3cret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a database. Skips where PostgreSQL or its driver is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'pocketgan[search]')")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "/")]
    if not programs[-1].is_file():
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    # the server refuses to run as root
    owner = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    home, port = Path(tempfile.mkdtemp(prefix="pg")), free_port()  # others may not enter folders of pytest
    words = {"user": owner, "cwd": home, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        (home / "password").write_text(PASSWORD)
        for path in (home, home / "password"):
            shutil.chown(path, owner)
        made = [programs[-1], "-D", home / "data", "-A", "scram-sha-256", "-U", "me", "--pwfile", home / "password"]
        subprocess.run([*made, "--no-sync"], **words, check=True, timeout=60)
        serving = [programs[-1].with_name("postgres"), "-D", home / "data", "-k", home, "-p", str(port), "-F"]
        server = subprocess.Popen([*serving, "-h", "127.0.0.1"], **words)
        try:
            answering(port, server)
            yield f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    finally:
        shutil.rmtree(home)


@contextmanager
def grpc() -> Iterator[str]:
    """The URL of Optuna's own server, which keeps all in its memory."""
    pytest.importorskip("grpc", reason="grpcio is not installed (pip install 'pocketgan[search]')")
    port = free_port()
    text = (
        "from optuna.storages import InMemoryStorage, run_grpc_proxy_server as run\n"
        f"run(InMemoryStorage(), host='127.0.0.1', port={port})"
    )
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", text], stderr=subprocess.DEVNULL)
    try:
        answering(port, server)
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def answering(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        assert server.poll() is None, "the server has not started"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not listen")
