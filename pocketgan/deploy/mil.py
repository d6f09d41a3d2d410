"""The operations of a CoreML program (MIL), computed by PyTorch: what a file says, where CoreML does not run.

Each is written from its definition in the reference of MIL, and knows nothing of how a network was converted.
Source: https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.errors import PocketGANError


@torch.inference_mode()
def computed(function: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """The first output of a function (`coremltools`' `mil.Function`) for inputs by their names.

    Raises `PocketGANError` for an operation that is not known here.
    """
    values = dict(inputs)

    def value(given: Any) -> Any:
        if isinstance(given, (list, tuple)):
            return [value(each) for each in given]
        if given.val is None:
            return values[given.name]
        constant = given.val
        if getattr(constant, "ndim", 0) and constant.dtype.kind == "f":
            return torch.from_numpy(constant.copy())
        return constant.tolist() if hasattr(constant, "tolist") else constant

    for operation in function.operations:
        kind = operation.op_type
        if kind == "const":
            continue
        if kind not in OPERATIONS:
            raise PocketGANError(
                f"a CoreML file is compared by computing its operations here, and {kind} is not among those that "
                "are known; export it on macOS, where CoreML itself runs, or choose another format"
            )
        given = {name: value(each) for name, each in operation.inputs.items() if each is not None}
        made = OPERATIONS[kind](**given)
        outputs = made if isinstance(made, (list, tuple)) else [made]
        values |= {output.name: each for output, each in zip(operation.outputs, outputs, strict=True)}
    return values[function.outputs[0].name]


def _sides(pad: Sequence[int]) -> list[int]:
    """What stands before and after each axis, the first axis first, as PyTorch wants it: the last one first."""
    return [each for place in range(len(pad) - 2, -2, -2) for each in pad[place : place + 2]]


def _padding(pad_type: str, pad: Sequence[int]) -> list[int]:
    if pad_type not in ("valid", "custom"):
        raise PocketGANError(f"a CoreML file with padding '{pad_type}' is not compared here; choose another format")
    return _sides(pad) if pad_type == "custom" else [0] * len(pad)


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Sequence[int] = (1, 1),
    pad_type: str = "valid",
    pad: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    x = F.pad(x, _padding(pad_type, pad))
    return F.conv2d(x, weight, bias, tuple(strides), 0, tuple(dilations), groups)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Sequence[int] = (0, 0, 0, 0),
    output_shape: Sequence[int] | None = None,
    pad_type: str = "valid",
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """The padding is what is cut off the whole; the shape only says what that leaves."""
    left, right, top, bottom = _padding(pad_type, pad)
    whole = F.conv_transpose2d(x, weight, bias, tuple(strides), 0, 0, groups, tuple(dilations))
    made = whole[..., top : whole.shape[2] - bottom, left : whole.shape[3] - right]
    if output_shape is not None and tuple(output_shape) != tuple(made.shape):
        raise PocketGANError(
            f"a CoreML file says that a transposed convolution gives {tuple(output_shape)}, and it gives "
            f"{tuple(made.shape)}; choose another format"
        )
    return made


def _batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    return F.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)


def _instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    return F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)


def _pad(x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Of the last axes; PyTorch reflects the last two alone, so leading zeros are left out."""
    pairs = _sides(pad)
    while len(pairs) > 4 and not any(pairs[-2:]):
        pairs = pairs[:-2]
    return F.pad(x, pairs, mode, constant_val) if mode == "constant" else F.pad(x, pairs, mode)


def _crop(x: Tensor, crop_height: Sequence[int], crop_width: Sequence[int]) -> Tensor:
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def _split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> list[Tensor]:
    return list(x.split(split_sizes or x.shape[axis] // (num_splits or 1), axis))


def _slice(x: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """A size of -1 is all that is left."""
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        x = x.narrow(axis, first, x.shape[axis] - first if count == -1 else count)
    return x


def _expanded(x: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x


def _slice_by_index(
    x: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    none, places = [False] * x.ndim, []
    for first, last, step, whole_first, whole_last, single in zip(
        begin,
        end,
        stride or [1] * x.ndim,
        begin_mask or none,
        end_mask or none,
        squeeze_mask or none,
        strict=True,
    ):
        span = slice(None if whole_first else first, None if whole_last else last, step)
        places.append(first if single else span)
    return x[tuple(places)]


def _bilinear(x: Tensor, scale_factor_height: float, scale_factor_width: float, align_corners: bool) -> Tensor:
    factors = (scale_factor_height, scale_factor_width)
    return F.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=align_corners)


def _gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    return F.gelu(x, approximate="tanh" if mode == "TANH_APPROXIMATION" else "none")


OPERATIONS: dict[str, Callable[..., Any]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda x, weight, bias=None: F.linear(x, weight, bias),
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "pad": _pad,
    "crop": _crop,
    "split": _split,
    "slice_by_size": _slice,
    "slice_by_index": _slice_by_index,
    "concat": lambda values, axis, interleave=False: torch.cat(values, axis),
    "reshape": lambda x, shape: x.reshape(tuple(shape)),
    "transpose": lambda x, perm: x.permute(*perm),
    "expand_dims": _expanded,
    "pixel_shuffle": lambda x, upscale_factor: F.pixel_shuffle(x, upscale_factor),
    "upsample_nearest_neighbor": lambda x, scale_factor_height, scale_factor_width: F.interpolate(
        x, scale_factor=(scale_factor_height, scale_factor_width), mode="nearest"
    ),
    "upsample_bilinear": _bilinear,
    "reduce_mean": lambda x, axes, keep_dims=False: x.mean(tuple(axes), keepdim=keep_dims),
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x / y,
    "square": lambda x: x * x,
    "sqrt": lambda x: x.sqrt(),
    "rsqrt": lambda x, epsilon=1e-12: torch.rsqrt(x + epsilon),
    "identity": lambda x: x,
    "relu": lambda x: x.relu(),
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "elu": lambda x, alpha=1.0: F.elu(x, alpha),
    "gelu": _gelu,
    "silu": lambda x: F.silu(x),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "clip": lambda x, alpha, beta: x.clamp(alpha, beta),
}
