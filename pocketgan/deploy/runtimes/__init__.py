"""The runtimes that serve networks: each file in this folder is one, and holds it as `RUNTIME`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

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


class Serving(NamedTuple):
    """A runtime, and on how many threads it computes."""

    runtime: ServingRuntime
    threads: int

    @classmethod
    def of(cls, text: str, threads: int = 1) -> Serving:
        """That of 'onnxruntime:2'; so many `threads` where none are named. Raises `SpecError` for what is none."""
        name, colon, own = text.partition(":")
        if colon and not re.fullmatch("[1-9][0-9]{0,3}", own, re.ASCII):
            raise SpecError(f"--runtime '{text}' cannot be read; write a runtime and its threads, as onnxruntime:1")
        return cls(runtime_named(name), int(own or threads))

    @classmethod
    def of_files(cls, text: str) -> Serving:
        """The same of a runtime that is here and has files. Raises `SpecError` for another."""
        serving = cls.of(text)
        if serving.runtime.export is None:
            raise SpecError(f"{text} runs networks as they are and has no files; choose another --runtime")
        serving.runtime.check_runs()
        return serving

    def __str__(self) -> str:
        return f"{self.runtime.name}:{self.threads}"


def runtime_of_file(text: str) -> ServingRuntime | None:
    """The runtime whose format a file is, by the end of its name; None for what names no such file.

    Raises `SpecError` where there is no file of that name, or where loading it could run any code.
    """
    path = Path(text)
    own = next((each for each in runtimes_by_format().values() if each.suffix == path.suffix), None)
    if own is None or (path.is_dir() and not own.folder):
        return None
    if not own.is_at(path):
        raise SpecError(
            f"{path} does not exist; give a file for {own.name}, a model folder or a spec like mobile-resnet:48"
        )
    if own.programs:
        raise SpecError(
            f"{path} is a program, which may do anything where it is loaded, so it is not; give the model folder, "
            "or a file that holds none, as --format onnx writes it"
        )
    return own
