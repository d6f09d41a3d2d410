"""Compressing from Python, and what a finished run gives: its front, other budgets, the small generator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from torch import Tensor, nn

from pocketgan.api.job import Effort, Job, job_of_images
from pocketgan.api.verbs import export, load
from pocketgan.data.task import Direction
from pocketgan.data.values import Range
from pocketgan.deploy.serving import Precision as FilePrecision
from pocketgan.deploy.ship import Verified
from pocketgan.distributed import enter
from pocketgan.errors import SpecError, unknown
from pocketgan.files import path_of
from pocketgan.metrics.catalog import files_of_weights
from pocketgan.objectives.precision import Precision
from pocketgan.pipeline.owner import check_owner
from pocketgan.pipeline.recipe import owner
from pocketgan.progress import Show, progress_shown
from pocketgan.report import Report
from pocketgan.report.model import CandidatePoint
from pocketgan.runs.pick import pick
from pocketgan.runs.report import read_report
from pocketgan.runs.run import estimate_seconds, run_recipe, store_of
from pocketgan.runtime import Runtime, device_named
from pocketgan.tracing.generator import generator_of
from pocketgan.units import Size, both_sides


class Compressed:
    """A folder with a small generator in it: `model/`, and `export/compressed.onnx`.

    Attributes:
        folder: where it is.
        report: the figures of its networks and of their teacher.
    """

    def __init__(self, folder: Path | str, report: Report) -> None:
        self.folder, self.report = Path(folder), report

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.folder}')"

    @property
    def model(self) -> nn.Module:
        """The small generator, in evaluation mode: images (batch, channels, height, width) in [-1, 1] to such."""
        return load(self.folder / "model")

    def export(self, out: Path | str, *, precision: FilePrecision = "fp32", **options: Any) -> Verified:
        """See `pocketgan.export`; verified and calibrated on images of the run that were held out."""
        return export(self.folder, out, precision=precision, **options)


class Run(Compressed):
    """A finished run: what `compress` returns, or a run folder that is there.

        run = pg.Run("runs/demo")
        for subnet in run.front():
            print(subnet.subnet, subnet.macs, subnet.scores)
        small = run.pick("100M").model

    Raises `DataError` where the folder holds no finished run.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder, read_report(Path(folder)))

    def front(self) -> tuple[CandidatePoint, ...]:
        """The subnets that no other one beats at their cost, cheapest first; empty where nothing was searched."""
        return self.report.front()

    def pick(
        self,
        budget: str,
        *,
        out: Path | str | None = None,
        data: Path | str | None = None,
        device: str = "auto",
        progress: Show | None = None,
        quiet: bool = False,
    ) -> Compressed:
        """The best subnet within another budget, without training: as `pocketgan pick`.

        Args:
            budget: as of `compress`; latency=20ms where the run measured that.
            out: a new folder; default beside the run, by the budget.
            data: where the images of the run are now, if they were moved.
            progress, quiet: as of `compress`.

        Raises `BudgetError` where no subnet is within it, `SpecError` where the run has no supernet.
        """
        with _telling(progress, {}, quiet) as tell:
            folder, report = pick(
                self.folder,
                budget,
                None if out is None else Path(out),
                Runtime(device=device),
                lambda name, stage, done, total: tell(name, done, total),
                None if data is None else Path(data),
            )
        return Compressed(folder, report)


