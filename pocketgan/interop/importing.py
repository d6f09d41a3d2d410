"""A foreign checkpoint becomes one of our networks: told from its keys and shapes, loaded strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from pocketgan.elastic.cost import cost, official_macs
from pocketgan.errors import DataError, SpecError, unknown
from pocketgan.interop.checkpoint import branches, check_finite, quoted, read_networks
from pocketgan.interop.layouts import Recognised, layouts
from pocketgan.interop.layouts.base import UNLIKE
from pocketgan.interop.official import from_official, to_official
from pocketgan.networks import NetworkSpec, write_numbers
from pocketgan.networks.presets import specs

#: true MACs of a network that is tried on an image at once
_CHEAP = 2_000_000_000
#: how many names a network may have in front of those of its tensors, as in trainer.model.netG.model.1.weight
_DEEPEST = 3


class Imported(NamedTuple):
    """A network in evaluation mode, its spec, what it is and what was assumed, both in words, and the options with
    which `to_official` gives back the same keys."""

    network: Any
    spec: Any
    what: str
    assumptions: tuple[str, ...]
    options: dict[str, Any]


def import_checkpoint(path: Path, network: str | None = None, **assumed: Any) -> Imported:
    """The network in a checkpoint of GAN Compression, OMGD, CycleGAN/pix2pix, SPADE or MUNIT.

    `network`: which one, where the file holds several generators, by its place or the end of it: netG_A for
    models.netG_A. `assumed`: what shapes cannot tell, e.g. `clamp_input=True`, as values or as text.

    Raises `DataError` for a file that is no such checkpoint or holds several and none is named, `SpecError` for an
    assumption that its family does not know.
    """
    networks, problem = _networks(path, assumed)
    if not networks:
        known = ", ".join(dict.fromkeys(specs()[kind].title for kind in layouts()))
        raise DataError(f"{path} holds no network that PocketGAN knows: {problem}; it knows {known}")
    place = _chosen(path, {place: kind for place, (_, kind) in networks.items()}, network)
    state = networks[place][0]
    found = recognise(state, **assumed)
    check_finite(path, state)
    built = build(found, state)
    if not _gives_finite_images(built):
        raise DataError(f"{path} gives NaN or infinite images; take an earlier checkpoint")
    chosen = (f"network={quoted(place)}: the file holds {_listed(networks)}",) if len(networks) > 1 else ()
    return Imported(built, found.spec, describe(found.spec), found.assumptions + chosen, found.options)


def _networks(path: Path, assumed: Mapping[str, Any]) -> tuple[dict[str, tuple[Mapping[str, Tensor], Any]], str]:
    """The state and the spec of every network in a file, by its place; and what the nearest that is none lacks."""
    networks: dict[str, tuple[Mapping[str, Tensor], Any]] = {}
    problems: list[str] = []

    def look(place: str, state: Mapping[str, Tensor], depth: int) -> None:
        # what trainers and averaged models count; no network has a number without a module
        state = {name: each for name, each in state.items() if "." in name or each.numel() > 1} or state
        try:
            networks[place] = state, _recognised(state, assumed).spec
        except DataError as error:
            problems.append(str(error))
            parts = branches(state) if depth else {}
            # averaged weights beside the others, under one more name: both are networks
            copies = [name for name, part in parts.items() if part.keys() <= state.keys()]
            for name, part in parts.items():
                look(f"{place}.{name}" if place else name, part, depth - 1)
            rest = {name: each for name, each in state.items() if name.partition(".")[0] not in copies}
            if copies and rest:
                first = next(iter(rest)).partition(".")[0]
                look(f"{place}.{first}" if place else first, rest, 0)

    for place, state in read_networks(path).items():
        look(place, state, _DEEPEST)
    near = [problem for problem in problems if problem.startswith("it resembles")]
    return networks, next(iter([*near, *problems]), "")


def _recognised(state: Mapping[str, Tensor], assumed: Mapping[str, Any]) -> Recognised:
    """`recognise`, where the assumptions may be meant for another network of the file."""
    try:
        return recognise(state, **assumed)
    except SpecError:
        return recognise(state)


def _chosen(path: Path, specs: Mapping[str, Any], asked: str | None) -> str:
    """The place of the network that is meant: the one asked for, else the only generator, else the only one."""
    generators = [place for place, spec in specs.items() if isinstance(spec, NetworkSpec)]
    meant = generators or list(specs)
    if asked is not None:
        same = [place for place in specs if place == asked]
        meant = same or [place for place in specs if place.endswith(f".{asked}")]
    if not meant:
        raise DataError(f"{path} holds no network '{asked}'; it holds {_listed(specs)}")
    if len(meant) > 1:
        raise DataError(
            f"{path} holds several networks, {_listed(specs)}; choose one: "
            f"pocketgan import FILE --network {quoted(meant[0])} -o MODEL"
        )
    return meant[0]


def _listed(places: Iterable[str]) -> str:
    return " and ".join(quoted(place) or "one without a name" for place in places)


def recognise(state: Mapping[str, Tensor], **assumed: Any) -> Recognised:
    """The network whose keys and shapes these are, to the last tensor; values are not looked at.

    Raises `DataError` where there is none, saying what the nearest one lacks, and `SpecError` for a bad assumption.
    """
    known = list(dict.fromkeys(layouts().values()))
    _check_names(assumed, {name for layout in known for name in _hints(layout)})
    problem = f"its {len(state)} tensors start with {quoted(next(iter(state)))}"
    for layout in known:
        told = {name: _value(layout, name, value) for name, value in assumed.items() if name in _hints(layout)}
        try:
            found = layout.recognise(state, **told)
            if found is None:
                continue
            with torch.device("meta"):
                wanted = to_official(found.spec.build().state_dict(), found.spec, **found.options)
        except UNLIKE:
            continue
        difference = _difference(state if found.state is None else found.state, wanted)
        if difference is None:
            _check_names(assumed, _hints(layout))
            return found
        problem = f"it resembles a {describe(found.spec)} but {difference}"
    raise DataError(problem)


def build(found: Recognised, state: Mapping[str, Tensor]) -> Any:
    """The recognised network with the weights of that state, in evaluation mode."""
    network = found.spec.build()
    ours = from_official(state if found.state is None else found.state, found.spec, **found.options)
    network.load_state_dict({**network.state_dict(), **ours})
    return network.eval()


def figures(spec: Any, height: int, width: int) -> dict[str, Any]:
    """`kind`, `widths`, `params` of a network, and of a generator its MACs for one image, by every convention."""
    if not isinstance(spec, NetworkSpec):
        with torch.device("meta"):
            params = sum(p.numel() for p in spec.build().parameters())
        return {"kind": spec.kind, "widths": str(spec.width), "params": params}
    for side in (height, width):
        spec.check_size(side)
    costs = {**cost(spec, height, width), **official_macs(spec, height, width)}
    return {"kind": spec.kind, "widths": write_numbers(spec.genome), **costs}


def describe(spec: Any) -> str:
    """A network in words: family, and width list or base width."""
    if not isinstance(spec, NetworkSpec):
        return f"{spec.title} discriminator of base width {spec.width}"
    form = "mobile " if getattr(spec, "separable", ()) else "deep " if getattr(spec, "residuals", 0) else ""
    return f"{form}{spec.title} {write_numbers(spec.genome)}"


def _difference(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    for key, tensor in wanted.items():
        if key not in state:
            if key.endswith(".num_batches_tracked"):  # older than PyTorch 0.4.1
                continue
            return f"lacks {key}"
        if state[key].shape != tensor.shape:
            return f"has {key} as {list(state[key].shape)} instead of {list(tensor.shape)}"
    for key in state:
        if key not in wanted:
            return f"has {quoted(key)} besides"
    return None


@torch.inference_mode()
def _gives_finite_images(network: Any) -> bool:
    """On one small image; true of networks that would take long."""
    spec = network.spec
    if not isinstance(spec, NetworkSpec) or cost(spec, spec.smallest_side)["true_macs"] > _CHEAP:
        return True
    image = spec.example(1, (spec.smallest_side, spec.smallest_side), torch.Generator().manual_seed(0))
    return bool(network(image).isfinite().all())


@cache
def _hints(layout: Any) -> dict[str, Any]:
    """The type of everything that a layout's `recognise` can be told."""
    hints = get_type_hints(layout.recognise)
    return {name: hint for name, hint in hints.items() if name not in ("state", "return")}


def _value(layout: Any, name: str, value: Any) -> Any:
    try:
        return TypeAdapter(_hints(layout)[name]).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise SpecError(f"'{value}' is no value for {name}: {why[0].lower()}{why[1:]}") from error


def _check_names(assumed: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in assumed:
        if name not in known:
            raise unknown("assumption", name, known)
