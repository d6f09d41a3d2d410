"""What is written holds no code, and what is read is not believed."""

import ast
import base64
import json
import pickletools
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

import pocketgan
from pocketgan.errors import DataError
from pocketgan.models import load_model, save_model
from pocketgan.networks import PatchSpec
from pocketgan.networks.program import TensorEntry
from pocketgan.training.state import load_state
from tests.conftest import ToyRun

SOURCES = sorted(Path(pocketgan.__file__).parent.rglob("*.py"))
#: calls that run what a file says, or write what could be run; `torch.save` is the format of others, for tests
FORBIDDEN = {
    *("eval", "exec", "compile", "pickle.load", "pickle.loads", "pickle.dump", "pickle.dumps", "pickle.Unpickler"),
    *("marshal.loads", "shelve.open", "torch.jit.load", "yaml.load", "tempfile.mktemp", "os.system"),
}
ALLOWED = {("interop/official.py", "torch.save")}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in our sources: its file, the name of what is called, and itself."""
    for path in SOURCES:
        place = path.relative_to(SOURCES[0].parent).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield place, ast.unparse(node.func), node


def test_no_code_is_run_from_a_file_or_written_to_one():
    found = list(calls())
    assert len(found) > 5000
    assert [(place, name) for place, name, _ in found if name in FORBIDDEN] == []
    assert {(place, name) for place, name, _ in found if name == "torch.save"} == ALLOWED
    for place, name, call in found:
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        assert name != "torch.load" or options["weights_only"] == "True", place
        assert options.get("allow_pickle", "False") == "False", place
        assert options.get("shell", "False") == "False", place


def is_pickle(content: bytes) -> bool:
    try:
        return len(list(pickletools.genops(content))) > 1
    except Exception:
        return False


def test_a_run_holds_no_pickle(toy_run: ToyRun):
    assert is_pickle(b"\x80\x04]\x94.")
    suffixes = set()
    for path in toy_run.folder.rglob("*"):
        if path.is_file() and path.stat().st_size:
            content = path.read_bytes()
            assert not is_pickle(content), path
            assert not content.startswith(b"PK"), f"{path} is an archive, which may hold some"
            suffixes.add(path.suffix)
    assert suffixes == {".json", ".jsonl", ".safetensors", ".npy", ".png", ".onnx", ".html"}


def header(fields: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(fields).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


#: what a safetensors file may claim
LIES = {
    "a header longer than the file": (1 << 60).to_bytes(8, "little") + b"{}",
    "a negative length": b"\xff" * 8 + b"{}",
    "a tensor beyond the end": header({"a": one([1 << 40], 0, 1 << 42)}, b"\0" * 16),
    "a shape that is not its bytes": header({"a": one([1 << 20], 0, 16)}, b"\0" * 16),
    "a shape that overflows": header({"a": one([1 << 32, 1 << 32], 0, 16)}, b"\0" * 16),
    "tensors that overlap": header({"a": one([4], 0, 16), "b": one([4], 0, 16)}, b"\0" * 16),
    "bytes of nobody": header({"a": one([1], 0, 4)}, b"\0" * 16),
    "an unknown type": header({"a": {"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
    "no header at all": b"",
    "a header that is no JSON": (4).to_bytes(8, "little") + b"{{{{",
}


@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie(lie: str, tmp_path: Path):
    save_model(tmp_path, PatchSpec(width=2).build(), {})
    for name, read in (("weights", lambda file: load_model(file.parent)), ("state", load_state)):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(LIES[lie])
        with pytest.raises(DataError, match="is damaged"):
            read(file)


def test_a_state_that_names_tensors_which_are_not_there(tmp_path: Path):
    (tmp_path / "state").write_bytes(save({"0": torch.zeros(1)}, metadata={"rest": '{"tensor": "7"}'}))
    with pytest.raises(DataError, match="is damaged"):
        load_state(tmp_path / "state")


def test_an_array_of_objects_is_no_image(tmp_path: Path):
    from pocketgan.data.raster import read_raster

    class Canary:
        def __reduce__(self):
            return (pytest.fail, ("code was run",))

    file = tmp_path / "image.npy"
    np.save(file, np.array([[Canary()]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError):
        read_raster(file.read_bytes(), file)


def test_a_program_is_not_loaded(cli, pairs: Path, tmp_path: Path):
    """What `torch.export.load` would run: pickled code, and formulas."""
    file = tmp_path / "small.pt2"
    file.write_bytes(b"PK\x03\x04")
    for words in (("profile", file), ("evaluate", file, pairs), ("translate", file, pairs, "-o", tmp_path / "out")):
        found = cli(*words)
        assert (found.code, found.out) == (2, "")
        assert found.err == (
            f"pocketgan: {file} is a program, which may do anything where it is loaded, so it is not; give the "
            "model folder, or a file that holds none, as --format onnx writes it\n"
        )
    assert not (tmp_path / "out").exists()


def test_a_buffer_that_would_fill_the_memory():
    packed = base64.b64encode(zlib.compress(b"[" + b"1," * (40 << 20), 9)).decode()
    assert len(packed) < 200_000
    with pytest.raises(ValueError, match="more than 67108864 characters"):
        TensorEntry([], False, "float32", (0.0, 0.0), packed).value()


def test_json_of_endless_depth(tmp_path: Path):
    (tmp_path / "model.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"model\.json describes no network"):
        load_model(tmp_path)
