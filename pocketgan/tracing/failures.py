"""Why a module cannot be traced, in one line that says where."""

from __future__ import annotations

import traceback
from pathlib import Path

from torch import nn

from pocketgan.errors import SpecError

_STANDARD = Path(traceback.__file__).parent
_INSIDE = ("/torch/", "/pocketgan/", "<eval_with_key>", "<string>")


def why_untraceable(module: nn.Module, error: Exception) -> SpecError:
    """The error for a forward that the exporter cannot follow."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    where = f" at {own[-1].filename}:{own[-1].lineno}, `{own[-1].line}`" if own else ""
    text = str(error)
    if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__ or "unbacked" in text:
        rule, remedy = (
            "its control flow or a shape depends on the values of pixels",
            "compute that with torch.where",
        )
    else:
        first = (text.strip() or type(error).__name__).splitlines()[0][:160]
        rule, remedy = f"{type(error).__name__}: {first}", "use operations of torch on tensors alone"
    return SpecError(f"{type(module).__name__} cannot be traced{where}: {rule}; {remedy}")


def _is_own(file: str) -> bool:
    """Whether it may be the user's, and no part of Python, PyTorch or this package."""
    standard = Path(file).is_relative_to(_STANDARD) and "site-packages" not in file
    return not standard and not any(part in file for part in _INSIDE)
