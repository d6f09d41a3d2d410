"""The classes for Android and iOS of docs/deploy.md are compiled, and run with stand-ins of what a phone has.

The folder `phone` holds these: signatures as their makers document them, and a network that gives -1.25 x. Its
programs read width, height and bytes (red, green, blue, alpha) of an image, and print the shape and the values that
the network saw, and the bytes of the picture.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketgan.data.images import to_tensor, to_uint8
from tests.deploy.test_docs import block

PHONE = Path(__file__).parent / "phone"


def java(folder: Path) -> list[Any]:
    (folder / "Small.java").write_text(block("java"))
    quick = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"]
    sources = [folder / "Small.java", *PHONE.glob("*.java")]
    subprocess.run(["javac", *quick, "-d", folder, *sources], check=True)
    return ["java", "-cp", folder, "Check"]


def swift(folder: Path) -> list[Any]:
    (folder / "small.swift").write_text(block("swift"))
    # what it imports are modules without contents: the stand-ins are compiled together with it
    (folder / "module.modulemap").write_text("module CoreGraphics {}\nmodule CoreML {}\n")
    sources = [folder / "small.swift", *PHONE.glob("*.swift")]
    subprocess.run(["swiftc", "-lm", "-I", folder, "-o", folder / "check", *sources], check=True)
    return [folder / "check"]


@pytest.mark.parametrize(("compiler", "build"), [("javac", java), ("swiftc", swift)])
def test_pixels_shapes_and_names(compiler, build, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}: apt-get install default-jdk-headless, or swiftlang")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 4), np.uint8)
    pixels[..., 3] = 255
    given = " ".join(map(str, [9, 6, *pixels.ravel()]))
    said = subprocess.run(build(tmp_path), input=given, capture_output=True, text=True, check=True).stdout
    shape, values, picture = (line.split() for line in said.splitlines())
    assert shape == ["1", "3", "6", "9"]
    expected = to_tensor(pixels[None, ..., :3])
    assert np.array_equal(np.array(values, np.float32), expected.numpy().ravel())
    made = np.array(picture, np.uint8).reshape(pixels.shape)
    assert np.array_equal(made[..., :3], to_uint8(-1.25 * expected)[0])
    assert (made[..., 3] == 255).all()
