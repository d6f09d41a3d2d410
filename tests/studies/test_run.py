"""A whole study at toy size: by the command line, interrupted, with more seeds, and of searches."""

import json

import pytest
import torch

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.elastic.spaces import space_named
from pocketgan.errors import DataError, OutputError
from pocketgan.metrics.evaluation import Evaluation
from pocketgan.models import load_model
from pocketgan.networks import ResnetSpec
from pocketgan.pipeline.distil import Distil
from pocketgan.pipeline.evaluate import Evaluate
from pocketgan.pipeline.recipe import read_recipe
from pocketgan.pipeline.search import Search
from pocketgan.pipeline.store import Store
from pocketgan.pipeline.training import Train
from pocketgan.report.study import StudyReport
from pocketgan.runtime import Runtime
from pocketgan.search import Random
from pocketgan.studies.pace import Pace
from pocketgan.studies.run import owner, run_study, spent
from pocketgan.studies.setting import Setting
from pocketgan.studies.study import Claim, Point, Study

CPU = Runtime(device="cpu")


def of_width(setting: Setting, width: int) -> Train:
    return setting.training(Train, 1.0, f"width {width}", generator=ResnetSpec.uniform(width, blocks=1))


TOY = Study(
    name="toy",
    about="Does width help?",
    source="nobody",
    points=lambda setting: [Point(f"width {width}", "all", of_width(setting, width)) for width in (1, 2)],
    claims=(Claim(better="width 2", worse="width 1"),),
)


@pytest.fixture
def setting(paired) -> Setting:
    """Four epochs of one step each."""
    return Setting(task=paired, seconds=0.4, pace={"width 1": 0.1, "width 2": 0.1}, discriminator_width=2)


def timeless(report: StudyReport) -> dict:
    content = report.model_dump(mode="json", exclude={"date", "command"})
    for point in content["points"]:
        for member in point["members"]:
            del member["processor_seconds"]
    return content


def test_figures_are_those_of_the_networks(tmp_path, setting):
    report = run_study(TOY, setting, tmp_path / "study", (0, 1), CPU, "toy")
    store = Store(tmp_path / "study" / "stages")
    assert (report.seeds, report.series, report.places) == ((0, 1), ("width 1", "width 2"), ("all",))
    for point, width in zip(report.points, (1, 2), strict=True):
        for member in point.members:
            stage = of_width(setting.model_copy(update={"seed": member.seed}), width)
            scores = Evaluation.load(store.artifact(Evaluate(network=stage, task=setting.task))).scores
            assert (member.scores, member.digest) == (scores, stage.digest)
            spec = load_model(store.artifact(stage) / "model").spec
            assert {name: getattr(member, name) for name in ("params", "macs", "true_macs")} == cost(spec, 24, 24)
        assert point.scores["l1"] == pytest.approx(sum(m.scores["l1"] for m in point.members) / 2)
        low, high = point.intervals["l1"]
        assert low < point.scores["l1"] < high
    assert {verdict.metric for verdict in report.verdicts} == report.points[0].scores.keys()
    assert StudyReport.model_validate_json((tmp_path / "study" / "study.json").read_text()) == report


def test_a_study_that_was_interrupted_ends_like_any_other(tmp_path, setting):
    whole = run_study(TOY, setting, tmp_path / "whole", (0, 1), CPU, "toy")

    def stop(name: str, done: int, total: int) -> None:
        if name == "width 2, all, seed 1: train" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(TOY, setting, tmp_path / "broken", (0, 1), CPU, "toy", stop)
    first = StudyReport.model_validate_json((tmp_path / "broken" / "study.json").read_text())
    assert first.seeds == (0,), "the finished seed is told already"
    told: set[str] = set()
    again = run_study(
        TOY, setting, tmp_path / "broken", (0, 1), CPU, "toy", lambda name, done, total: told.add(name)
    )
    assert timeless(again) == timeless(whole)
    assert {name for name in told if not name.startswith("images")} == {
        "width 2, all, seed 1: train",
        "width 2, all, seed 1: evaluate",
    }


def test_the_folder_is_of_one_question_whatever_the_seeds(setting):
    assert owner(TOY, setting) == owner(TOY, setting.model_copy(update={"seed": 3}))
    assert owner(TOY, setting) == owner(TOY, setting.model_copy(update={"pace": Pace({"width 1": 9.0})}))
    assert owner(TOY, setting).digest != owner(TOY, setting.model_copy(update={"seconds": 9.0})).digest


def test_another_setting_needs_another_folder(tmp_path, setting):
    run_study(TOY, setting, tmp_path / "study", (0,), CPU, "toy")
    with pytest.raises(OutputError, match="belongs to another"):
        run_study(TOY, setting.model_copy(update={"seconds": 9.0}), tmp_path / "study", (0,), CPU, "toy")


def test_a_study_is_no_run(tmp_path, setting):
    run_study(TOY, setting, tmp_path / "study", (0,), CPU, "toy")
    with pytest.raises(DataError, match=r"holds a study, see .*study\.html"):
        read_recipe(tmp_path / "study")


