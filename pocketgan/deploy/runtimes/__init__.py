"""The runtimes that serve networks: each file in this folder is one, and holds it as `RUNTIME`."""

from __future__ import annotations

from pocketgan.deploy.serving import ServingRuntime
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
