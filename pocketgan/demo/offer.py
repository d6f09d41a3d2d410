"""What a page offers: the networks of a run or a model, what to paint with, and examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt, UInt8

from pocketgan.data.cache import Images, load_examples
from pocketgan.data.images import list_images, read_rgb, resize, shown
from pocketgan.data.labels import LabelMaps
from pocketgan.data.values import Values
from pocketgan.demo.contestant import Contestant
from pocketgan.demo.palette import Paint, paints_of, paints_of_labels
from pocketgan.deploy.pictures import Pictures
from pocketgan.deploy.ship import export_verified
from pocketgan.deploy.translate import labels_of
from pocketgan.elastic.budget import Budget
from pocketgan.errors import DataError, SpecError
from pocketgan.models import Model, find_model, is_model, load_generator, load_model
from pocketgan.pipeline.export import Export
from pocketgan.pipeline.owner import MARK, claim
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Recipe
from pocketgan.report import CandidatePoint, Report
from pocketgan.runs.report import read_report
from pocketgan.runs.run import export_of, finished_recipe, owner_of, store_of
from pocketgan.runtime import Runtime
from pocketgan.units import Size, number_text

#: the most subnets of a front that are exported, the ends among them
SUBNETS = 7
EXAMPLES = 8
_LOOKED_AT = 32

Progress = Callable[[str, int, int], None]
Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """An input of the data, and its target where it has one.

    Label maps lie in the channels as `labels.pack` has it: the class, then the number of the instance in two bytes.
    """

    name: str
    source: Picture
    target: Picture | None = None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a page offers.

    Attributes:
        title: the name of the run or model.
        size: height and width of inputs and outputs.
        labels: what label maps hold, where the inputs are such.
        values: what the images hold that they take else: gray, or red, green and blue.
        paints: the palette; empty for photos.
        front: the networks of the slider, cheapest first; at least one.
        start: the name of the one that is shown first.
        teacher: the network to compare with, if there is one.
        style: how many numbers the networks take as a style; 0 for none.
        report: the run's report, if it has one.
    """

    title: str
    size: Size
    labels: LabelMaps | None = None
    values: Values | None = None
    paints: list[Paint]
    front: list[Contestant]
    start: str
    teacher: Contestant | None = None
    style: int = 0
    examples: list[Example]
    report: Path | None = None

    @property
    def kind(self) -> Literal["labels", "drawing", "photo"]:
        """What a person gives: label maps and drawings are painted, photos are taken."""
        return "labels" if self.labels else "drawing" if self.paints else "photo"

    @property
    def contestants(self) -> list[Contestant]:
        return [*self.front, *([self.teacher] if self.teacher else [])]


def offer_of(text: str, cache: Path, data: Path | None, progress: Progress) -> Offer:
    """What a page offers of a finished run, a model folder or a spec string.

    Args:
        cache: where the files of a model are exported to; those of a run stay in its own folder.
        data: of a run, where its images are now; of a model, a folder of examples.
        progress: called with (what, done, total) while files are made.

    Raises:
        DataError: `text` names nothing that can be used, or a run that is not finished.
        SpecError: a network that takes what a page cannot give.
        OutputError: the run folder cannot be written.
    """
    if (Path(text) / MARK).is_file():
        return _of_run(Path(text), data, progress)
    return _of_model(text, find_model(text), cache, data, progress)


def _of_run(run: Path, data: Path | None, progress: Progress) -> Offer:
    recipe, report = finished_recipe(run, data), read_report(run)
    task, store = recipe.task, store_of(run)
    values = None if task.labels else _given(task.source)

    def contestant(name: str, title: str, network: Any, score: str = "") -> Contestant:
        spec = load_model(store.artifact(network) / "model").spec
        return Contestant.of(name, title, export_of(recipe, store, network), spec, task.size, score)

    teacher = contestant("teacher", "teacher", recipe.teacher)
    result = contestant("compressed", "compressed", recipe.result)
    front = [
        contestant(name, title, pick, score) for name, title, pick, score in _front(recipe, run, report, progress)
    ]
    front = sorted([*front, result], key=lambda each: each.macs)
    test = load_examples(task, "test", store.cache, training=False)
    train = load_examples(task, "train", store.cache, training=True).sources
    paints = paints_of_labels(task.labels) if task.labels else paints_of(train.pictures(slice(_LOOKED_AT)))
    return Offer(
        title=recipe.name,
        size=task.size,
        labels=task.labels,
        values=values,
        paints=paints,
        front=front,
        start=result.name,
        teacher=teacher,
        style=_style(load_model(store.artifact(recipe.result) / "model")),
        examples=examples_of(test.sources, test.targets if test.paired else None),
        report=run / "report.html",
    )


