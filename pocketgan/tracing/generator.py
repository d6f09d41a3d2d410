"""The generator that a user names: a class or function in a package or a file, checked before training."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from pocketgan.errors import SpecError, unknown
from pocketgan.networks.traced import TracedSpec
from pocketgan.tracing.separable import with_separable
from pocketgan.tracing.trace import Result, trace
from pocketgan.units import Size


def generator_named(text: str, arguments: Mapping[str, Any]) -> nn.Module:
    """What 'package.module:Class' or 'file.py:function' gives for these arguments.

    Raises `SpecError` where there is no such thing, where it does not take the arguments, or gives no module.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise SpecError(f"--generator {text} names no class; write package.module:Class or file.py:function")
    module = _module(place)
    if not hasattr(module, name):
        raise unknown(f"name in {place}", name, [each for each in vars(module) if not each.startswith("_")])
    make = getattr(module, name)
    return generator_of(make, arguments, f"--generator {text}")


def generator_of(make: Any, arguments: Mapping[str, Any], text: str) -> nn.Module:
    """What a class or function gives for these arguments; its first weights are the same each time.

    Raises `SpecError`, which begins with `text`, where it does not take the arguments, or gives no module.
    """
    if not callable(make) or isinstance(make, nn.Module):
        raise SpecError(f"{text} is no class or function; name what makes the generator")
    try:
        # always the same first weights: what is known of them is a part of the spec, and so of a run's address
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = make(**arguments)
    except Exception as error:  # whatever the user's constructor does
        raise SpecError(
            f"{text} cannot be made: {_line(error)}; give its arguments with --set generator.NAME=VALUE"
        ) from error
    if not isinstance(made, nn.Module):
        raise SpecError(f"{text} gives a {type(made).__name__}, not an nn.Module; return the module")
    return made


def spec_of(
    module: nn.Module, channels: int, size: Size, taps: tuple[str, ...] = (), separable: tuple[str, ...] = ()
) -> TracedSpec:
    """The spec of a generator of images of this size in pixels.

    Args:
        taps: paths of modules whose outputs distillation compares; found by themselves otherwise.
        separable: paths of 3x3 convolutions that are decomposed first, or "all".

    Raises `SpecError` for a generator that cannot be used.
    """
    return traced(with_separable(module, separable) if separable else module, channels, size, taps).spec


def traced(module: nn.Module, channels: int, size: Size, taps: tuple[str, ...] = ()) -> Result:
    """A generator of images of this size in pixels, checked and traced. Raises `SpecError` as `spec_of`."""
    example = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    check_generator(module, example)
    return trace(module, example, taps)


def with_student(
    module: nn.Module, channels: int, size: Size, taps: tuple[str, ...], separable: tuple[str, ...]
) -> tuple[Result, TracedSpec]:
    """A finished generator traced, and the spec of its form with separable convolutions; both have the same taps:
    those that are named, else those found that modules make.

    Raises `SpecError` as `spec_of`.
    """
    if not taps:
        paths = [tap.strip("/").replace("/", ".") for tap in traced(module, channels, size).spec.taps]
        taps = tuple(path for path in paths if path in dict(module.named_modules()))
        if not taps:
            raise SpecError(
                f"no module of {type(module).__name__} makes the feature maps at which its separable form could be "
                "compared with it; name modules with --set taps=PATH,..."
            )
    return traced(module, channels, size, taps), spec_of(module, channels, size, taps, separable)


def check_precision(module: nn.Module) -> None:
    """Raise `SpecError` unless the parameters are of 32 bits."""
    for path, parameter in module.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            raise SpecError(
                f"{type(module).__name__} has parameters of {parameter.dtype} ({path}), and must have "
                "those of torch.float32; give module.float()"
            )


@torch.no_grad()
def check_generator(module: nn.Module, example: Tensor) -> None:
    """Raise `SpecError` unless it makes of images finite images of the same size, and leaves them as they are."""
    check_precision(module)
    name, given, training = type(module).__name__, example.clone(), module.training
    try:
        made: Any = module.eval()(given)
        again: Any = module(example.clone())
    except Exception as error:  # whatever the user's forward does
        raise SpecError(
            f"{name} does not take images of shape {tuple(example.shape)}: {_line(error)}; a generator takes one "
            "batch of images, with the channels and the --size of the data; --channels 3 reads gray ones as RGB"
        ) from error
    finally:
        module.train(training)
    if not isinstance(made, Tensor):
        raise SpecError(f"{name} gives a {type(made).__name__}, not a tensor; return the image alone")
    wanted = (len(example), *example.shape[2:])
    if made.ndim != 4 or (made.shape[0], *made.shape[2:]) != wanted:
        raise SpecError(
            f"{name} gives shape {tuple(made.shape)} for images of shape {tuple(example.shape)}; a generator gives "
            "images of the same number and size"
        )
    if not torch.isfinite(made).all():
        raise SpecError(f"{name} gives values that are not finite; initialise its weights, or mend its forward")
    if not torch.equal(given, example):
        raise SpecError(f"{name} changes its input in place; begin its forward with x = x.clone()")
    if not torch.allclose(made, again, atol=1e-4):
        raise SpecError(
            f"{name} gives another image of the same input at each call; draw random numbers where self.training "
            "alone, or keep them in a buffer"
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise SpecError(f"{name} has no parameters to train; give a module with layers, and requires_grad")


def arguments_of(changes: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The generator's own arguments among the changes of --set, and the other changes."""
    own = [change for change in changes if change.startswith("generator.") and "=" in change]
    found = {}
    for change in own:
        name, _, value = change.removeprefix("generator.").partition("=")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found, [change for change in changes if change not in own]


def named_paths(changes: list[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The paths of modules that --set taps=... and --set separable=... name, and the other changes."""
    own = [change for change in changes if change.partition("=")[0] in ("taps", "separable") and "=" in change]
    found = {}
    for change in own:
        name, _, value = change.partition("=")
        try:
            paths = json.loads(value)
        except json.JSONDecodeError:
            paths = value
        paths = paths if isinstance(paths, list) else str(paths).split(",")
        found[name] = tuple(str(path).strip() for path in paths)
    return found, [change for change in changes if change not in own]


def _module(place: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        if not Path(place).is_file():
            raise SpecError(f"--generator: there is no file {place}; check the path")
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        assert spec is not None, "it is a file of Python"
        assert spec.loader is not None, "which Python itself reads"
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(module.__name__, module)
        spec.loader.exec_module(module)
        return module
    except SpecError:
        raise
    except Exception as error:  # whatever importing the user's code does
        raise SpecError(f"--generator: {place} cannot be imported: {_line(error)}; mend it") from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
