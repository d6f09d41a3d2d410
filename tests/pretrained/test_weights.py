import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pocketgan.errors import DataError
from pocketgan.interop import checkpoint
from pocketgan.pretrained import alexnet, squeezenet, vgg, weights
from pocketgan.pretrained.weights import Source, cache_folder, find_weights, load_frozen, read_tensors

CONTENT = bytes(range(256)) * 50
SOURCE = Source(
    name="net",
    file="net-12345678.pth",
    url="http://127.0.0.1:9/net-12345678.pth",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
    licence="MIT",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.fixture
def published(monkeypatch):
    """`SOURCE` at the address of a server that has it."""
    monkeypatch.delenv("POCKETGAN_OFFLINE")

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SOURCE.model_copy(update={"url": f"http://127.0.0.1:{server.server_port}/{SOURCE.file}"})
    server.shutdown()
    server.server_close()


def test_the_users_own_file_comes_first(tmp_path, cache):
    own = tmp_path / "mine.pth"
    own.write_bytes(b"mine")
    cached = cache / "weights" / SOURCE.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"cached")
    assert find_weights(SOURCE, own) == own
    assert find_weights(SOURCE) == cached


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"given as the weights of net, is no file; give net-12345678\.pth$"):
        find_weights(SOURCE, tmp_path / "none.pth")


def test_what_is_nowhere_else_is_downloaded_once(published, cache, monkeypatch):
    seen = []
    path = find_weights(published, progress=lambda done, total: seen.append((done, total)))
    assert path == cache / "weights" / SOURCE.file
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    monkeypatch.setenv("POCKETGAN_OFFLINE", "1")
    assert find_weights(published) == path


def test_other_bytes_than_the_published_ones_are_refused(published, cache):
    with pytest.raises(DataError, match=r"net needs its trained weights: .*is not the published file"):
        find_weights(published.model_copy(update={"sha256": "0" * 8}))
    assert not list((cache / "weights").glob("net*"))


def test_the_refusal_says_how_to_get_it(cache):
    with pytest.raises(DataError) as refusal:
        find_weights(SOURCE)
    text = str(refusal.value)
    assert "\n" not in text
    assert text.startswith("net needs its trained weights: ")
    for part in (SOURCE.file, SOURCE.url, str(cache / "weights" / SOURCE.file), "--weights net=FILE"):
        assert part in text


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "home/.cache/pocketgan"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/pocketgan"),
        ("darwin", {}, "home/Library/Caches/pocketgan"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/pocketgan/cache"),
        ("linux", {"POCKETGAN_CACHE": "/chosen", "XDG_CACHE_HOME": "/xdg"}, "/chosen"),
    ],
)
def test_the_cache_is_where_the_platform_has_it(platform, variables, folder, monkeypatch):
    for name in ("POCKETGAN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(weights.sys, "platform", platform)
    monkeypatch.setattr(weights.Path, "home", lambda: Path("home"))
    assert cache_folder() == Path(folder)


@pytest.mark.parametrize("legacy", [False, True])
def test_files_larger_than_a_generator_are_read(tmp_path, monkeypatch, legacy):
    """VGG with its classifier is larger than what import accepts of a generator."""
    monkeypatch.setattr(checkpoint, "LARGEST", 16)
    state = {"features.0.weight": torch.randn(4, 3, 3, 3)}
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    assert torch.equal(read_tensors(tmp_path / "net.pth")["features.0.weight"], state["features.0.weight"])
    monkeypatch.setattr(weights, "_LARGEST", 16)
    with pytest.raises(DataError):
        read_tensors(tmp_path / "net.pth")


def test_every_known_file_fits_and_is_pinned():
    for source in (*vgg.SOURCES.values(), alexnet.SOURCE, squeezenet.SOURCE):
        assert re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.sha256.startswith(source.file.rpartition("-")[2].partition(".")[0])
        assert source.size <= weights._LARGEST
        assert source.url.startswith("https://")


def test_loading_freezes_and_leaves_the_rest_out(tmp_path):
    state = {"net.weight": torch.randn(2, 3).half(), "net.bias": torch.randn(2), "head.weight": torch.randn(9, 9)}
    save_file(state, tmp_path / "net.safetensors")
    network = load_frozen(nn.Linear(3, 2), tmp_path / "net.safetensors", lambda name: name.removeprefix("net."))
    assert torch.equal(network.weight, state["net.weight"].float())
    assert torch.equal(network.bias, state["net.bias"])
    assert network.weight.dtype == torch.float32
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_files_of_other_networks_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"weight": torch.randn(2, 3)}, path)
    with pytest.raises(DataError, match=r"holds no weights of Linear: bias is missing; give its published file$"):
        load_frozen(nn.Linear(3, 2), path)
    save_file({"weight": torch.randn(2, 4), "bias": torch.randn(2)}, path)
    with pytest.raises(DataError, match=r"of this Linear: weight is \(2, 4\), not \(2, 3\); give its"):
        load_frozen(nn.Linear(3, 2), path)
