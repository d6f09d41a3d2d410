"""Every block of code in README and docs runs, on toys of what it names, or says why not; links lead somewhere; the
site builds.

The pages of `WHOLE` compress for real. On the others `compress` is a `plan`, which reads the images, checks every
option and settles the recipe; no pace is measured for it. tests/methods carry out recipes of every kind of data.
"""

import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import nn

import pocketgan as pg
from pocketgan import cli as command_line
from pocketgan.deploy.runtimes import runtimes_by_format
from pocketgan.interop.official import save_official
from pocketgan.models import save_model
from pocketgan.networks import init_normal, parse_spec
from tests.conftest import TOY, TOY_DEMO, Outcome, ToyRun, draw_pairs
from tests.methods.test_supernet_runs import draw_labels, draw_unpaired

Cli = Callable[..., Outcome]
COMPRESS = pg.compress
VERBS = [verb.__name__.rstrip("_") for verb in command_line.VERBS]
ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = {str(path.relative_to(ROOT)): path for path in (README, *sorted((ROOT / "docs").rglob("*.md")))}
WHOLE = ("README.md", "docs/tutorial.md")
#: what is put behind a command so that it takes seconds: of an option that is given twice, the last one counts
SHORT = {
    "compress": ("--size", "24", *TOY_DEMO),
    "run": ("--size", "24", "--out", "runs/recipe", *TOY_DEMO),
    "profile": ("--size", "64"),
    "evaluate": ("--size", "24"),
    "fold": ("--images", "8"),
    "demo": ("--static", "page"),
    "study": ("--seeds", "1", "--seconds", "0.05", "--size", "24", "--width", "16"),
}
#: the side of the toy images in these folders
SIDES = {"path/to/pairs": 24, "path/to/images": 24, "path/to/scans": 24, "path/to/two-sets": 64, "path/to/maps": 64}
#: files that the commands of a page leave
LEFT = {
    "README.md": ("runs/pairs/report.html", "page/index.html"),
    "docs/tutorial.md": ("runs/mine/report.html", "pictures/p00.png", "page/index.html", "small.onnx"),
}
#: what the model of scans has learnt
SCANS = {
    "input": dict(channels=1, low=-1000, high=3000, dtype="int16"),
    "output": dict(channels=1, high=4095, dtype="uint16"),
}
#: the Python of these pages runs in tests of their own, and so does what is in these languages
ELSEWHERE = {"docs/deploy.md": ("js", "java", "swift")}


class Block(NamedTuple):
    language: str
    text: str
    #: why it is not run, if it is not
    reason: str


def blocks_of(page: str) -> list[Block]:
    found = re.finditer(
        r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
        PAGES[page].read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return [Block(each["language"], each["text"], each["reason"] or "") for each in found]


def commands_of(page: str) -> Iterator[str]:
    """Those of `pocketgan`, in the order of the page; several in a line stand apart by `;` or three spaces."""
    for block in blocks_of(page):
        if block.language == "sh" and not block.reason:
            for line in block.text.splitlines():
                yield from (each.strip() for each in re.split(r"\s{3,}|;", line.split("#")[0]) if each.strip())


def in_language(language: str) -> list[str]:
    return [page for page in PAGES if any(b.language == language and not b.reason for b in blocks_of(page))]


class Net(nn.Sequential):
    """A generator of a user's."""

    def __init__(self, width: int = 16):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))


def drawn(spec: str, **fields: Any) -> nn.Module:
    """An untrained network."""
    network = parse_spec(spec).model_copy(update=fields).build()
    return init_normal(network, torch.Generator().manual_seed(0)).eval()