def compress(
    generator: nn.Module | Callable[[], nn.Module] | str | Path,
    data: Path | str | None = None,
    *,
    budget: str | float,
    runtime: str | None = None,
    size: int | Size | None = None,
    out: Path | str | None = None,
    store: Path | str | None = None,
    storage: str | None = None,
    method: str | None = None,
    effort: Effort = "quick",
    model: str | None = None,
    direction: Direction = "AtoB",
    unpaired: bool | None = None,
    classes: int | None = None,
    channels: tuple[int | None, int | None] = (None, None),
    ranges: Mapping[str, Range] | None = None,
    load_size: int | Size | None = None,
    crop: bool = False,
    flip: bool = True,
    rotate: bool = False,
    teacher: Path | str | None = None,
    teacher_weights: Path | str | Mapping[str, Tensor] | None = None,
    targets: Literal["teacher"] | None = None,
    discriminator: Path | str | None = None,
    unlabelled: Path | str | None = None,
    weights: Mapping[str, Path | str] | None = None,
    precision: Precision | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: Show | None = None,
    quiet: bool = False,
) -> Run:
    """Turn a folder of images into a small generator, an ONNX file and a report: as `pocketgan compress`.

    The same call goes on where an earlier one was stopped. A script that is started by `torchrun` or `srun` as
    several processes shares the work among them.

        run = pg.compress("path/to/pairs", budget="1.5G", size=128)
        run = pg.compress(MyGenerator, "path/to/pairs", budget="500M", size=128)
        run = pg.compress(net, "path/to/images", teacher_weights=weights, targets="teacher", budget="500M")

    Args:
        generator: the data, for a generator of this package; else your own, and the data after it: an `nn.Module`
            of images, or the class or function that makes it. It is trained as the teacher, from first weights
            drawn like those that it has. A module whose weights were drawn anew is another generator: to go on
            with a run that was stopped, give the class.
        data: folder of images: pairs, two sets, or label maps with photos.
        budget: MACs of one image by the papers' count ("2.6G"), or "true_macs=1G,params=400K,latency=20ms".
        runtime: a bound on the latency is on this one, with so many threads; default "onnxruntime:1".
        size: side of the images in pixels, or height and width; default 256.
        out: run folder; default runs/NAME.
        store: where the stages are kept, for several runs that share some; default in the run folder.
        storage: where candidates of the search are kept, for workers on other machines; default in the store.
        method, effort, model, direction, unpaired, classes, load_size, crop, flip, rotate, discriminator,
            unlabelled, precision, device: as of the command line, see `pocketgan compress --help`.
        channels: of the images of A and of B; default as the files have them.
        ranges: the values that are black and white, under "A", "B" or, for both, "".
        teacher: a finished teacher, not trained then: a model folder, a run, or a checkpoint that `import` knows.
        teacher_weights: weights of `generator`, which is then a finished teacher: a state dict, or its file.
        targets: "teacher" where `data` are images alone, in one folder or in train/, val/ and test/: the pictures
            that a finished teacher makes of them are their targets. They are made once, in the run folder.
        weights: files of weights of feature networks, by their names.
        settings: changes of single settings, as {"supernet.constant": 40}.
        progress: called with (name of the stage, done, total) as each proceeds; default: it is shown on stderr, as
            bars at a terminal, as a line now and then elsewhere; if `quiet` not at all.

    Raises `PocketGANError`, one line with the rule, the value and what to do, for anything that cannot be done.
    """
    if ranges is not None and not isinstance(ranges, Mapping):
        raise SpecError(f"ranges are as {{'A': (0, 4095)}}, under A, B or, for both, '', not {ranges!r}")
    for what, value, known in (
        ("effort", effort, get_args(Effort)),
        ("direction", direction, get_args(Direction)),
        ("name in ranges", next((name for name in ranges or {} if name not in ("A", "B", "")), ""), ("A", "B", "")),
    ):
        if value not in known:
            raise unknown(what, value, known)
    if weights is not None and not isinstance(weights, Mapping):
        raise SpecError(f"weights is a mapping of names to values, not a {type(weights).__name__}")
    paths = dict(
        data=data, out=out, store=store, teacher=teacher, discriminator=discriminator, unlabelled=unlabelled
    )
    for what, path in paths.items():
        if path is not None:
            path_of(path, what)
    files = files_of_weights(weights or {})
    if teacher_weights is not None and not isinstance(teacher_weights, (str, Path, Mapping)):
        raise SpecError(f"teacher_weights are a state dict, or its file, not a {type(teacher_weights).__name__}")
    if not isinstance(channels, tuple) or len(channels) != 2:
        raise SpecError(f"channels are those of A and of B, as (1, 3), not {channels!r}")
    world = enter(device_named(device))
    quiet = quiet or not world.leads
    module: nn.Module | None = None
    if isinstance(generator, (str, Path)):
        if data is not None:
            raise SpecError(
                f"{generator} is no nn.Module; give compress(generator, data, ...) or compress(data, ...)"
            )
        module, folder = None, Path(generator)
    elif data is None:
        raise SpecError("a generator needs images to learn from; give their folder as the second argument")
    else:
        folder = Path(data)
        if isinstance(generator, nn.Module):
            module = generator
        else:
            module = generator_of(generator, {}, getattr(generator, "__name__", repr(generator)))
    if teacher_weights is not None and module is None:
        raise SpecError("teacher_weights are those of a generator; give it as the first argument")
    if teacher_weights is not None and teacher is not None:
        raise SpecError("teacher and teacher_weights both name a finished teacher; leave one of them out")
    changes = changes_of(settings)
    with TemporaryDirectory() as place:
        with _telling(progress, {}, quiet or targets is None) as tell:
            job = job_of_images(
                data=folder,
                budget=budget,
                runtime=runtime,
                size=None if size is None else both_sides(size),
                load_size=None if load_size is None else both_sides(load_size),
                crop=crop,
                flip=flip,
                rotate=rotate,
                direction=direction,
                unpaired=unpaired,
                classes=classes,
                channels=channels,
                ranges=ranges or {},
                model=model,
                method=method,
                effort=effort,
                teacher=None if teacher is None else Path(teacher),
                discriminator=None if discriminator is None else Path(discriminator),
                generator=module,
                teacher_weights=Path(teacher_weights) if isinstance(teacher_weights, str) else teacher_weights,
                targets=targets,
                unlabelled=None if unlabelled is None else Path(unlabelled),
                weights=files,
                out=None if out is None else Path(out),
                store=None if store is None else Path(store),
                storage=storage,
                changes=[*changes, *([f"precision={precision}"] if precision else [])],
                device=device,
                devices=world.size,
                place=Path(place),
                progress=tell,
            )
        return carried_out(job, "compress", progress, quiet)


