"""PocketGAN compresses conditional image-to-image GANs to a budget that you name."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketgan.api.fold import fold as fold
    from pocketgan.api.run import Compressed as Compressed
    from pocketgan.api.run import Run as Run
    from pocketgan.api.run import compress as compress
    from pocketgan.api.verbs import evaluate as evaluate
    from pocketgan.api.verbs import export as export
    from pocketgan.api.verbs import load as load
    from pocketgan.api.verbs import profile as profile
    from pocketgan.api.verbs import translate as translate
    from pocketgan.deploy.editor import Editor as Editor
    from pocketgan.errors import PocketGANError as PocketGANError
    from pocketgan.tracing.elastic import Elastic as Elastic

__version__ = "0.2.0"

#: the public names, and the modules that they are in: these are imported when a name is first used
_PUBLIC = {
    "Compressed": "api.run",
    "Editor": "deploy.editor",
    "Elastic": "tracing.elastic",
    "PocketGANError": "errors",
    "Run": "api.run",
    "compress": "api.run",
    "elastic": "elastic",
    "evaluate": "api.verbs",
    "export": "api.verbs",
    "fold": "api.fold",
    "load": "api.verbs",
    "profile": "api.verbs",
    "translate": "api.verbs",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pocketgan' has no attribute '{name}'")
    module = import_module(f"pocketgan.{_PUBLIC[name]}")
    return module if name == _PUBLIC[name] else getattr(module, name)


class _Verb(ModuleType):
    """`pocketgan.elastic` is a part of the package, and what a user calls: `pg.elastic(module, example_input)`."""

    def __call__(self, module: Any, example_input: Any) -> Elastic:
        """See `pocketgan.tracing.elastic.elastic`."""
        elastic: Elastic = import_module("pocketgan.tracing.elastic").elastic(module, example_input)
        return elastic


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "elastic":
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