def draw_scans(place: Path) -> None:
    """Noise of 13 and of 12 bits, the first one signed."""
    rng = np.random.default_rng(0)
    for domain, low, high, dtype in (("A", -1000, 3000, np.int16), ("B", 0, 4095, np.uint16)):
        (place / domain).mkdir(parents=True)
        for number in range(12):
            tifffile.imwrite(place / domain / f"p{number:02}.tif", rng.integers(low, high, (24, 24)).astype(dtype))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_run: ToyRun) -> Path:
    """What the pages name: images of every kind, checkpoints, a generator, a finished run."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(toy_run.data, "path/to/pairs")
    for images in ("sketches", "path/to/images"):
        shutil.copytree(toy_run.data / "A", images)
    for run in ("runs/NAME", "runs/demo"):
        shutil.copytree(toy_run.folder, run)
    draw_pairs(tmp_path / "more", "aligned", seed=1).rename("path/to/inputs")
    draw_pairs(tmp_path / "path/to/large", size=144)
    draw_unpaired(tmp_path / "path/to/two-sets")
    draw_labels(tmp_path / "path/to/maps")
    draw_scans(tmp_path / "path/to/scans")
    save_official(drawn("resnet:4"), tmp_path / "latest_net_G.pth")
    torch.save(Net().state_dict(), tmp_path / "net.pth")
    for model in ("examples/nuclei/model", "examples/nuclei/staining"):  # tests/test_showcase.py has the real ones
        save_model(tmp_path / model, drawn("resnet:4"), {"size": [24, 24]})
        shutil.copytree(toy_run.data / "A", tmp_path / model / "examples" / "A")
    save_model(tmp_path / "models/other", drawn("resnet:4"), {})
    save_model(tmp_path / "models/maps", drawn("spade:4@4"), {"labels": {"classes": 3, "instances": True}})
    save_model(tmp_path / "models/scans", drawn("resnet:4", in_channels=1, out_channels=1), SCANS)
    (tmp_path / "my").mkdir()
    source = inspect.getsource(Net).replace("nn.", "torch.nn.")
    (tmp_path / "my/net.py").write_text(f"import torch\n\n\n{source}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # a page changes it
    return tmp_path


@pytest.mark.parametrize("page", in_language("sh"))
def test_every_command_runs(page: str, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of the page, each with what the ones before left."""
    if page not in WHOLE:
        monkeypatch.setattr(
            "pocketgan.runs.run.estimate_seconds", lambda recipe, *_: dict.fromkeys(recipe.all_stages, 1.0)
        )
    for command in commands_of(page):
        run_command(command, cli, folder, whole=page in WHOLE)
    assert all((folder / each).is_file() for each in LEFT.get(page, ()))


def run_command(command: str, cli: Cli, folder: Path, whole: bool) -> None:
    """Run one line, or look whether its target of make is there."""
    words = shlex.split(command)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
        return
    assert Path(words[0]).name == "pocketgan", f"{command}: say why it is not run, or teach this test to run it"
    rest = [each for word in words[1:] for each in (map(str, sorted(folder.glob(word))) if "*" in word else [word])]
    verb = next(word for word in rest if word in VERBS)
    if verb == "compress" and not whole:
        rest[rest.index(verb)] = verb = "plan"
    compared = verb == "evaluate" and len(rest) == 3 and "/" not in rest[2]
    if compared and not Path(rest[2]).exists():
        shutil.copytree(rest[1], rest[2])
    if verb == "export" and "--format" in rest:
        there = rest.index("--format") + 1
        rest[there] = ",".join(each for each in rest[there].split(",") if installed(each))
    if verb == "plan":
        rest += [each for data, side in SIDES.items() if data in rest for each in ("--size", side)]
    if not compared and not {"--list", "--help"} & {*rest}:
        rest += SHORT.get(verb, ())
    ended = cli(*rest)
    if verb == "prepare" and "--list" not in rest:
        assert (ended.code, "add --yes to download it" in ended.err) == (2, True), f"{command}: {ended.err}"
    else:
        assert ended.code == 0, f"{command}: {ended.err}"


def installed(format: str) -> bool:
    """Whether files of a format can be written here."""
    runtime = runtimes_by_format().get(format)
    return runtime is None or runtime.package is None or importlib.util.find_spec(runtime.package[0]) is not None


