"""What a stage is: a frozen value that says how to make one artifact.

Its digest is its address. It covers the kind and revision of the stage, every field, the digests of the stages
that it builds on, and the content of the data; so equal stages share artifacts and a changed field makes a new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pocketgan.runtime import Runtime

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Workspace:
    """What a stage may use while it runs.

    Attributes:
        folder: its own; `state/` in it survives an interruption and goes away at the end.
        artifact: where to write the result; it becomes visible as a whole when the stage returns.
        cache: decoded images, shared by all stages.
        inputs: for each stage that this one builds on, the folder of its finished artifact.
    """

    folder: Path
    artifact: Path
    cache: Path
    inputs: Callable[[Stage], Path]
    runtime: Runtime
    progress: Progress


class Stage(BaseModel):
    """Base of all stages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: raised whenever the same fields come to mean other numbers
    revision: ClassVar[int] = 1

    kind: str

    def run(self, work: Workspace) -> None:
        """Make the artifact in `work.artifact`, going on from `work.folder / 'state'` if there is any."""
        raise NotImplementedError

    def inputs(self) -> Iterable[Stage]:
        """The stages that this one builds on."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Stage):
                yield value

    @property
    def digest(self) -> str:
        """The address of the artifact."""
        content = {"kind": self.kind, "revision": self.revision, "fields": _canonical(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def address(self) -> str:
        """The folder name in a store."""
        return f"{self.kind}-{self.digest[:12]}"


def _canonical(value: Any) -> Any:
    """JSON in which stages stand as their digests; fields that pydantic excludes (paths) are left out."""
    if isinstance(value, BaseModel):
        return {
            name: {"stage": child.digest} if isinstance(child, Stage) else _canonical(child)
            for name, field in type(value).model_fields.items()
            if not field.exclude
            for child in [getattr(value, name)]
        }
    if isinstance(value, (tuple, list)):
        return [_canonical(item) for item in value]
    return value
