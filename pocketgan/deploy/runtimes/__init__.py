"""The runtimes that serve networks: each file in this folder is one, and holds it as `RUNTIME`."""

from __future__ import annotations

from pathlib import Path

from pocketgan.deploy.serving import ServingRuntime
from pocketgan.errors import SpecError
from pocketgan.folders import names_in, value_in


def runtime_names() -> list[str]:
    """The names of all runtimes."""
    return names_in("deploy.runtimes")


def runtime_named(name: str) -> ServingRuntime:
    """The runtime of a name. Raises `SpecError` where there is none."""
    return value_in("deploy.runtimes", name, "runtime")


def runtimes_by_format() -> dict[str, ServingRuntime]:
    """The runtimes that have a file format of their own, by the format's name."""
    every = map(runtime_named, runtime_names())
    return {runtime.format: runtime for runtime in every if runtime.format}


def runtime_of_file(text: str) -> ServingRuntime | None:
    """The runtime whose format a file is, by the end of its name; None for what names no such file.

    Raises `SpecError` where there is no file of that name.
    """
    path = Path(text)
    own = next((each for each in runtimes_by_format().values() if each.suffix == path.suffix), None)
    if own is None or path.is_dir():
        return None
    if not path.is_file():
        raise SpecError(
            f"{path} does not exist; give a file for {own.name}, a model folder or a spec like mobile-resnet:48"
        )
    return own
