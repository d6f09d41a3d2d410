"""The Python of docs/deploy.md runs as it stands, block after block, and its runtimes agree."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pocketgan as pg
from pocketgan.networks import init_normal, parse_spec

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "deploy.md").read_text()
BLOCKS = dict(re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```", TEXT, re.DOTALL))


def block(language: str) -> str:
    """The only one in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy")
    network = init_normal(parse_spec("mobile-resnet:4").build(), torch.Generator().manual_seed(0)).eval()
    for ending in ("onnx", "pt2", *(["xml"] if importlib.util.find_spec("openvino") else [])):
        pg.export(network, folder / f"small.{ending}", size=64)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "input.png")
    return folder


def test_every_block_runs(files, monkeypatch):
    monkeypatch.chdir(files)
    assert list(BLOCKS) == [
        "What the card says",
        "Python: ONNX Runtime",
        "Python: OpenVINO",
        "Python: torch.export",
    ]
    names: dict = {}
    pictures = {}
    for title, code in BLOCKS.items():
        if "OpenVINO" in title and not (files / "small.xml").exists():
            continue  # it is not installed
        exec(compile(code, title, "exec"), names)
        pictures[title] = names.get("picture")
    assert names["card"]["image"] == {"channels": 3, "layout": "NCHW", "type": "float32", "values": [-1, 1]}
    assert Image.open("output.png").size == (96, 64)
    for picture in list(pictures.values())[1:]:
        np.testing.assert_allclose(picture, pictures["Python: ONNX Runtime"], atol=1e-3)