def carried_out(job: Job, verb: str, progress: Show | None, quiet: bool) -> Run:
    """Do what is to be done, or go on with it where it stopped."""
    recipe, _ = job.settled()
    check_owner(job.out, owner(recipe))
    kept = store_of(job.out, job.runtime.store)
    left = {} if quiet or progress else estimate_seconds(recipe, kept, job.runtime)
    with _telling(progress, left, quiet) as tell:
        run_recipe(
            recipe,
            job.out,
            job.runtime,
            f"pocketgan.{verb}(...)",
            lambda name, stage, done, total: tell(name, done, total),
        )
    return Run(job.out)


def _telling(progress: Show | None, left: Mapping[str, float], quiet: bool) -> AbstractContextManager[Show]:
    """What to tell of progress: the caller's own function, else what is shown."""
    return nullcontext(progress) if progress else progress_shown(left, quiet=quiet)


def changes_of(settings: Any) -> list[str]:
    """Changes of single settings as `--set` reads them, of a mapping or None. `SpecError` for anything else."""
    if settings is not None and not isinstance(settings, Mapping):
        raise SpecError(f"settings is a mapping of names to values, not a {type(settings).__name__}")
    return [f"{name}={_text(value)}" for name, value in (settings or {}).items()]


def _text(value: Any) -> str:
    """As `--set` reads it."""
    try:
        return value if isinstance(value, str) else json.dumps(value, default=lambda number: number.item())
    except (TypeError, AttributeError) as error:
        raise SpecError(f"a setting is a number, a text or a list of them, not a {type(value).__name__}") from error
