"""The verb that scores: a model on data, or one result against another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pocketgan.cli.options import Classes, Device, Json, Sides, Unpaired, Weights, read_sides, read_weights
from pocketgan.cli.show import print_json, say, table
from pocketgan.errors import DataError, SpecError

if TYPE_CHECKING:
    from pocketgan.metrics.evaluation import Evaluation

#: names of worst images that are shown
SHOWN = 3


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, run folder, spec or exported file; a folder of pictures; or a result of --out.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(help="Folder of images (of pictures: real ones); or the other result.", show_default=False),
    ],
    metrics: Annotated[
        str | None, typer.Option(help="Comma-separated; default those that suit the data and need no download.")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(help="held-out, paired-val, gan-compression-unpaired, cut-120-140 or pseudo-pair."),
    ] = "held-out",
    split: Annotated[
        Literal["train", "select", "test", "all"] | None,
        typer.Option(help="Which split, or all images of the folder; default the protocol's, test."),
    ] = None,
    size: Sides = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="What becomes what; default the model's.")
    ] = None,
    unpaired: Unpaired = None,
    classes: Classes = None,
    teacher: Annotated[
        str | None, typer.Option(help="The model that the metrics teacher_... compare with.")
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="Another model of the same recipe, say of another seed (repeatable).")
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(help="For miou: an ONNX file, drn, deeplab, espnet-camvid or espnet-cityscapes.")
    ] = None,
    weights: Weights = None,
    statistics: Annotated[
        Path | None, typer.Option(help="An .npz with mu and sigma of the real images, for FIDs.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to keep the result in.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a model or its pictures, with 95 % confidence intervals; or say whether two results really differ."""
    from pocketgan.data.images import list_images
    from pocketgan.metrics.evaluation import is_evaluation

    wanted = [name.strip() for name in metrics.split(",") if name.strip()] if metrics else None
    if is_evaluation(Path(model)) or is_evaluation(data) or _is_run(data):
        told: dict[str, Any] = dict(
            metrics=metrics, split=split, size=size, direction=direction, unpaired=unpaired, classes=classes
        )
        told |= dict(
            teacher=teacher, also=also, segmenter=segmenter, weights=weights, statistics=statistics, out=out
        )
        told |= dict(protocol=None if protocol == "held-out" else protocol)
        if given := [name for name, value in told.items() if value is not None]:
            raise SpecError(f"--{given[0]} is for scoring a model, and here are two results; leave it out")
        return _compare(Path(model), data, as_json)
    if Path(model).is_dir() and list_images(Path(model)):
        of_models = dict(split=split, direction=direction, classes=classes, teacher=teacher, also=also)
        of_models |= dict(segmenter=segmenter, protocol=None if protocol == "held-out" else protocol)
        if given := [name for name, value in of_models.items() if value is not None]:
            raise SpecError(f"--{given[0]} is for scoring a model, and here are its pictures; leave it out")
        from pocketgan.metrics.on_folders import evaluate_folders
        from pocketgan.pretrained.weights import cache_folder
        from pocketgan.runtime import device_named

        result, pairs = evaluate_folders(
            Path(model),
            data,
            read_sides(size),
            unpaired,
            metrics=wanted,
            weights=read_weights(weights or []),
            statistics=statistics,
            cache=cache_folder() / "features",
            device=device_named(device),
        )
        if out:
            result.save(out)
        if as_json:
            return print_json({"pictures": model, "real": str(data), "pairs": pairs, **_content(result)})
        how = "image by image and as sets" if pairs else "as sets alone"
        say(f"{len(result.names)} pictures against {len(result.images['targets'].names)} real images, {how}")
        return _show(result)

    from pocketgan.api.verbs import scored
    from pocketgan.units import size_figure, size_text

    result, task, rules, count = scored(
        [model, *(also or [])],
        data,
        metrics=wanted,
        protocol=protocol,
        split=split,
        size=read_sides(size),
        direction=direction,
        unpaired=unpaired,
        classes=classes,
        teacher=teacher,
        segmenter=segmenter,
        weights=read_weights(weights or []),
        statistics=statistics,
        device=device,
    )
    if out:
        result.save(out)
    splits = "train+select+test" if split == "all" else split or "+".join(rules.sources)
    if as_json:
        return print_json(
            {
                "model": model,
                "also": also or [],
                "split": splits,
                "size": size_figure(task.size),
                "data_digest": task.data_digest,
                **_content(result),
            }
        )
    say(f"{len(result.names)} images of the {splits} split at {size_text(task.size)} pixels")
    instead = f" (but of {splits})" if split else ""
    say(f"protocol {rules.name}: {rules.about}{instead}")
    if also:
        say(f"mean over {count} models")
    if task.left_out:
        say(f"note: {task.left_out}")
    _show(result)


