"""Checkpoint files of every form, and files that are none."""

import argparse
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pocketgan.errors import DataError
from pocketgan.interop import checkpoint
from pocketgan.interop.checkpoint import read_networks, read_state

STATE = {"model.1.weight": torch.arange(6.0).view(2, 3), "model.1.bias": torch.ones(2)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "net.pth"


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


def refusal(file: Path) -> str:
    """Why a file is refused: one line that names the file."""
    with pytest.raises(DataError) as caught:
        read_state(file)
    text = str(caught.value)
    assert text.startswith(f"{file} ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("new", [True, False], ids=["new", "old"])
def test_files_of_pytorch(file: Path, new: bool):
    torch.save(STATE, file, _use_new_zipfile_serialization=new)
    assert same(read_state(file))


def test_files_of_safetensors(tmp_path: Path):
    """Known by what is in them, whatever they are called."""
    save_file(STATE, tmp_path / "weights")
    assert same(read_state(tmp_path / "weights"))


def test_a_length_that_looks_like_a_pickle(tmp_path: Path):
    """The first byte of a safetensors file is the last of its header's length."""
    file = tmp_path / "net.safetensors"
    for padding in range(256):
        save_file(STATE, file, metadata={"padding": "x" * 8 * padding})
        if file.read_bytes()[:1] == b"\x80":
            break
    assert file.read_bytes()[:1] == b"\x80"
    assert same(read_state(file))


@pytest.mark.parametrize("wrapped", ["module.{}", "module.module.{}", "_orig_mod.module.{}", "model._orig_mod.{}"])
def test_names_of_wrappers(file: Path, wrapped: str):
    """In front of a network, or of one of its modules."""
    rest = (lambda name: name.removeprefix("model.")) if "model" in wrapped else str
    torch.save({wrapped.format(rest(name)): tensor for name, tensor in STATE.items()}, file)
    assert same(read_state(file))


def test_names_that_would_be_one_stay(file: Path):
    mixed = {"module.a.weight": torch.ones(1), "a.weight": torch.ones(1)}
    torch.save(mixed, file)
    assert read_state(file).keys() == mixed.keys()


def test_wrapped_in_dicts(file: Path):
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]}
    torch.save({"epoch": 3, "model": {"state_dict": STATE}, "optimizer": optimizer}, file)
    assert list(read_networks(file)) == ["model.state_dict"]
    assert same(read_state(file))


def test_the_generator_comes_first(file: Path):
    other = {"model.0.weight": torch.zeros(1)}
    torch.save({"netD": other, "netG": STATE}, file)
    assert list(read_networks(file)) == ["netG", "netD"]
    assert same(read_state(file))
    assert read_state(file, "netD").keys() == other.keys()
    with pytest.raises(DataError, match="holds no 'netE'; it holds netG and netD"):
        read_state(file, "netE")


def test_counters_and_moments_are_no_networks(file: Path):
    """Beside networks, in lists, and under numbers."""
    moments = {"state": {0: {"exp_avg": torch.ones(2), "step": torch.tensor(1.0)}}}
    torch.save({"iter": torch.tensor(5), "optimizers": [moments], "networks": [{"x": 1}, {7: STATE}]}, file)
    assert list(read_networks(file)) == ["networks.1.7"]
    assert same(read_state(file))


def test_a_structure_that_holds_itself(file: Path):
    loop: dict[str, object] = {"epoch": 1}
    loop["model"] = loop
    torch.save(loop, file)
    assert "holds no tensors with names" in refusal(file)


class Code:
    def __reduce__(self):
        return print, ("this must never be printed",)


