"""Broken and hostile checkpoints, imported one after the other; run as a program, by test_fuzz.py and by hand.

`python -m tests.interop.mutants 2000` is the long form.

Prints one JSON object: how the imports ended, the growth of this process's memory in bytes, and everything that
should not have happened. Memory beyond a limit cannot be had: a checkpoint that wants it fails.
"""

import io
import json
import random
import resource
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import save

from pocketgan.errors import UserError
from pocketgan.interop.importing import import_checkpoint
from pocketgan.interop.official import to_official
from pocketgan.networks import PatchSpec
from pocketgan.networks.presets import parse_spec

COUNT = 300
LIMIT = 2 << 30
NETWORKS = ("resnet:2", "mobile-resnet:2_1_2_1_2_1_2_1", "unet:1_1_1_1_1", "mobile-spade:1", "munit:1")


class Canary:
    """Leaves a folder behind when it is unpickled by anything that runs code."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.mkdir, (self.place,)


def states() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    specs = [parse_spec(text) for text in NETWORKS]
    specs[0] = specs[0].uniform(2, blocks=1, norm="batch")
    return [to_official(spec.build().state_dict(), spec) for spec in (*specs, PatchSpec(width=2))]


def packed(content, form: str) -> bytes:
    """As a file of PyTorch (new or old), or of safetensors where that can hold it."""
    if form == "safetensors" and all(isinstance(value, torch.Tensor) for value in content.values()):
        return save({key: value.contiguous() for key, value in content.items()})
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=form != "old")
    return buffer.getvalue()


def repacked(data: bytes, change) -> bytes:
    """A file of PyTorch whose pickle has gone through `change`, its checksums right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, change(content) if entry.filename.endswith("data.pkl") else content)
    return out.getvalue()


def flipped(data: bytes, rng: random.Random, count: int, end: int | None = None) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[rng.randrange(end or len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def larger(data: bytes, rng: random.Random) -> bytes:
    """One small number of a pickle becomes a very large one."""
    places = [i for i in range(len(data) - 1) if data[i : i + 1] == b"K"]
    if not places:
        return data[:-1]
    at = rng.choice(places)
    return data[:at] + b"J" + rng.choice((2**31 - 1, 2**28, 2**20)).to_bytes(4, "little") + data[at + 2 :]


def claimed(data: bytes, rng: random.Random) -> bytes:
    """A safetensors header whose shapes and offsets say more than there is."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    entry = header[rng.choice([key for key in header if key != "__metadata__"])]
    entry["shape"] = [rng.choice((10**12, 2**40, 2**63, -1)), *entry["shape"][1:]]
    if rng.random() < 0.5:
        entry["data_offsets"][1] = rng.choice((2**40, 2**62, 0))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def mutant(rng: random.Random, sources: list[dict[str, torch.Tensor]], canary: Path) -> tuple[str, bytes]:
    """One mutated file, and the kind of its mutation."""
    state = dict(rng.choice(sources))
    form = rng.choice(("new", "old", "safetensors"))
    key = rng.choice(list(state))
    kind = rng.choice(KINDS)
    if kind == "renamed":
        state[key[: rng.randrange(len(key))] + rng.choice(("", ".x", "\n", "weight", "é" * 9))] = state.pop(key)
    elif kind == "reshaped":
        shape = [rng.choice((0, 1, 2, 3, 7, 64)) for _ in range(rng.randrange(6))]
        state[key] = torch.zeros(shape, dtype=rng.choice((torch.float32, torch.int64, torch.complex64, torch.bool)))
    elif kind == "expanded":
        state[key], form = torch.zeros(1).expand(rng.choice((10**6, 10**10, 2**40)), 3), rng.choice(("new", "old"))
    elif kind == "not finite":
        state[key] = torch.full_like(state[key].float(), rng.choice((float("nan"), float("inf"))))
    elif kind == "wrapped":
        state = {
            rng.choice(("netG", "state_dict", "x", "")): state,
            "epoch": rng.choice((1, [1], {"a": None}, key)),
        }
    elif kind == "code":
        content = rng.choice(
            ({"x": Canary(canary), **state}, {"state_dict": state, "opt": [Canary(canary)]}, Canary(canary))
        )
        return kind, packed(content, rng.choice(("new", "old")))
    data = packed(state, form)
    if kind == "flipped":
        data = flipped(data, rng, rng.choice((1, 2, 20)))
    elif kind == "start flipped":
        data = flipped(data, rng, rng.choice((1, 3)), min(len(data), 200))
    elif kind == "truncated":
        data = data[: rng.randrange(len(data))]
    elif kind == "pickle flipped":
        data = repacked(packed(state, "new"), lambda content: flipped(content, rng, rng.choice((1, 2, 5))))
    elif kind == "sizes claimed":
        if form == "safetensors":
            data = claimed(data, rng)
        elif form == "new":
            data = repacked(data, lambda content: larger(content, rng))
        else:
            data = larger(data, rng)
    return kind, data


KINDS = (
    "flipped",
    "start flipped",
    "truncated",
    "pickle flipped",
    "sizes claimed",
    "renamed",
    "reshaped",
    "expanded",
    "not finite",
    "wrapped",
    "code",
)


def main(count: int) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rng, sources = random.Random(0), states()
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + LIMIT, resource.getrlimit(resource.RLIMIT_AS)[1]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    endings: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        canary, file = Path(folder) / "canary", Path(folder) / "mutant"
        for number in range(count):
            kind, data = mutant(rng, sources, canary)
            file.write_bytes(data)
            try:
                import_checkpoint(file)
                endings[f"{kind}: opened"] += 1
            except UserError as error:
                endings[f"{kind}: refused"] += 1
                if "\n" in str(error):
                    wrong.append(f"{number}, {kind}: more than a line: {error!r}")
            except BaseException as error:
                wrong.append(f"{number}, {kind}: {type(error).__name__}: {error}"[:300])
            if canary.exists():
                wrong.append(f"{number}, {kind}: its code was run")
                canary.rmdir()
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    json.dump({"endings": endings, "grown": grown, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