def _content(result: Evaluation) -> dict[str, Any]:
    """The figures as strict JSON takes them."""
    content = result.content()
    shown = ("protocol", "scores", "intervals", "errors", "worst", "warnings", "members")
    return {
        "images": len(result.names),
        **{key: content[key] for key in shown},
        "sha256": {side: listing.sha256 for side, listing in result.images.items()},
    }


def _show(result: Evaluation) -> None:
    """A line a metric, and what a reader must know."""
    from pocketgan.metrics.evaluate import METRICS

    rows = [
        [name, _figure(value), _interval(result.intervals[name]), METRICS[name].better, *_worst(result, name)]
        for name, value in result.scores.items()
    ]
    table(["metric", "score", "95 % interval", "better", "worst 5 %", "among them"], rows)
    for warning in result.warnings:
        say(f"note: {warning}")


def _compare(first: Path, second: Path, as_json: bool) -> None:
    """Two results against each other."""
    from pocketgan.metrics.compare import compare, unlike

    a, b = _result(first), _result(second)
    differences, left_out = compare(a, b), unlike(a, b)
    if as_json:
        return print_json(
            {
                "first": str(first),
                "second": str(second),
                "protocol": a.protocol,
                "images": len(a.names),
                "left_out": left_out,
                "differences": [_strict(vars(difference)) for difference in differences],
            }
        )
    say(f"{len(a.names)} images, protocol {a.protocol}; difference: {second} less {first}")
    rows = [
        [d.metric, _figure(d.first), _figure(d.second), f"{d.difference:+.4g}", _interval(d.interval), _verdict(d)]
        for d in differences
    ]
    table(["metric", "first", "second", "difference", "95 % interval", "verdict"], rows)
    absent = {*a.scores, *b.scores} - {d.metric for d in differences}
    for warning in dict.fromkeys((*a.warnings, *b.warnings)):
        if warning.partition(":")[0] not in absent:
            say(f"note: {warning}")
    if left_out:
        say(f"note: not compared, because computed with other settings, weights or teachers: {', '.join(left_out)}")


def _is_run(folder: Path) -> bool:
    from pocketgan.pipeline.owner import MARK

    return (folder / MARK).is_file()


def _result(folder: Path) -> Evaluation:
    """The result that `--out` left; of a run, that of its compressed network on the test split."""
    from pocketgan.metrics.evaluation import Evaluation

    if not _is_run(folder):
        return Evaluation.load(folder)
    from pocketgan.pipeline.recipe import read_recipe
    from pocketgan.runs.run import store_of

    recipe, store = read_recipe(folder), store_of(folder)
    scores = recipe.scores(recipe.result)
    if store.status(scores) != "finished":
        raise DataError(f"the run in {folder} is not finished; run its command again to go on with it")
    return scores.load(store.artifact(scores))


def _verdict(difference: Any) -> str:
    if difference.verdict == "withheld":
        return "none: too few images"
    return f"real: {difference.better} is better" if difference.better else "noise"


def _worst(result: Evaluation, name: str) -> list[str]:
    worst = result.worst.get(name)
    if worst is None:
        return ["", ""]
    more = ", ..." if len(worst.names) > SHOWN else ""
    return [_figure(worst.value), ", ".join(worst.names[:SHOWN]) + more]


def _figure(value: float) -> str:
    # a share that sums up to 1e-17 is 0
    return f"{round(value, 12):.4g}"


def _interval(ends: tuple[float, float]) -> str:
    return f"{_figure(ends[0])} to {_figure(ends[1])}"


def _strict(content: dict[str, Any]) -> dict[str, Any]:
    """As strict JSON takes it: infinity is the string "inf"."""
    from pocketgan.metrics.evaluation import plain

    return {key: plain(value) for key, value in content.items()}
