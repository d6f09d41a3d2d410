"""Verbs for one's own data: compress, and plan, which says what that (or a recipe of the catalog) will do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pocketgan.cli.devices import NAMES, counted, share_work
from pocketgan.cli.options import (
    Address,
    BudgetOption,
    Changes,
    Channels,
    Classes,
    Crop,
    Data,
    DataOption,
    Device,
    Devices,
    Flip,
    Json,
    LoadSize,
    Node,
    Nodes,
    Out,
    Precision,
    Quiet,
    Ranges,
    Rotate,
    ServedOn,
    Sides,
    StorageOption,
    StoreOption,
    Unpaired,
    Weights,
    Yes,
    read_sides,
    read_values,
    read_weights,
    with_precision,
)
from pocketgan.cli.runs import carry_out, job_of_recipe, show_plan
from pocketgan.errors import SpecError
from pocketgan.methods import DEFAULT, OF_PAIRS, method_names
from pocketgan.progress import progress_shown

if TYPE_CHECKING:
    from pocketgan.api.job import Job

Direction = Annotated[Literal["AtoB", "BtoA"], typer.Option(help="What becomes what.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="pix2pix, cyclegan, gaugan or munit; default by the data: pairs, no pairs, label maps; munit only if "
        "you say so."
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        help=f"How it is compressed: {', '.join(method_names())}; default {OF_PAIRS} for pairs, {DEFAULT} for "
        "other data and where you bring a teacher or a generator. once-for-all chooses kernels and depth too, omgd "
        "and pocket train teachers and student together, in-place has no teacher."
    ),
]
Effort = Annotated[
    Literal["quick", "standard", "paper"], typer.Option(help="How wide the networks are, and how long they learn.")
]
Teacher = Annotated[
    Path | None,
    typer.Option(
        help="A finished teacher, which is then not trained: a model folder, a run, or what import knows."
    ),
]
Discriminator = Annotated[Path | None, typer.Option(help="The discriminator of that teacher.")]
OwnGenerator = Annotated[
    str | None,
    typer.Option(
        help="Your own generator: package.module:Class or file.py:function; --set generator.NAME=VALUE are its "
        "arguments."
    ),
]
TeacherWeights = Annotated[
    Path | None,
    typer.Option(help="Weights of that generator, a state dict: it is a finished teacher then, and not trained."),
]
Targets = Annotated[
    str | None,
    typer.Option(
        help="teacher: the data are images alone, and a finished teacher's pictures of them are the targets."
    ),
]
Unlabelled = Annotated[
    Path | None,
    typer.Option(
        help="Inputs without a partner, from which a student of omgd or pocket learns too: a folder of images, "
        "none of them a test image."
    ),
]


def compress(
    data: Data,
    budget: Annotated[
        str,
        typer.Option(
            help="For one image: MACs by the papers' count (2.6G), or e.g. true_macs=1G,params=400K,latency=20ms."
        ),
    ],
    runtime: ServedOn = None,
    size: Sides = None,
    load_size: LoadSize = None,
    crop: Crop = False,
    flip: Flip = True,
    rotate: Rotate = False,
    direction: Direction = "AtoB",
    unpaired: Unpaired = None,
    classes: Classes = None,
    channels: Channels = None,
    range_: Ranges = None,
    model: Model = None,
    method: Method = None,
    effort: Effort = "quick",
    teacher: Teacher = None,
    discriminator: Discriminator = None,
    generator: OwnGenerator = None,
    teacher_weights: TeacherWeights = None,
    targets: Targets = None,
    unlabelled: Unlabelled = None,
    weights: Weights = None,
    out: Out = None,
    store: StoreOption = None,
    storage: StorageOption = None,
    precision: Precision = None,
    set_: Changes = None,
    device: Device = "auto",
    devices: Devices = None,
    nodes: Nodes = 1,
    node: Node = 0,
    address: Address = None,
    yes: Yes = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Turn a folder of images into a small generator, an ONNX file and a report."""
    given = {name: value for name, value in locals().items() if name not in ("yes", "quiet", "as_json")}
    with _job(share_work(given), quiet) as job:
        carry_out(job, yes, quiet, as_json)