def test_a_study_that_fails_at_once_leaves_no_folder(tmp_path, setting):
    def impossible(setting: Setting) -> list[Point]:
        raise DataError("no")

    study = Study(name="toy", about="", source="", points=impossible, claims=())
    with pytest.raises(DataError, match="no"):
        run_study(study, setting, tmp_path / "new" / "study", (0,), CPU, "toy")
    assert not (tmp_path / "new").exists()


def test_everything_runs_on_one_thread(tmp_path, setting):
    threads = torch.get_num_threads()
    seen = set()
    try:
        torch.set_num_threads(2)
        run_study(TOY, setting, tmp_path / "study", (0,), CPU, "toy", lambda *_: seen.add(torch.get_num_threads()))
        assert (seen, torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(threads)


def test_every_stage_is_paid_once(tmp_path, setting):
    """A student that has its weights, its discriminator and its features of one teacher."""
    teacher = of_width(setting, 1)
    student = setting.training(Distil, 1.0, "width 1", teacher=teacher, init=teacher, inherited=teacher)
    store = Store(tmp_path)
    for stage, seconds in ((teacher, [99, 10]), (student, [99, 5.5])):
        store.home(stage).mkdir()
        (store.home(stage) / "seconds.json").write_text(json.dumps(seconds))
    assert spent(store, student) == 15.5


def test_a_study_of_searches_gives_curves(tmp_path, setting):
    def searches(setting: Setting) -> list[Point]:
        teacher = of_width(setting, 2)
        space = space_named("2_1", ResnetSpec.uniform(1, blocks=1))
        supernet = setting.training(Distil, 1.0, "width 2", teacher=teacher, space=space)
        shared = dict(supernet=supernet, budget=Budget(macs=10**9), seed=setting.seed)
        return [
            Point(f"{count} draws", "all", Search(strategy=Random(candidates=count), **shared)) for count in (4, 2)
        ]

    claims = (Claim(better="4 draws", worse="2 draws"),)
    study = Study(name="draws", about="Do more help?", source="nobody", points=searches, claims=claims)
    report = run_study(study, setting, tmp_path / "study", (0, 1), CPU, "toy")
    more, fewer = report.curves
    assert (len(more.mean), len(fewer.mean), report.axis, report.points) == (4, 2, "evaluations", ())
    assert all(a >= b for a, b in zip(more.mean, more.mean[1:], strict=False)), "lower is better"
    store = Store(tmp_path / "study" / "stages")
    for member in more.members:
        stage = searches(setting.model_copy(update={"seed": member.seed}))[0].network
        assert member.best[-1] == stage.load(store.artifact(stage)).best.scores["fd_mobilenet_v2"]
        assert member.processor_seconds >= spent(store, stage.supernet)
    (verdict,) = report.verdicts
    assert verdict.difference == pytest.approx(more.mean[-1] - fewer.mean[-1])


def test_the_verb(tmp_path, cli, pairs, even_pace):
    """Two seeds, first one and then the other; the figures of the first stay as they were."""
    out = tmp_path / "study"
    words = (
        "study",
        "intermediate-features",
        pairs,
        "--seconds",
        "0.1",
        "--size",
        "24",
        "--width",
        "16",
        "--out",
        out,
    )
    first = cli(*words, "--seeds", "1", "--json")
    assert first.code == 0, first.err
    one = json.loads(first.out)
    again = cli(*words, "--seeds", "2")
    assert again.code == 0, again.err
    assert again.out.splitlines()[-1] == str(out / "study.html")
    assert "claims of the source were seen" in again.out
    assert "seed 0: distil" not in again.err, "what is finished is not run again"
    two = json.loads((out / "study.json").read_text())
    assert (one["seeds"], two["seeds"]) == ([0], [0, 1])
    for before, after in zip(one["points"], two["points"], strict=True):
        assert before["members"] == after["members"][:1]
    assert {path.name for path in out.iterdir() if path.is_file()} - {".lock"} == {
        "recipe.json",
        "study.html",
        "study.json",
        "study.md",
        "study.png",
        "study.svg",
    }
    assert json.loads((out / "stages" / "pace.json").read_text()) == two["pace"]


def test_the_list(cli):
    listed = json.loads(cli("study", "--list", "--json").out)
    assert {"methods", "one-run", "trade-off"} < {each["name"] for each in listed}
    assert "trade-off" in cli("study", "--list").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a study has a name; choose one of `pocketgan study --list`"),
        (["tradeoff", "x"], "unknown study 'tradeoff'; did you mean trade-off"),
        (["trade-off"], "study trade-off needs images; name their folder: pocketgan study trade-off DATA"),
        (["trade-off", "x", "--seconds", "nan"], "--seconds nan is no time to train in"),
        (["trade-off", "x", "--seconds", "-1"], "--seconds -1 is no time to train in"),
        (["trade-off", "x", "--seeds", "0"], "--seeds"),
        (["trade-off", "nowhere"], "nowhere"),
    ],
)
def test_bad_input(cli, words, message):
    outcome = cli("study", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