@pytest.mark.parametrize("new", [True, False], ids=["new", "old"])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Code(), "print"),
        ({"x": Code(), **STATE}, "print"),
        ({"opt": argparse.Namespace(ngf=64), "state_dict": STATE}, "argparse.Namespace"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"loss": np.float64(1), "state_dict": STATE}, "scalar"),
    ],
    ids=["code", "code beside weights", "options", "module", "numpy"],
)
def test_pickled_code_is_not_run(
    file: Path, capsys: pytest.CaptureFixture[str], content: object, name: str, new: bool
):
    torch.save(content, file, _use_new_zipfile_serialization=new)
    text = refusal(file)
    assert "holds pickled code" in text
    assert name in text
    assert "ask for the plain state_dict" in text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_pickles(file: Path, capsys: pytest.CaptureFixture[str], protocol: int):
    file.write_bytes(pickle.dumps(Code(), protocol=protocol))
    assert "is a pickle of Python objects, which is never run" in refusal(file)
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_programs_are_not_run(file: Path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)
    assert "is a TorchScript program, which is never run" in refusal(file)


@pytest.mark.parametrize("form", ["new", "old", "safetensors"])
@pytest.mark.parametrize("left", [0.2, 0.6, 0.99])
def test_truncated_files(file: Path, form: str, left: float):
    if form == "safetensors":
        save_file(STATE, file)
    else:
        torch.save(STATE, file, _use_new_zipfile_serialization=form == "new")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * left)])
    assert "is truncated or damaged" in refusal(file)


def test_a_flipped_weight_is_noticed(file: Path):
    torch.save(STATE, file)
    data = bytearray(file.read_bytes())
    data[data.index(STATE["model.1.weight"].numpy().tobytes())] ^= 1
    file.write_bytes(data)
    assert "is truncated or damaged" in refusal(file)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(file: Path, value: float):
    torch.save({**STATE, "model.1.bias": torch.tensor([0, value])}, file)
    assert "NaN or infinite weights, first in model.1.bias" in refusal(file)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.ones(3, dtype=torch.complex64),
        torch.ones(3, device="meta"),
        torch.ones(3).to(torch.float8_e4m3fn),
    ],
    ids=["sparse", "complex", "meta", "eight bits"],
)
def test_tensors_that_are_no_weights(file: Path, tensor: torch.Tensor):
    torch.save({"a.weight": tensor}, file)
    assert "holds a.weight, which is no plain number tensor" in refusal(file)


@pytest.mark.parametrize("new", [True, False], ids=["new", "old"])
def test_more_claimed_than_there_is(file: Path, new: bool):
    torch.save({"a.weight": torch.ones(1).expand(10**12)}, file, _use_new_zipfile_serialization=new)
    assert "claims 4,000,000,000,000 bytes of weights" in refusal(file)


def test_archives_that_unpack_to_more_than_they_are(file: Path):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    assert "claims more than its" in refusal(file)


def test_tied_weights_are_none_of_it(file: Path):
    torch.save(dict.fromkeys(("a", "b", *map(str, range(2000))), STATE["model.1.bias"]), file)
    assert len(read_state(file)) == 2002


def test_networks_larger_than_any(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "LARGEST", 16)
    torch.save(STATE, file)
    assert "of weights in one network; no family does" in refusal(file)
    torch.save(STATE, file, _use_new_zipfile_serialization=False)
    assert "is larger than" in refusal(file)


def test_what_is_no_checkpoint(tmp_path: Path):
    page = tmp_path / "page"
    page.write_text("<html>not found</html>")
    assert "is no checkpoint; give a file of torch.save or of safetensors" in refusal(page)
    page.write_bytes(b"")
    assert "is empty" in refusal(page)
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read: No such file" in refusal(tmp_path / "none")
    with zipfile.ZipFile(page, "w") as archive:
        archive.writestr("net.pth", "")
    assert "is an archive of other files" in refusal(page)
    torch.save([1, 2], page)
    assert "holds no tensors with names" in refusal(page)


def test_names_are_shown_harmlessly(file: Path):
    torch.save({"a\n\x1b[31m" + "x" * 500: torch.tensor(float("nan"))}, file)
    text = refusal(file)
    assert "\x1b" not in text
    assert len(text) < len(str(file)) + 200
