"""What is installed: a wheel, or a source distribution, needs no node and no checkout."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import pocketgan
from pocketgan.demo.site import RUNTIMES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution as an installer builds it."""
    sdists = pytest.importorskip("hatchling.builders.sdist", reason="needs hatchling: pip install -e '.[dev]'")
    from hatchling.builders.wheel import WheelBuilder

    place = tmp_path_factory.mktemp("package")
    (sdist,) = sdists.SdistBuilder(str(ROOT)).build(directory=str(place))
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    (built,) = WheelBuilder(str(place / Path(sdist).name.removesuffix(".tar.gz"))).build(directory=str(place))
    return Path(built)


def test_the_whole_package_is_in_the_wheel(wheel):
    """With the page and the browser's runtime, which the rules of git's own ignored files could leave out."""
    held = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    files = (path for path in (ROOT / "pocketgan").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(ROOT).as_posix() for path in files}
    runtime = {f"pocketgan/demo/page/ort/{part}" for parts in RUNTIMES.values() for part in parts}
    typed = {"pocketgan/py.typed"}
    assert {*runtime, *typed, "pocketgan/demo/page/ort/LICENSES.txt", "pocketgan/demo/page/ort/xz.mjs"} <= held


def test_an_installed_wheel_translates_outside_of_the_checkout(wheel, tmp_path):
    target = tmp_path / "site"
    script = "import pocketgan; from pocketgan.cli import main; print(pocketgan.__file__); main()"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", target, wheel], check=True)
    picture = next((ROOT / "examples/nuclei/stained/A").iterdir())
    words = ["translate", "mobile-resnet:4", str(picture), "--size", "64", "-o", str(tmp_path / "out")]
    ran = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.splitlines()[0]).is_relative_to(target)
    assert [path.stem for path in (tmp_path / "out").iterdir()] == [picture.stem]


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## \[?(\d[\d.]*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {project["version"], cited[1], newest[1]} == {pocketgan.__version__}


def test_the_image_is_made_of_what_is_there():
    """What the Dockerfile copies exists and is let in by .dockerignore; its extras are the project's."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied
    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"/source\[(\w+)\]", "\n".join(lines))) <= extras.keys()
