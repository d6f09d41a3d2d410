"""A finished teacher that a user brings along."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field

from pocketgan.data.task import Direction
from pocketgan.errors import DataError
from pocketgan.interop.importing import import_checkpoint
from pocketgan.models import Model, is_model, load_model, save_model
from pocketgan.networks import DiscriminatorSpec, GeneratorSpec, NetworkSpec, SharedPatchSpec
from pocketgan.pipeline.stage import Stage, Workspace


class TeacherFile(Stage):
    """A finished teacher: a model folder, an artifact with `model/` in it, or a checkpoint that `import` knows.

    Leaves: a copy as `model/`, and as `discriminator/` where one came with it.
    Fields:
        direction: what it was trained for, where its card says so.
        content: SHA-256 of its files.
        file, discriminator_file: where they are; no part of the digest.
    """

    kind: Literal["teacher-file"] = "teacher-file"
    generator: GeneratorSpec
    discriminator: DiscriminatorSpec | None = None
    direction: Direction | None = None
    content: str
    # only the copying needs them: a recipe that is read back from its run folder does without
    file: Path = Field(default=Path(), exclude=True)
    discriminator_file: Path | None = Field(default=None, exclude=True)

    @classmethod
    def of(cls, file: Path, discriminator_file: Path | None = None) -> TeacherFile:
        """Its identity is the content of its files, not their place. A discriminator that lies beside `model/`
        comes along. Raises `DataError` where one is no generator, or the other no discriminator of one."""
        if file.is_dir() and not is_model(file) and (file / "model").is_dir():
            if discriminator_file is None and is_model(file / "discriminator"):
                discriminator_file = file / "discriminator"
            file = file / "model"
        spec = _network(file).spec
        if not isinstance(spec, NetworkSpec):
            raise DataError(f"{file} holds a discriminator; give a generator")
        discriminator = _network(discriminator_file).spec if discriminator_file else None
        if isinstance(discriminator, (NetworkSpec, SharedPatchSpec)):
            what = "generator" if isinstance(discriminator, NetworkSpec) else "discriminator of several generators"
            raise DataError(f"{discriminator_file} holds a {what}; give the teacher's discriminator")
        return cls(
            generator=cast(GeneratorSpec, spec),
            discriminator=discriminator,
            direction=load_model(file).card.get("direction") if file.is_dir() else None,
            content=_content(file, discriminator_file),
            file=file,
            discriminator_file=discriminator_file,
        )

    @property
    def leaves(self) -> tuple[str, ...]:
        return ("model", "discriminator") if self.discriminator else ("model",)

    def spec(self, name: str = "model") -> GeneratorSpec:
        return self.generator.folded

    def model(self) -> Model:
        """The generator, as its files have it."""
        network = _network(self.file).eval()
        return Model(network, network.spec, load_model(self.file).card if self.file.is_dir() else {})

    def run(self, work: Workspace) -> None:
        if _content(self.file, self.discriminator_file) != self.content:
            raise DataError(f"{self.file} is no longer the teacher that this run was given; put that one back")
        for name, file in (("model", self.file), ("discriminator", self.discriminator_file)):
            if file:
                save_model(work.artifact / name, _network(file), {"made_by": self.address})


def _network(file: Path) -> Any:
    """The network of a model folder or of a foreign checkpoint."""
    return load_model(file).network if file.is_dir() else import_checkpoint(file).network


def _content(*files: Path | None) -> str:
    return hashlib.sha256(b"".join(_bytes(file) for file in files if file)).hexdigest()


def _bytes(file: Path) -> bytes:
    """What makes a model folder or a checkpoint what it is."""
    files = [file / name for name in ("model.json", "weights.safetensors")] if file.is_dir() else [file]
    return b"".join(path.read_bytes() for path in files)
