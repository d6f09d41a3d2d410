"""Verbs for the checkpoints of other code: import, and the official form of export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketgan.cli.options import Json, Sides, read_range, read_sides
from pocketgan.cli.show import facts, print_json, say
from pocketgan.errors import OutputError, SpecError

if TYPE_CHECKING:
    from pocketgan.data.labels import LabelMaps


def import_(
    file: Annotated[Path, typer.Argument(help="A checkpoint of PyTorch or safetensors.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Model folder to write.")] = None,
    network: Annotated[
        str | None, typer.Option(help="Which network, where the file holds several, e.g. netG_A.")
    ] = None,
    assume: Annotated[
        list[str] | None, typer.Option(help="What shapes cannot tell, e.g. clamp_input=false (repeatable).")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="What label maps hold, as 10, 9+instances or 8+dont-care+instances; for SPADE."),
    ] = None,
    range_: Annotated[
        str | None,
        typer.Option("--range", help="Values of its images that are black and white, as 0:4095; default 0:255."),
    ] = None,
    size: Sides = None,
    as_json: Json = False,
) -> None:
    """Open a checkpoint of GAN Compression, OMGD, CycleGAN, pix2pix, SPADE or MUNIT: what it is, and as a model."""
    from pocketgan.interop.importing import figures, import_checkpoint
    from pocketgan.models import save_new_model

    found = import_checkpoint(file, network, **_assignments(assume or []))
    height, width = read_sides(size) or (max(256, found.spec.smallest_side),) * 2
    result: dict[str, Any] = {"file": str(file), "what": found.what, **figures(found.spec, height, width)}
    result["size"] = height if height == width else f"{height}x{width}"
    maps, told = _label_maps(found.spec, labels)
    held, seen = _values(found.spec, range_)
    result["assumptions"] = [*found.assumptions, *told, *seen]
    result["spec"] = found.spec.model_dump(mode="json")
    if out:
        card = {"source": file.name, "layout": found.options, "assumptions": result["assumptions"], **maps, **held}
        save_new_model(out, found.network, {**card, "size": [height, width]})
        result["model"] = str(out)
    if as_json:
        return print_json(result)
    facts(_lines(result, height, width))


def _values(spec: Any, range_: str | None) -> tuple[dict[str, Any], list[str]]:
    """What the card says of the images that a generator sees and makes, and the same in words."""
    from pocketgan.data.values import Values, dtype_for
    from pocketgan.networks import NetworkSpec

    if not isinstance(spec, NetworkSpec):
        if range_:
            raise SpecError("--range is for generators, and this is a discriminator; leave it out")
        return {}, []
    form: dict[str, Any] = {}
    if range_:
        low, high = read_range(range_)
        form = dict(low=low, high=high, dtype=dtype_for(low, high))
    values = {"output": Values(channels=spec.out_channels, **form)}
    if spec.kind != "spade":
        values["input"] = Values(channels=spec.in_channels, **form)
    unusual = {name: each for name, each in values.items() if each != Values()}
    words = [f"{name} images: {each}" for name, each in sorted(unusual.items())]
    return {name: each.model_dump(mode="json") for name, each in unusual.items()}, words


def _label_maps(spec: Any, text: str | None) -> tuple[dict[str, Any], list[str]]:
    """What the card says of the label maps of a SPADE: as the user says, or as published; and the same in words."""
    from pocketgan.data.labels import CITYSCAPES, COCO

    channels = spec.in_channels
    if text is not None:
        maps = _read_labels(text)
        if spec.kind != "spade":
            raise SpecError(
                f"--labels is for generators that take label maps, and this is a {spec.kind}; leave it out"
            )
        if maps.channels != channels:
            raise SpecError(
                f"--labels {text} makes {maps.channels} channels, and this generator takes {channels}; give "
                f"{channels}, or {channels - 1}+instances"
            )
        return {"labels": maps.model_dump(mode="json")}, [f"label maps of {text}: {channels} channels"]
    if spec.kind != "spade":
        return {}, []
    for name, maps in (("Cityscapes", CITYSCAPES), ("COCO-Stuff", COCO)):
        if channels == maps.channels:
            return {"labels": maps.model_dump(mode="json")}, [
                f"label maps as those of {name}: {maps.channels} channels"
            ]
    return {}, [
        f"nothing of its {channels} channels; to translate, say --labels {channels}, or {channels - 1}+instances"
    ]


def _read_labels(text: str) -> LabelMaps:
    """'9+instances': nine classes and the edges of instances."""
    from pocketgan.data.labels import DONT_CARE, LabelMaps

    classes, *more = text.split("+")
    good = classes.isascii() and classes.isdigit() and 1 <= int(classes) <= DONT_CARE
    if not good or len({*more}) < len(more) or not {*more} <= {"dont-care", "instances"}:
        raise SpecError(f"--labels '{text}' cannot be read; write 10, 9+instances or 8+dont-care+instances")
    return LabelMaps(classes=int(classes), dont_care="dont-care" in more, instances="instances" in more)


def _lines(result: dict[str, Any], height: int, width: int) -> list[tuple[str, str]]:
    lines = [("recognised", result["what"]), ("parameters", f"{result['params']:,}")]
    if "macs" in result:
        lines += [
            ("image", f"{height} x {width}"),
            ("MACs (papers' convention)", f"{result['macs'] / 1e9:.3f} G"),
            ("true MACs", f"{result['true_macs'] / 1e9:.3f} G"),
        ]
    lines += [("assumed", assumption) for assumption in result["assumptions"]]
    return [*lines, ("model", result["model"])] if "model" in result else lines


def _assignments(words: list[str]) -> dict[str, str]:
    """`name=value` words."""
    pairs = {}
    for word in words:
        name, _, value = word.partition("=")
        if not (name and value):
            raise SpecError(f"--assume '{word}' cannot be read; write name=value, e.g. clamp_input=false")
        pairs[name] = value
    return pairs


def export_official(model: str, target: Path) -> None:
    """Write the checkpoint that the official code loads."""
    from pocketgan.interop.official import save_official
    from pocketgan.models import find_model, is_model, load_model

    found = load_model(Path(model)) if is_model(Path(model)) else find_model(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_official(found.network, target, **found.card.get("layout", {}))
    except (OSError, RuntimeError) as error:  # PyTorch has errors of its own for a folder that is not there
        raise OutputError(f"{target} cannot be written; choose another --out") from error
    say(f"{target}: {target.stat().st_size:,} bytes, in the layout of the official code")
