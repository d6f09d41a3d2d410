"""A stand-in for an accelerator, where there is none: it computes on the CPU and is as strict as a GPU.

Its tensors say that they are on the device `PLACE`. Whoever mixes them with tensors of the CPU gets the
RuntimeError that CUDA would give, and so does whoever reads them without `.cpu()`. Numbers are those of the CPU,
bit for bit.

PyTorch calls this kind of device "lazy". It has no other meaning here: of the kinds that PyTorch knows, it is one
through which autograd runs without a driver.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import optimizer as optimizers
from torch.utils._python_dispatch import TorchDispatchMode

from pocketgan import runtime

PLACE = torch.device("lazy", 0)
_aten = torch.ops.aten
#: what takes tensors of both places, as on CUDA
_CROSSING = {_aten.copy_.default, _aten._to_copy.default, _aten.index.Tensor}


class Standin(Tensor):
    """A tensor on `PLACE`; its numbers are in `inner`."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Standin:
        return Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=PLACE
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.inner!r} on {PLACE}"

    __torch_function__ = torch._C._disabled_torch_function_impl

    # what PyTorch asks of subclasses whose parameters it is to move
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], *_: Any) -> Standin:
        return Standin(inner["inner"])

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, inputs: Any = (), named: Any = None) -> Any:
        return _compute(function, inputs, named or {})


class _Moves(TorchDispatchMode):
    """Tensors that are made on `PLACE`, or moved there."""

    def __torch_dispatch__(self, function: Any, types: Any, inputs: Any = (), named: Any = None) -> Any:
        return _compute(function, inputs, named or {})


def _compute(function: Any, inputs: Any, named: dict[str, Any]) -> Any:
    """The result of an operation of PyTorch, on the place where its operands are or that it names."""
    tensors: list[Tensor] = []
    bare, options = _bare(inputs, tensors), {name: _bare(value, tensors) for name, value in named.items()}
    here = any(isinstance(x, Standin) for x in tensors)
    if here and function not in _CROSSING and any(not isinstance(x, Standin) and x.dim() for x in tensors):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {PLACE} and cpu! "
            f"({function})"
        )
    stays, device = here, named.get("device")
    if function is _aten.copy_.default:
        stays = isinstance(inputs[0], Standin)
    elif device is not None:
        stays = torch.device(device).type == PLACE.type
        if stays:
            options["device"] = torch.device("cpu")
    result = function(*bare, **options)
    if _in_place(function):
        return inputs[0] if isinstance(result, Tensor) else result
    if "out" in named:
        return named["out"]
    return _there(result) if stays else result


@cache
def _in_place(function: Any) -> bool:
    first = function._schema.arguments[:1]
    return bool(first and first[0].alias_info and first[0].alias_info.is_write)


def _bare(value: Any, tensors: list[Tensor]) -> Any:
    """The same value with tensors of the CPU in it; which tensors it holds is noted."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return value.inner if isinstance(value, Standin) else value
    return type(value)(_bare(each, tensors) for each in value) if isinstance(value, (list, tuple)) else value


def _there(result: Any) -> Any:
    if isinstance(result, Tensor):
        return Standin(result)
    return type(result)(map(_there, result)) if isinstance(result, (list, tuple)) else result


@contextmanager
def standing_in() -> Iterator[torch.device]:
    """While it lasts `PLACE` can be used, and every name of a device but "cpu" means it."""
    fused, autocast, named = (
        optimizers._get_fused_kernels_supported_devices,
        torch.autocast,
        runtime.device_named,
    )

    def cast(device_type: str, *inputs: Any, **options: Any) -> Any:
        if device_type != PLACE.type:
            return autocast(device_type, *inputs, **options)
        assert not options.get("enabled", True), "the stand-in knows no lower precision"
        return nullcontext()

    run = threading.Thread.run

    def run_there(thread: threading.Thread) -> None:
        with _Moves():  # PyTorch keeps modes for each thread
            run(thread)

    with pytest.MonkeyPatch.context() as patch, _Moves():
        patch.setattr(threading.Thread, "run", run_there)
        # PyTorch has no such mode for tensors that wrap others
        patch.setattr(torch._C, "_InferenceMode", lambda on: torch.no_grad() if on else nullcontext())
        patch.setattr(optimizers, "_get_fused_kernels_supported_devices", lambda: [*fused(), PLACE.type])
        patch.setattr(torch, "autocast", cast)
        patch.setattr(runtime, "device_named", lambda name: named(name) if name == "cpu" else PLACE)
        yield PLACE
