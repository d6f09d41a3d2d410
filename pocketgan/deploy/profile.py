"""What a model costs: counted from its spec, and measured on runtimes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from pocketgan.deploy.card import card_size, read_card
from pocketgan.deploy.latency import BUSY, Latency, latencies
from pocketgan.deploy.machine import Machine
from pocketgan.deploy.runtimes import Serving, runtime_of_file
from pocketgan.deploy.serving import ServingRuntime
from pocketgan.elastic.cost import cost, official_macs
from pocketgan.elastic.layer_costs import layer_costs
from pocketgan.errors import DataError, SpecError
from pocketgan.models import Model, find_model
from pocketgan.units import Size, both_sides, bytes_text, number_text, si, size_figure, size_text

BYTES_A_WEIGHT = 4
#: runs of which the times of single layers are the median
RUNS = 20
_LAYER_FIGURES = ("macs", "true_macs", "legacy_macs", "torchprofile_macs")


def profile_model(
    text: str, size: int | Size | None, runtimes: list[str], threads: int = 1, layers: bool = False
) -> dict[str, Any]:
    """One object with `params`, `macs`, `true_macs`, `size_bytes` and `latency_ms` (median, by runtime asked for).

    `legacy_macs` and `torchprofile_macs` are there too: see `elastic.cost`.

    `text`: model folder, run folder, spec string, or a file for a runtime, of which only size and latency are told.
    `size`: side of a square image, or height and width; default the model's.
    `runtimes`: measure there: as onnxruntime, on `threads`, or as onnxruntime:2, on two.
    `layers`: `layers`, what each of a network's layers costs, and `layer_times`, for each runtime that tells of it
    the `serving.LayerTime` of every operation, with its share of all.
    """
    asked = None if size is None else both_sides(size)
    if own := runtime_of_file(text):
        return _profile_file(Path(text), own, asked or _size_of(Path(text), own), runtimes, threads, layers)
    return {"model": text, **profile_network(find_model(text), asked, runtimes, threads, layers)}


def profile_network(
    model: Model, size: Size | None, runtimes: list[str], threads: int = 1, layers: bool = False
) -> dict[str, Any]:
    """The same of a network that is at hand."""
    chosen = {text: Serving.of(text, threads) for text in runtimes}
    network, spec, sides = model.network, model.spec, size or model.size
    spec.check_size(*sides)
    result: dict[str, Any] = {"size": size_figure(sides)}
    result |= cost(spec, *sides) | official_macs(spec, *sides)
    result["size_bytes"] = BYTES_A_WEIGHT * result["params"]
    measured, times = {}, {}
    for text, (runtime, own_threads) in chosen.items():
        with _served_form(runtime, network, sides) as form:
            measured[text] = latencies(runtime, [form], sides, threads=own_threads)[0]
            if layers and runtime.layers:
                times[text] = _layer_times(runtime, form, sides, own_threads)
    result |= _figures(measured, times)
    if layers:
        result["layers"] = [
            asdict(layer) | {figure: getattr(layer, figure) for figure in _LAYER_FIGURES}
            for layer in layer_costs(spec, *sides)
        ]
    return result


def _size_of(path: Path, own: ServingRuntime) -> Size:
    """That of the card of a file; 256 where it has none."""
    with suppress(DataError, SpecError, KeyError, ValueError, TypeError):
        return card_size(read_card(path, own))
    return 256, 256


@contextmanager
def _served_form(runtime: ServingRuntime, network: nn.Module, size: Size) -> Iterator[Any]:
    """What a runtime loads of a network: a file, or where it has none the network itself."""
    runtime.check_runs()
    if runtime.export is None:
        yield network
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model{runtime.suffix}"
        runtime.export(network, size, file)
        yield file


def _layer_times(runtime: ServingRuntime, file: Path, size: Size, threads: int) -> list[dict[str, Any]]:
    """What each operation takes, in the order of the run, and its share of all."""
    assert runtime.layers is not None, "the caller has looked"
    _, feed = runtime.fed(file, size, threads)
    times = runtime.layers(file, feed, threads, RUNS)
    total = sum(each.ms for each in times)
    return [{**each._asdict(), "shape": list(each.shape), "share": each.ms / total} for each in times]


def _profile_file(
    path: Path, own: ServingRuntime, size: Size, runtimes: list[str], threads: int, layers: bool
) -> dict[str, Any]:
    chosen = {text: Serving.of(text, threads) for text in runtimes or [own.name]}
    for runtime, _ in chosen.values():
        if runtime.name != own.name:
            raise SpecError(f"{path} runs on {own.name}, not on {runtime.name}; leave --runtime {runtime.name} out")
    if layers and not own.layers:
        raise SpecError(f"{own.name} does not tell the layers of a file apart; leave --layers out")
    try:
        measured = {text: latencies(own, [path], size, threads=count)[0] for text, (_, count) in chosen.items()}
        times = (
            {text: _layer_times(own, path, size, count) for text, (_, count) in chosen.items()} if layers else {}
        )
    except SpecError:
        raise
    except Exception as error:  # each runtime has exceptions of its own for what is wrong with a file
        raise SpecError(
            f"{path} is damaged, or no network that takes one image of {size_text(size)} pixels; "
            "export it again or give --size"
        ) from error
    return {
        "model": str(path),
        "size": size_figure(size),
        "size_bytes": own.bytes_of(path),
        **_figures(measured, times),
    }


def _figures(measured: Mapping[str, Latency], times: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The medians alone, and all that was measured, where and when; nothing of that where nothing was."""
    result: dict[str, Any] = {"latency_ms": {name: round(each.median_ms, 3) for name, each in measured.items()}}
    if measured:
        result["latency"] = {name: asdict(each) for name, each in measured.items()}
        result["machine"] = Machine.here().model_dump()
    if times:
        result["layer_times"] = dict(times)
    return result


def describe(result: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines of a profile in words."""
    size = result["size"]
    lines = [("image", f"{size} x {size}" if isinstance(size, int) else size.replace("x", " x "))]
    if "params" in result:
        lines += [
            ("parameters", f"{result['params']:,}"),
            ("MACs (papers' convention)", si(result["macs"])),
            ("true MACs", si(result["true_macs"])),
        ]
    lines.append(("size", bytes_text(result["size_bytes"])))
    more = result.get("latency", {})
    return lines + [
        (f"latency on {runtime}", f"{number_text(ms)} ms" + _spread(more.get(runtime)))
        for runtime, ms in result["latency_ms"].items()
    ]


def _spread(latency: dict[str, Any] | None) -> str:
    """What a reader needs to trust a median, or not to."""
    if latency is None:
        return ""
    low, high = map(number_text, latency["quartiles_ms"])
    text = f" (least {number_text(latency['least_ms'])}, quartiles {low} to {high}; {latency['threads']} thread)"
    if latency["waiting"] > BUSY:
        text += f"; the machine was busy {latency['waiting']:.0%} of the time: measure again when it is quiet"
    return text
