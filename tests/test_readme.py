"""The README's commands run as they stand, on toys of what they name; its targets and files are there."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pocketgan.interop.official import save_official
from pocketgan.networks import init_normal, parse_spec
from tests.conftest import TOY, Outcome, draw_pairs

Cli = Callable[..., Outcome]
ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    command.strip()
    for line in README.splitlines()
    if line.startswith("    ") and "pocketgan " in line
    for command in re.split(r"\s{3,}|;", line.strip().split("#")[0])
    if "pocketgan " in command
]
#: what is put behind a command so that it takes seconds: of an option that is given twice, the last one counts
SHORT = {
    "compress": ("--size", "24", "--out", "runs/NAME", *TOY),
    "plan": ("--size", "24", *TOY),
    "run": ("--size", "24", *TOY),
    "profile": (
        "--size",
        "64",
    ),
    "evaluate": ("--size", "24"),
    "demo": ("--static", "page"),
    "study": ("--seeds", "1", "--seconds", "0.05", "--size", "24", "--width", "16"),
}
#: what asks before it downloads, and how
ASKING = {"prepare": "add --yes to download it"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands name: pairs, sketches, a checkpoint."""
    monkeypatch.chdir(tmp_path)
    draw_pairs(tmp_path / "path/to/pairs")
    shutil.copytree(tmp_path / "path/to/pairs/A", tmp_path / "sketches")
    network = init_normal(parse_spec("resnet:4").build(), torch.Generator().manual_seed(0))
    save_official(network, tmp_path / "latest_net_G.pth")
    return tmp_path


def test_every_command_runs(cli: Cli, folder: Path):
    """In the order of the README, each with what the ones before left."""
    assert len(COMMANDS) >= 12
    for command in COMMANDS:
        words = shlex.split(command)
        verb, *rest = words[[word.endswith("pocketgan") for word in words].index(True) + 1 :]
        rest = [each for word in rest for each in (map(str, sorted(folder.glob(word))) if "*" in word else [word])]
        compared = rest == ["before", "after"]
        if compared:
            shutil.copytree("before", "after")
        more = () if compared or "--list" in rest else SHORT.get(verb, ())
        ended = cli(verb, *rest, *more)
        if verb in ASKING:
            assert (ended.code, ASKING[verb] in ended.err) == (2, True), f"{command}: {ended.err}"
        else:
            assert ended.code == 0, f"{command}: {ended.err}"
    left = (
        "runs/NAME/report.html",
        "pictures/p00.png",
        "page/index.html",
        "small.onnx",
        "horse2zebra/model.json",
        "runs/demo/report.html",
    )
    assert all((folder / each).is_file() for each in left)


def test_make_targets_exist():
    targets = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 8
    for link in links:
        assert (ROOT / link).exists(), link
