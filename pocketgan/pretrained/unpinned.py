"""Weights whose publisher states no checksum: never downloaded, only taken from where the user put them."""

from pathlib import Path

from pocketgan.errors import DataError
from pocketgan.pretrained.weights import cache_folder


def find_unpinned(name: str, file: str, page: str, given: Path | None = None) -> Path:
    """The file of weights: ``given``, else ``file`` in the cache folder.

    Raises DataError, which says where it is published (``page``), where there is none.
    """
    path = given or cache_folder() / "weights" / file
    if path.is_file():
        return path
    if given is not None:
        raise DataError(f"{given}, given as the weights of {name}, is no file; give {file}")
    raise DataError(
        f"{name} needs its trained weights, which are published without a checksum and so never downloaded; "
        f"get {file} from {page} and put it at {path}, or give the file with --weights {name}=FILE"
    )
