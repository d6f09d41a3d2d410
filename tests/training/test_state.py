import errno
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgan.errors import DataError
from pocketgan.training import state as state_module
from pocketgan.training.state import load_last, load_state, previous, save_state, saving

scalars = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
)
arrays = st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(torch.tensor)
keys = st.integers(-3, 3) | st.sampled_from(["0", "1", "a", "a/b", "b", "", "tensor", "dict"])
trees = st.recursive(
    scalars | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@given(tree=st.dictionaries(st.text(max_size=3), trees, max_size=4))
@settings(max_examples=60, deadline=None)
def test_round_trip(tree, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "state" / "state.safetensors"
    save_state(tree, path)
    assert same(load_state(path), tree)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3.5),
        torch.empty(0, 3),
        torch.arange(6).view(2, 3).T,
        torch.arange(10.0)[2:5],
        torch.tensor([True, False]),
        torch.tensor([1.5, float("nan"), float("inf")], dtype=torch.bfloat16),
        torch.nn.Parameter(torch.rand(2, 2, dtype=torch.float64)),
    ],
)
def test_tensors_of_every_kind(tensor, tmp_path):
    save_state({"tensor": tensor}, tmp_path / "state")
    found = load_state(tmp_path / "state")["tensor"]
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(found.nan_to_num(nan=-1.0), tensor.detach().nan_to_num(nan=-1.0))


def test_an_optimizer_goes_on(tmp_path):
    """Its state has whole numbers for keys."""

    def steps(adam: torch.optim.Adam, weight: torch.nn.Parameter, count: int) -> None:
        for _ in range(count):
            weight.grad = weight.detach().cos()
            adam.step()

    def new() -> tuple[torch.optim.Adam, torch.nn.Parameter]:
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        return torch.optim.Adam([weight], lr=0.1, fused=True), weight

    adam, weight = new()
    steps(adam, weight, 3)
    save_state({"adam": adam.state_dict(), "weight": weight}, tmp_path / "state")
    steps(adam, weight, 3)
    again, copy = new()
    loaded = load_state(tmp_path / "state")
    again.load_state_dict(loaded["adam"])
    copy.data = loaded["weight"]
    steps(again, copy, 3)
    assert torch.equal(copy, weight)


def test_tuples_become_lists(tmp_path):
    save_state({"betas": (0.5, 0.999)}, tmp_path / "state")
    assert load_state(tmp_path / "state") == {"betas": [0.5, 0.999]}


def _fail_to_write(patch: pytest.MonkeyPatch) -> None:
    def write_half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(Path, "write_bytes", write_half)


def _fail_to_rename(patch: pytest.MonkeyPatch) -> None:
    def replace(source, target):
        raise OSError(errno.EIO, "Input/output error")

    patch.setattr("os.replace", replace)


@pytest.mark.parametrize("fail", [_fail_to_write, _fail_to_rename])
def test_a_failure_keeps_the_old_state(fail, tmp_path):
    path = tmp_path / "state.safetensors"
    old = {"step": 1, "weights": torch.arange(5.0)}
    save_state(old, path)
    with pytest.MonkeyPatch.context() as patch:
        fail(patch)
        with pytest.raises(OSError, match=r"No space left|Input/output"):
            save_state({"step": 2, "weights": torch.zeros(5)}, path)
    assert same(load_state(path), old)
    save_state({"step": 3}, path)
    assert load_state(path) == {"step": 3}


@pytest.mark.parametrize("content", [b"", b"not a state", b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_damaged_file(content, tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        load_state(path)
    assert str(error.value) == f"the saved state {path} is damaged; remove it to begin that stage anew"


def test_every_flipped_byte_is_found_or_does_no_harm(tmp_path):
    """Spaces in the header, which nobody reads, are the only ones that do none."""
    path, state = tmp_path / "state.safetensors", {"step": 7, "weights": torch.arange(5.0), "empty": torch.empty(0)}
    save_state(state, path)
    whole, found = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert same(load_state(path), state), place
        except DataError:
            found += 1
    assert found > 0.9 * len(whole)


def test_a_damaged_state_falls_back_to_the_one_before(tmp_path, caplog):
    path = tmp_path / "state.safetensors"
    assert load_last(path) is None
    for step in (1, 2, 3):
        save_state({"step": step}, path)
    assert load_last(path) == {"step": 3}
    assert not caplog.messages
    path.write_bytes(path.read_bytes()[:-1])
    assert load_last(path) == {"step": 2}
    assert caplog.messages == [
        f"note: the saved state {path} is damaged; the stage goes on from the state before it"
    ]
    previous(path).write_bytes(b"")
    assert load_last(path) is None
    assert caplog.messages[-1].endswith(f"{previous(path)} is damaged; the stage goes on from the start")


def test_what_is_saved_in_the_background_is_the_state_at_the_call(tmp_path):
    path, weights, held = tmp_path / "state", torch.zeros(3), threading.Event()
    with pytest.MonkeyPatch.context() as patch, saving(path) as save:
        patch.setattr(state_module, "save_state", lambda *given: (held.wait(60), save_state(*given)))
        save({"step": 1, "weights": [weights]})
        weights += 1
        assert not path.exists(), "the caller went on meanwhile"
        held.set()
    assert same(load_state(path), {"step": 1, "weights": [torch.zeros(3)]})


def test_one_state_at_a_time_and_the_last_one_stays(tmp_path):
    running, most = [], []

    def slow(state, path):
        running.append(1)
        most.append(len(running))
        save_state(state, path)
        running.pop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_module, "save_state", slow)
        with saving(tmp_path / "state") as save:
            for step in range(5):
                save({"step": step})
    assert (most, load_state(tmp_path / "state")) == ([1] * 5, {"step": 4})


@pytest.mark.parametrize("states", [1, 2])
def test_a_write_that_fails_is_told_at_the_next_or_at_the_end(states, tmp_path):
    begun = []

    def run() -> None:
        with saving(tmp_path / "state") as save:
            for step in range(3):
                save({"step": step})
                begun.append(step)
                if step + 1 == states:
                    return

    with pytest.MonkeyPatch.context() as patch:
        _fail_to_write(patch)
        with pytest.raises(OSError, match="No space left"):
            run()
    assert begun == [0]
    assert not list(tmp_path.iterdir())


def test_a_caller_who_breaks_off_leaves_a_whole_state(tmp_path):
    def run() -> None:
        with saving(tmp_path / "state") as save:
            save({"step": 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert load_state(tmp_path / "state") == {"step": 1}