def _front(recipe: Recipe, run: Path, report: Report, progress: Progress) -> list[tuple[str, str, Pick, str]]:
    """The subnets of the front beside the chosen one, exported; each with its name, title and score.

    They are picked and exported as stages of the run, so that this is done once.
    """
    if recipe.search is None:
        return []
    points = [each for each in report.front() if not each.chosen]
    points = [
        points[i] for i in np.unique(np.linspace(0, len(points) - 1, min(SUBNETS, len(points))).round().astype(int))
    ]
    store, found = store_of(run), []
    with claim(run, owner_of(recipe, run, store)):
        for done, point in enumerate(points):
            progress("subnets of the front", done, len(points))
            pick = Pick(search=recipe.search, budget=Budget(macs=point.macs))
            for stage in (pick, Export(network=pick, task=recipe.task)):
                store.realise(stage, Runtime(device="cpu"))
            found.append((f"front-{done + 1}", f"subnet {point.subnet}", pick, _score(point, report)))
    if points:
        progress("subnets of the front", len(points), len(points))
    return found


def _score(point: CandidatePoint, report: Report) -> str:
    return f"{report.metric} {number_text(point.scores[report.metric])} on {report.selection_split}"


def _of_model(text: str, model: Model, cache: Path, data: Path | None, progress: Progress) -> Offer:
    """A model folder may hold, in `front/`, models of other budgets, and in `examples/` images to start from."""
    folder, labels = Path(text), labels_of(model)
    if labels and data:
        raise SpecError("--data is for models of images, and this one takes label maps; leave it out")
    values = None if labels else _given(model.source)
    model.spec.check_size(*model.size)
    name = folder.resolve().name if folder.is_dir() else text
    others = [(path.name, load_generator(path)) for path in sorted(folder.glob("front/*")) if is_model(path)]
    front: list[Contestant] = []
    for title, each in [(name, model), *others]:
        if each.size != model.size or each.source != model.source or labels_of(each) != labels:
            own = folder / "front" / title
            raise DataError(f"{own} is a model of other images than {folder}; move it elsewhere")
        progress("export", len(front), len(others) + 1)
        code = f"front-{len(front)}" if front else "compressed"
        export_verified(each.network, each.size, file := cache / f"{code}.onnx")
        front.append(Contestant.of(code, title, file, each.spec, each.size, str(each.card.get("score", ""))))
    progress("export", len(front), len(front))
    data = data or (folder / "examples" if (folder / "examples").is_dir() else None)
    examples = _from_folder(data, model) if data and not labels else []
    pictures = np.stack([each.source for each in examples]) if examples else np.zeros((0, 1, 1, 3), np.uint8)
    paints = paints_of_labels(labels) if labels else paints_of(pictures)
    return Offer(
        title=name,
        size=model.size,
        labels=labels,
        values=values,
        paints=paints,
        front=sorted(front, key=lambda each: each.macs),
        start="compressed",
        style=_style(model),
        examples=examples,
    )


def _given(values: Values) -> Values:
    """What networks take as images. Raises `SpecError` for what cannot be painted."""
    if values.channels not in (1, 3):
        raise SpecError(
            f"the page gives pictures, gray or in colours, and this network takes {values.channels} channels; "
            "run it with `pocketgan translate`"
        )
    return values


def _style(model: Model) -> int:
    """How many numbers of style a network takes. Raises `SpecError` for what the page cannot give."""
    drawn = model.network.draw(1, torch.Generator().manual_seed(0))
    if drawn.keys() - {"style"}:
        raise SpecError(f"the page gives images and styles, and this network takes {', '.join(drawn)}; use another")
    return drawn["style"].numel() if drawn else 0


def examples_of(sources: Images, targets: Images | None) -> list[Example]:
    """Some samples from all over a split."""
    chosen = np.unique(np.linspace(0, len(sources) - 1, min(EXAMPLES, len(sources))).round().astype(int))
    return [
        Example(
            name=sources.names[i],
            source=_stored(np.asarray(sources.pixels[i]), sources.labels),
            target=None if targets is None else shown(np.asarray(targets.pixels[i])),
        )
        for i in chosen.tolist()
    ]


def _stored(pixels: UInt[np.ndarray, "height width channels"], labels: LabelMaps | None) -> Picture:
    """Kept pixels as the page has them: images for the eye, label maps with zeros for bytes that they lack."""
    return np.pad(pixels, ((0, 0), (0, 0), (0, 3 - pixels.shape[2]))) if labels else shown(pixels)


def _from_folder(folder: Path, model: Model) -> list[Example]:
    """The first images of a folder, or of `A/` in it, whose targets are those of the same names in `B/`."""
    paired = (folder / "A").is_dir()
    files = list_images(folder / "A" if paired else folder)[:EXAMPLES]
    if not files:
        raise DataError(f"{folder} holds no images to start from; name another folder with --data")
    targets = {path.stem: path for path in list_images(folder / "B")} if paired and (folder / "B").is_dir() else {}
    read = Pictures(model, files, None)
    return [
        Example(
            name=path.stem,
            source=shown(resize(read(path), *model.size)),
            target=resize(read_rgb(targets[path.stem]), *model.size) if path.stem in targets else None,
        )
        for path in files
    ]
