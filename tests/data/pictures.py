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