@pytest.mark.parametrize("page", [page for page in in_language("python") if page not in ELSEWHERE])
def test_python_runs(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Block after block, with the toys of what they name."""
    settings = dict(text.split("=", 1) for text in TOY[3::2])
    toy = dict(size=24, settings=settings, method=TOY[1])
    monkeypatch.setattr(pg, "compress", lambda *data, **options: COMPRESS(*data, **{**options, **toy}))
    names: dict[str, Any] = {
        "my_generator": Net(),
        "example_input": torch.zeros(1, 3, 32, 32),
        "x": torch.zeros(2, 3, 32, 32),
    }
    for block in blocks_of(page):
        if block.language == "python" and not block.reason:
            exec(compile(block.text, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_code_is_run_or_says_why_not(page: str):
    """Code stands in fences of a known language, so that nothing is overlooked; the reasons are sentences."""
    text, blocks = PAGES[page].read_text(), blocks_of(page)
    assert len(blocks) == text.count("\n```") / 2, "a fence is not at the beginning of its line, or not closed"
    for block in blocks:
        assert block.language in ("sh", "python", "text", *ELSEWHERE.get(page, ())) or block.reason, block
        assert not block.reason or len(block.reason) > 12
        assert block.language != "text" or not re.search(r"^\s*(pocketgan|make|import) ", block.text, re.MULTILINE)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"\n\n    \S", outside), "code without a fence"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str):
    """Pages of the command line and of Python's reference, made with the site, among them."""
    made = {ROOT / "docs/reference/cli.md"}
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", PAGES[page].read_text()):
        if "://" not in link:
            target = (PAGES[page].parent / link).resolve()
            assert target in made or target.exists(), link


def test_captions_tell_the_demo_as_it_was():
    rows = {row["kind"]: row for row in json.loads((ROOT / "benchmarks/results/demo.json").read_text())["rows"]}
    published, teacher, small = (rows[kind] for kind in ("published", "teacher", "compressed"))

    def distance(row: dict[str, Any]) -> str:
        return f"{row['scores']['fd_mobilenet_v2']:.0f}"

    figures = [
        f"{published['macs'] / small['macs']:.1f} times fewer MACs",
        f"{published['params'] / small['params']:.0f} times fewer parameters",
        f"{distance(small)} against the largest subnet's {distance(teacher)}",
        f"L1 of {small['scores']['l1']:.3f} against {teacher['scores']['l1']:.3f}",
    ]
    assert [figure for figure in figures if figure not in caption_of("docs/index.md")] == []


def test_the_readme_tells_the_costs_of_its_pictures():
    models = [folder.parent for folder in (ROOT / "examples/nuclei/model").rglob("model.json")]
    costs = sorted(pg.profile(model)["macs"] for model in models)
    assert len(costs) >= 4
    first, last = (f"{cost / 1e9:.1f}" for cost in (costs[0], costs[-1]))
    between = ", ".join(f"{cost / 1e9:.1f}" for cost in costs[1:-1])
    assert f"of {first}, {between} and {last} G MACs" in caption_of("README.md")


def caption_of(page: str) -> str:
    """What stands below the first picture of a page."""
    return " ".join(PAGES[page].read_text().partition("*From above")[2].split())


def test_the_site_builds_and_asks_for_nothing_outside(tmp_path: Path):
    """Without a warning; its pages name no script, style, font or picture of another host."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("needs mkdocs: pip install -e '.[docs]'")
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    ended = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert {page.removeprefix("docs/").replace(".md", ".html") for page in PAGES if page != "README.md"} <= {
        path.relative_to(tmp_path / "site").as_posix() for path in built
    }
    for path in built:
        tags = re.findall(r"<(?:link|script|img|source|iframe)\b[^>]*>", path.read_text())
        outside = [tag for tag in tags if re.search(r"(?:href|src|srcset)=[\"']?(?:https?:)?//", tag)]
        assert not outside, path
    for path in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", path.read_text()), path
    commands, python = ((tmp_path / f"site/reference/{page}.html").read_text() for page in ("cli", "python"))
    assert [verb for verb in VERBS if f'id="{verb}"' not in commands] == []
    assert [name for name in inspect.signature(COMPRESS).parameters if f"<code>{name}</code>" not in python] == []