def plan(
    recipe: Annotated[
        str, typer.Argument(help="A name from `pocketgan list`, or a folder of images.", show_default=False)
    ],
    data: DataOption = None,
    budget: BudgetOption = None,
    runtime: ServedOn = None,
    size: Sides = None,
    load_size: LoadSize = None,
    crop: Crop = False,
    flip: Flip = True,
    rotate: Rotate = False,
    direction: Direction = "AtoB",
    unpaired: Unpaired = None,
    classes: Classes = None,
    channels: Channels = None,
    range_: Ranges = None,
    model: Model = None,
    method: Method = None,
    effort: Effort = "quick",
    teacher: Teacher = None,
    discriminator: Discriminator = None,
    generator: OwnGenerator = None,
    teacher_weights: TeacherWeights = None,
    targets: Targets = None,
    unlabelled: Unlabelled = None,
    weights: Weights = None,
    out: Out = None,
    store: StoreOption = None,
    precision: Precision = None,
    set_: Changes = None,
    device: Device = "auto",
    devices: Devices = None,
    nodes: Nodes = 1,
    node: Node = 0,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """What a recipe, or compress on a folder of images, will do: its stages, and how long they take here."""
    given = dict(locals())
    from pocketgan.catalog.catalog import ENTRIES

    folder = Path(recipe)
    if recipe not in ENTRIES and (folder.is_dir() or len(folder.parts) > 1):
        if data is not None:
            raise SpecError(f"--data is for recipes of the catalog, and {recipe} is a folder itself; leave it out")
        if budget is None:
            raise SpecError(f"a plan for the images of {recipe} needs a budget; add --budget, e.g. --budget 1.5G")
        wanted = counted({name: value for name, value in given.items() if name not in ("recipe", "as_json")})
        made: AbstractContextManager[Job] = _job(wanted | {"data": folder}, as_json)
    else:
        made = nullcontext(job_of_recipe(counted(_for_recipes(given))))
    from pocketgan.runs.run import estimate_seconds, store_of

    with made as job:
        settled, notes = job.settled()
        kept = store_of(job.out, job.runtime.store)
        show_plan(settled, kept, estimate_seconds(settled, kept, job.runtime), notes, as_json)


@contextmanager
def _job(given: dict[str, Any], quiet: bool) -> Iterator[Job]:
    """What the options of `compress` ask for."""
    from pocketgan.api.job import job_of_images

    texts = ("size", "load_size", "channels", "range_", "weights", "precision", "set_")
    with TemporaryDirectory() as place:
        with progress_shown(quiet=quiet or not given["targets"]) as progress:
            job = job_of_images(
                **{name: value for name, value in given.items() if name not in texts},
                **read_values(given["channels"], given["range_"] or []),
                size=read_sides(given["size"]),
                load_size=read_sides(given["load_size"], "--load-size"),
                weights=read_weights(given["weights"] or []),
                changes=with_precision(given["set_"], given["precision"]),
                place=Path(place),
                progress=progress,
            )
        yield job


def _for_recipes(given: dict[str, Any]) -> dict[str, Any]:
    """Those options of `plan` that `run` has too. Raises `SpecError` where another was given."""
    known = (
        "recipe",
        "data",
        "budget",
        "runtime",
        "size",
        "unpaired",
        "weights",
        "out",
        "store",
        "precision",
        "set_",
        "device",
        *NAMES,
    )
    usual = {"flip": True, "direction": "AtoB", "effort": "quick"}
    for name, value in given.items():
        default = usual.get(name, False if isinstance(value, bool) else None)
        if name not in (*known, "as_json") and value != default:
            option = name.rstrip("_").replace("_", "-") if value else f"no-{name}"
            raise SpecError(f"--{option} is for folders of images, and {given['recipe']} is a recipe; leave it out")
    return {name: given[name] for name in known}
