"""The pixels of a split, decoded and resized once into one file, then mapped into memory."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pocketgan.data.images import read_rgb, resize
from pocketgan.data.layouts import Kind, Pair, Split
from pocketgan.data.task import Task
from pocketgan.errors import OutputError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class PairSet:
    """The pairs of a split as pixels.

    Attributes:
        names: one a pair, in order.
        images: a read-only memory map; `[:, 0]` are the sources, `[:, 1]` the targets.
    """

    names: list[str]
    images: UInt8[np.ndarray, "pairs 2 side side 3"]

    def __len__(self) -> int:
        return len(self.names)


def load_pairs(
    task: Task,
    split: Split,
    cache_dir: Path,
    *,
    training: bool,
    progress: Progress | None = None,
) -> PairSet:
    """The pixels of a split: `task.load_size` square for training, `task.size` square else.

    The first call decodes and writes the cache (2 * 3 * side * side bytes a pair); later ones only map it.
    One cache serves both directions.

    Args:
        cache_dir: made if missing; may be shared by any number of tasks and processes.
        progress: called with (pairs done, pairs in all) while decoding.

    Raises:
        DataError: an image is corrupt or truncated.
        OutputError: the cache cannot be written.
    """
    side = task.load_size if training else task.size
    pairs = task.files(split)
    names = [pair.name for pair in pairs]
    key = hashlib.sha256(json.dumps([task.data_digest, split, side, names]).encode()).hexdigest()[:16]
    path = Path(cache_dir) / f"{split}-{side}-{key}.npy"
    if not path.exists():
        _write(path, pairs, task.layout, side, progress)
    images = np.load(path, mmap_mode="r")
    return PairSet(names, images if task.direction == "AtoB" else images[:, ::-1])


def _write(path: Path, pairs: list[Pair], kind: Kind, side: int, progress: Progress | None) -> None:
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(pairs), 2, side, side, 3)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Plain writes: through a memory map, a full disk would kill the process instead of raising.
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for done, pair in enumerate(pairs, 1):
                for image in _decoded(pair, kind):
                    file.write(resize(image, side, side).tobytes())
                if progress:
                    progress(done, len(pairs))
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write the cache {path}: {error.strerror}; choose another place") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _decoded(pair: Pair, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    if kind == "folders":
        return read_rgb(pair.path_a), read_rgb(pair.path_b)
    image = read_rgb(pair.path_a)
    middle = image.shape[1] // 2
    return image[:, :middle], image[:, middle:]
