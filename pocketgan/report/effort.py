"""What a longer training, a longer search or a larger budget would bring, as far as a finished run can tell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pocketgan.metrics.titles import title_of
from pocketgan.report.model import CandidatePoint, Report
from pocketgan.units import Number, number_text, si

#: logged points of a loss below which its course says nothing, and the change that is worth a word
_POINTS, _WORTH = 12, 0.01
_EFFORTS = ("quick", "standard", "paper")


class Gain(NamedTuple):
    """One kind of effort, and what is known of it."""

    effort: str
    finding: str


class Step(NamedTuple):
    """What to do next, and its command."""

    purpose: str
    command: str


def gains(report: Report, curves: Mapping[str, Mapping[str, Sequence[tuple[Number, Number]]]]) -> list[Gain]:
    """What the run shows of each effort. `curves`: by stage, by name of the loss: (step, value) pairs."""
    found = [Gain(f"A longer {stage}", _course(losses)) for stage, losses in curves.items()]
    if not report.scored():
        return found
    if not report.decides(report.metric, report.selection_split):
        images = report.task.counts.get(report.selection_split, 0)
        effort = "A longer search, a larger budget, a better teacher"
        few = f"The search compared subnets on {images} images, too few to tell. More images come first."
        return [*found, Gain(effort, few)]
    return [*found, *_of_the_search(report)]


def _course(losses: Mapping[str, Sequence[tuple[Number, Number]]]) -> str:
    """How the losses of one training went that measure how far its pictures are from where they should be."""
    # losses of the game between two networks tell nothing by their height
    measuring = {n: p for n, p in losses.items() if n.startswith("G_") and "gan" not in n and len(p) >= _POINTS}
    if not measuring:
        return "Its losses were logged too few times to tell."
    name, points = max(measuring.items(), key=lambda item: abs(_mean(item[1])))
    quarter = len(points) // 4
    before, after = _mean(points[-2 * quarter : -quarter]), _mean(points[-quarter:])
    change = (before - after) / abs(before) if before else 0.0
    loss = f"its {loss_title(name)} loss"
    if change > _WORTH:
        return f"Still learning: {loss} fell by {change:.1%} over the last quarter. More steps are likely to help."
    return f"Levelled out: {loss} changed by {-change:+.1%} over the last quarter. More steps gain little."


def _of_the_search(report: Report) -> Iterator[Gain]:
    title, sign = title_of(report.metric), report.sign

    def score(point: CandidatePoint) -> float:
        return sign * point.scores[report.metric]

    scored, front = report.scored(), report.front()
    half = len(scored) // 2
    if half:
        early, late = min(map(score, scored[:half])), min(map(score, scored))
        second = f"The second half of its {len(scored)} subnets"
        yield Gain(
            "A longer search",
            f"{second} improved the best {title} from {number_text(abs(early))} to {number_text(abs(late))}: "
            "more of them may help."
            if late < early
            else f"{second} found none better than the first: it gains little.",
        )
    if len(front) > 1:
        cheaper, best = front[-2:]
        yield Gain(
            "A larger budget",
            f"The last step up the front, from {si(cheaper.macs)} to {si(best.macs)} MACs, took {title} from "
            f"{number_text(cheaper.scores[report.metric])} to {number_text(best.scores[report.metric])}. "
            "A budget beyond that can be picked without training.",
        )
    chosen = next((point for point in scored if point.chosen), None)
    if chosen and (teacher := report.teacher_on_selection) is not None:
        own = number_text(chosen.scores[report.metric])
        yield Gain(
            "A better teacher",
            f"The chosen subnet was at {own} where the teacher is at {number_text(teacher)}: "
            + (
                "no gap is left to close, so only a better teacher leads further."
                if score(chosen) <= sign * teacher
                else "first the gap to this one is to be closed."
            ),
        )


def _mean(points: Sequence[tuple[Number, Number]]) -> float:
    return sum(value for _, value in points) / len(points)


def loss_title(name: str) -> str:
    """The name of a loss in words: `G_recon` is the generator's reconstruction loss."""
    known = {
        "G_gan": "adversarial",
        "G_recon": "reconstruction",
        "G_distil": "distillation",
        "G_image": "image reconstruction",
        "G_tv": "total variation",
        "D_real": "discriminator on real images",
        "D_fake": "discriminator on generated images",
    }
    for start, words in known.items():
        if name == start or name.startswith(f"{start}_"):
            return " ".join([words, *name.removeprefix(start).split("_")]).strip().replace("  ", " ")
    return name.removeprefix("G_").replace("_", " ")


def next_steps(report: Report) -> list[Step]:
    """Commands that go on from a run; none where the report does not say where it is."""
    if not report.run:
        return []
    run = shlex.quote(report.run)
    steps = [
        Step("Play with it in the browser", f"pocketgan demo {run}"),
        Step("Use it on your own pictures", f"pocketgan translate {run} path/to/pictures/*.png -o pictures"),
    ]
    front = report.front()
    if len(front) > 1:
        chosen = next((i for i, point in enumerate(front) if point.chosen), len(front) - 1)
        cheaper = front[max(0, chosen - 1)]
        thousandths = f"{-(-cheaper.macs // 1000) / 1000:.3f}"  # of a million, rounded up
        budget = f"{thousandths.rstrip('0').rstrip('.')}M"
        steps.append(
            Step(f"Take a smaller one, of {si(cheaper.macs)} MACs", f"pocketgan pick {run} --budget {budget}")
        )
    steps.append(Step("Take it to another runtime", f"pocketgan export {run} --format onnx,openvino -o small"))
    if longer := _longer(report.command, report.run):
        steps.append(Step("See what a longer training would take", longer))
    return steps


def _longer(command: str, run: str) -> str | None:
    """The command that plans the same work with the next higher effort, in a folder of its own."""
    verb, *words = command.removeprefix("pocketgan ").split(" ")
    own = {name: words.pop(words.index(name) + 1) for name in ("--effort", "--out", "-o") if name in words[:-1]}
    now = own.get("--effort", _EFFORTS[0])
    if verb != "compress" or now not in _EFFORTS[:-1]:
        return None
    further = _EFFORTS[_EFFORTS.index(now) + 1]
    kept = [word for word in words if word not in {*own, "--yes", "--quiet", "-q", "--json"}]
    out = shlex.quote(f"{run}-{further}")
    return " ".join(["pocketgan", "plan", *kept, "--effort", further, "--out", out])
