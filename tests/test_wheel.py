"""What the wheel holds: a plain `pip install` needs no node, and no checkout."""

from pathlib import Path

import pytest

from pocketgan.demo.site import RUNTIMES

ROOT = Path(__file__).parents[1]


def test_the_whole_package_is_in_the_wheel():
    """With the page and the browser's runtime, which the rules of git's own ignored files could leave out."""
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling: pip install -e '.[dev]'")
    held = {file.distribution_path for file in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    files = (path for path in (ROOT / "pocketgan").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(ROOT).as_posix() for path in files}
    runtime = {f"pocketgan/demo/page/ort/{part}" for parts in RUNTIMES.values() for part in parts}
    assert {*runtime, "pocketgan/demo/page/ort/LICENSES.txt", "pocketgan/demo/page/ort/xz.mjs"} <= held
