"""Why a module cannot be traced, in one line that says where."""

from __future__ import annotations

import traceback

from torch import nn

from pocketgan.errors import SpecError

_INSIDE = ("/torch/", "/pocketgan/", "<eval_with_key>", "<string>")


def why_untraceable(module: nn.Module, error: Exception) -> SpecError:
    """The error for a forward that the exporter cannot follow."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not any(part in frame.filename for part in _INSIDE)]
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
