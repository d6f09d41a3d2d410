"""Small pictures and data folders."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 16, width: int = 16) -> np.ndarray:
    """Noise, so that any two pictures and any two crops differ."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_picture(path: Path, seed: int = 0, height: int = 16, width: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, height, width)).save(path)
    return path


def write_folders(root: Path, count: int, side: int = 16, a: str = "A", b: str = "B") -> Path:
    """Pairs p00, p01, ...; the pictures of A are seeded 0, 1, ..., those of B 100, 101, ..."""
    for index in range(count):
        write_picture(root / a / f"p{index:02}.png", index, side, side)
        write_picture(root / b / f"p{index:02}.png", 100 + index, side, side)
    return root


def write_aligned(folder: Path, count: int, side: int = 16, first: int = 0) -> Path:
    """Side-by-side images p00, p01, ..., seeded 0, 1, ..."""
    for index in range(first, first + count):
        write_picture(folder / f"p{index:02}.png", index, side, 2 * side)
    return folder


def write_sets(root: Path, a: int, b: int, side: int = 16, folders: tuple[str, str] = ("A", "B")) -> Path:
    """Two sets without pairs: a00, a01, ... seeded 0, 1, ... and b00, b01, ... seeded 100, 101, ..."""
    for folder, letter, count, first in ((folders[0], "a", a, 0), (folders[1], "b", b, 100)):
        for index in range(count):
            write_picture(root / folder / f"{letter}{index:02}.png", first + index, side, side)
    return root


def numbers(seed: int, largest: int, height: int = 16, width: int = 16) -> np.ndarray:
    """A map of uint8 numbers in blocks of 4 x 4; `largest` is among them."""
    blocks = np.random.default_rng(seed).integers(0, largest + 1, (height // 4, width // 4))
    blocks[0, 0] = largest
    return np.kron(blocks, np.ones((4, 4), int)).astype(np.uint8)


def write_map(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write_labels(
    root: Path,
    count: int,
    prefix: str = "",
    *,
    classes: int = 5,
    side: int = 16,
    instances: bool = True,
    folders: tuple[str, str, str] = ("label", "image", "inst"),
) -> Path:
    """Label maps m00, m01, ... seeded 0, 1, ..., instances seeded 50, 51, ..., images seeded 100, 101, ..."""
    for index in range(count):
        name = f"m{index:02}.png"
        write_map(root / f"{prefix}{folders[0]}" / name, numbers(index, classes - 1, side, side))
        write_picture(root / f"{prefix}{folders[1]}" / name, 100 + index, side, side)
        if instances:
            write_map(root / f"{prefix}{folders[2]}" / name, numbers(50 + index, 9, side, side))
    return root
