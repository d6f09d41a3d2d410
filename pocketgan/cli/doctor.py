"""The verb that looks at the machine: doctor."""

from __future__ import annotations

from pocketgan.cli.options import Json
from pocketgan.cli.show import facts, print_json, say


def doctor(as_json: Json = False) -> None:
    """What this machine has for the work: versions, devices, runtimes, weights, and what will be slow and why."""
    from pocketgan.deploy.doctor import examine

    found = examine()
    if as_json:
        return print_json(found.model_dump(mode="json"))
    for title in ("versions", "devices", "threads", "runtimes", "weights"):
        print(title)
        facts((f"  {name}", text) for name, text in getattr(found, title).items())
    print(f"--device auto is {found.device}")
    for sentence in found.slow:
        say(f"slow: {sentence}")
