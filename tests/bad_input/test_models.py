"""Models and ONNX files that are damaged, missing or of another kind."""

import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from pocketgan.models import save_model
from pocketgan.networks import PatchSpec, ResnetSpec, init_normal
from tests.bad_input.conftest import Cli, refused, toy
from tests.conftest import Outcome, call_main


def _truncate(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_weights(folder: Path) -> None:
    tensors = load_file(folder / "weights.safetensors")
    tensors.popitem()
    save_file(tensors, folder / "weights.safetensors")


def _description(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.json").write_text(content) and None


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights cut short": (_truncate, "weights.safetensors is cut short or of another network"),
    "weights empty": (
        lambda f: (f / "weights.safetensors").write_bytes(b"") and None,
        "weights.safetensors is cut",
    ),
    "weights of another network": (_other_weights, "weights.safetensors is cut short or of another network"),
    "weights missing": (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors is missing"),
    "description missing": (lambda f: (f / "model.json").unlink(), "there is no model.json in it"),
    "description cut short": (
        _description('{"format": 1, "spec": {"kind": "res'),
        "model.json describes no network",
    ),
    "description empty": (_description(""), "model.json describes no network"),
    "description of something else": (_description("[1, 2]"), "model.json describes no network"),
    "description without spec": (_description('{"format": 1}'), "model.json describes no network"),
    "unknown network": (_description('{"spec": {"kind": "nerf"}}'), "model.json describes no network"),
    "bytes": (
        lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00") and None,
        "model.json describes no network",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model(cli: Cli, model: Path, pairs: Path, out: Path, tmp_path: Path, damage: str):
    broken = copytree(model, tmp_path / "broken")
    spoil, reason = DAMAGE[damage]
    spoil(broken)
    made = tmp_path / "made"
    for words in (
        ("profile", broken),
        ("evaluate", broken, pairs),
        ("translate", broken, pairs / "A", "-o", made),
        ("export", broken, "-o", made),
        toy(pairs, out, "--teacher", broken),
    ):
        refused(cli(*words), str(broken), reason, ";")
    assert not made.exists()


def test_a_discriminator_is_no_generator(cli: Cli, pairs: Path, out: Path, tmp_path: Path):
    save_model(tmp_path / "judge", PatchSpec(width=2).build(), {})
    reason = "judge holds a discriminator; give the folder of a generator"
    refused(cli("profile", tmp_path / "judge"), reason)
    refused(cli("translate", tmp_path / "judge", pairs / "A", "-o", tmp_path / "made"), reason)
    refused(cli(*toy(pairs, out, "--teacher", tmp_path / "judge")), "judge holds a discriminator; give a generator")
    save_model(tmp_path / "teacher", init_normal(ResnetSpec.uniform(2).build(), torch.Generator()), {})
    both = ("--teacher", tmp_path / "teacher", "--discriminator", tmp_path / "teacher")
    refused(cli(*toy(pairs, out, *both)), "teacher holds a generator; give the teacher's discriminator")
    alone = ("--discriminator", tmp_path / "judge")
    refused(cli(*toy(pairs, out, *alone)), "judge has no teacher; name that with --teacher")


def test_models_that_do_not_exist(cli: Cli, pairs: Path, out: Path, tmp_path: Path):
    nowhere, empty, file = tmp_path / "nowhere", tmp_path / "empty", tmp_path / "file.pth"
    empty.mkdir()
    file.touch()
    refused(cli("profile", nowhere), "nowhere does not exist; give a model folder, a run folder or a spec like")
    refused(cli("profile", empty), "empty holds no model: there is no model.json in it; give")
    refused(cli("profile", file), "file.pth is a file; give a model folder, a run folder or a spec like")
    refused(cli("report", empty), "empty is no run folder: there is no recipe.json in it; give the --out of a run")
    refused(cli("report", nowhere), "nowhere is no run folder")
    refused(cli(*toy(pairs, out, "--teacher", nowhere)), "nowhere cannot be read")


def test_an_onnx_file_that_does_not_exist(cli: Cli, tmp_path: Path):
    refused(cli("profile", tmp_path / "m.onnx"), "m.onnx does not exist; give a file for onnxruntime")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x07" * 100])
def test_an_onnx_file_of_garbage(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes):
    (tmp_path / "m.onnx").write_bytes(content)
    code = call_main("profile", tmp_path / "m.onnx")
    refused(
        Outcome(code, *capfd.readouterr()), "m.onnx is damaged, or no network that takes one image of 256 pixels"
    )


def test_an_onnx_file_of_another_kind(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A model of two inputs, and one that takes other images."""
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "ab"]
    output = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["a", "b"], ["c"])], "sum", inputs, [output])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "sum.onnx")
    code = call_main("profile", tmp_path / "sum.onnx")
    refused(Outcome(code, *capfd.readouterr()), "sum.onnx is damaged, or no network that takes one image")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_an_export_replaces_files_only(cli: Cli, model: Path, tmp_path: Path):
    """Root could replace /dev/null by a model."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        refused(cli("export", model, "-o", place), f"'{place}' is no file that an export could replace; choose")
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 1


def test_an_onnx_file_does_not_run_on_torch(cli: Cli, toy_run):
    file = toy_run.folder / "export" / "compressed.onnx"
    refused(
        cli("profile", file, "--runtime", "torch"), "runs on onnxruntime, not on torch; leave --runtime torch out"
    )
