"""What a finished stage left, file by file with its SHA-256: written before the artifact takes its name, compared
whenever it is read."""

from __future__ import annotations

import json
from pathlib import Path

from pocketgan.files import file_sha256, replacing

MANIFEST = "digests.json"


def seal(home: Path, artifact: Path) -> None:
    """Write down what lies in the folder of a stage, and in its artifact, which still has another name."""
    found = {f"artifact/{path.relative_to(artifact).as_posix()}": path for path in artifact.rglob("*")}
    for item in home.iterdir():
        # not what somebody writes just now: locks, parts, states
        if item.name not in (MANIFEST, "artifact", "state") and not item.name.startswith("."):
            found |= {path.relative_to(home).as_posix(): path for path in (item, *item.rglob("*"))}
    digests = {name: file_sha256(path) for name, path in sorted(found.items()) if path.is_file()}
    with replacing(home / MANIFEST) as part:
        part.write_text(json.dumps(digests, indent=1) + "\n")


def content(home: Path) -> str:
    """What tells a finished artifact from another one of the same stage; nothing for one of an earlier version."""
    try:
        digests = dict(json.loads((home / MANIFEST).read_text()))
    except FileNotFoundError:
        return ""
    return json.dumps({name: digest for name, digest in digests.items() if name.startswith("artifact/")})


def damaged(home: Path) -> tuple[str, ...]:
    """The files of a finished stage that are not what they were; nothing is known of one of an earlier version.

    What lies beside the artifact may be missing: nothing depends on it.
    """
    try:
        digests = dict(json.loads((home / MANIFEST).read_text()))
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError):
        return (MANIFEST,)
    return tuple(name for name, digest in digests.items() if not _is(home / name, digest, name))


def _is(path: Path, digest: str, name: str) -> bool:
    return file_sha256(path) == digest if path.is_file() else not name.startswith("artifact/")


def spoils_the_artifact(name: str) -> bool:
    """Whether a damaged file makes the stage's artifact unfit for use."""
    return name == MANIFEST or name.startswith("artifact/")
