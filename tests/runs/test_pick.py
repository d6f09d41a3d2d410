"""Another budget from a finished run: what there is to pick from, what is picked, and what it costs."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import onnxruntime
import pytest
import torch

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import cost
from pocketgan.models import load_model
from pocketgan.networks import ResnetSpec, write_numbers
from pocketgan.objectives.online import OnlineSettings
from pocketgan.pipeline.front_latency import FrontLatency
from pocketgan.pipeline.online import OnlineDistil
from pocketgan.pipeline.pick import Pick
from pocketgan.pipeline.recipe import Roles, owner, read_recipe
from pocketgan.runs.run import run_recipe, store_of
from pocketgan.runtime import Runtime
from pocketgan.search import Random
from tests.bad_input.conftest import files, refused
from tests.conftest import Outcome, ToyRun

Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, toy_run: ToyRun) -> Path:
    """The toy run with a longer search, whose front is measured; its trainings are taken over."""
    run = copytree(toy_run.folder, tmp_path_factory.mktemp("front") / "run")
    toy = read_recipe(run)
    search = toy.search.model_copy(update={"strategy": Random(candidates=6)})
    changes = {"search": search, "subnet": Pick(search=search), "front": FrontLatency(search=search, points=4)}
    roles = toy.roles.model_copy(update={"front_latency": "front"})
    recipe = toy.model_copy(update={"stages": {**toy.stages, **changes}, "roles": roles})
    mark = {"name": recipe.name, "digest": recipe.digest, **owner(recipe).content}
    (run / "recipe.json").write_text(json.dumps(mark))
    run_recipe(recipe, run, Runtime(device="cpu"), "toy", lambda name, stage, done, total: None)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copytree(finished, tmp_path / "run")


def scored(run: Path) -> list:
    """The run's candidates, the cheapest first."""
    recipe = read_recipe(run)
    result = recipe.search.load(store_of(run).artifact(recipe.search))
    return sorted(result.candidates, key=lambda each: each.costs["macs"])


def expected(run: Path, name: str, bound: float):
    """The best candidate within a bound, one looked at after the other."""
    return min(
        (each for each in scored(run) if each.costs[name] <= bound),
        key=lambda each: each.scores["fd_mobilenet_v2"],
    )


# -- what there is to pick from ----------------------------------------------------------------------------------


def test_the_front(cli: Cli, finished: Path):
    outcome = cli("pick", finished, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = json.loads(outcome.out)
    assert found.keys() == {"metric", "selection_split", "latencies_on", "front"}
    alone = [
        each
        for each in scored(finished)
        if not any(
            other.costs["macs"] <= each.costs["macs"]
            and other.scores["fd_mobilenet_v2"] < each.scores["fd_mobilenet_v2"]
            for other in scored(finished)
        )
    ]
    assert [each["subnet"] for each in found["front"]] == [write_numbers(each.genome) for each in alone]
    assert [each["macs"] for each in found["front"]] == [each.costs["macs"] for each in alone]
    assert [each["chosen"] for each in found["front"]] == [False] * (len(alone) - 1) + [True]
    ends = (found["front"][0], found["front"][-1])
    assert all(each["latency_ms"] > 0 for each in ends)
    text = cli("pick", finished).out
    assert all(each["subnet"] in text for each in found["front"])
    assert "1 thread" in text


def test_the_front_in_the_report(finished: Path):
    page = (finished / "report.html").read_text()
    assert 'scope="col">Latency<' in page
    assert "milliseconds an image" in page


# -- picking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["macs", "params"])
def test_a_smaller_budget(cli: Cli, run: Path, tmp_path: Path, name: str):
    bound = scored(run)[2].costs[name]
    before = files(run)
    outcome = cli("pick", run, "--budget", f"{name}={bound}", "--out", tmp_path / "small", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert [row["name"] for row in found["rows"]] == ["teacher", "compressed", "pick"]
    row, choice = found["rows"][-1], expected(run, name, bound)
    assert row["subnet"] == write_numbers(choice.genome)
    assert {cost: row[cost] for cost in choice.costs} == choice.costs
    assert row[name] <= bound
    assert row["scores"].keys() == found["rows"][1]["scores"].keys()
    assert all(row["intervals"][metric][0] <= row["intervals"][metric][1] for metric in row["intervals"])
    # the model is that network, and the export does what it does
    model = load_model(tmp_path / "small" / "model")
    assert {key: cost(model.spec, 24, 24)[key] for key in choice.costs} == choice.costs
    x = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    session = onnxruntime.InferenceSession(tmp_path / "small" / "export" / "compressed.onnx")
    np.testing.assert_allclose(session.run(None, {"image": x.numpy()})[0], model.network(x).detach(), atol=1e-3)
    assert {path.name for path in (tmp_path / "small").iterdir()} == {"model", "export"}
    # the run has gained stages, and nothing else is another
    after = files(run)
    assert all(after[path] == content for path, content in before.items() if path != "recipe.json")
    assert all(path.startswith("stages/") for path in after.keys() - before.keys())
    assert not [path for path in after.keys() - before.keys() if "train-" in path or "distil-" in path]


def test_the_runs_own_budget_gives_the_runs_own_subnet(cli: Cli, run: Path, tmp_path: Path):
    recipe, store = read_recipe(run), store_of(run)
    outcome = cli("pick", run, "--budget", "1G", "--out", tmp_path / "same")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[-1] == str(tmp_path / "same")
    assert lines[0].split() == ["teacher", "compressed", "pick"]
    scores = [line for line in lines if line.startswith("SSIM  ")]
    assert len(scores) == 1
    assert scores[0].count(" to ") == 3, "every score has its interval"
    weights = Path("model") / "weights.safetensors"
    assert (tmp_path / "same" / weights).read_bytes() == (store.artifact(recipe["subnet"]) / weights).read_bytes()


def test_a_larger_budget_is_searched_anew(cli: Cli, run: Path, tmp_path: Path):
    """Beyond the run's own budget nothing was scored; the supernet serves it all the same."""
    recipe = read_recipe(run)
    before = files(run)
    outcome = cli("pick", run, "--budget", "2G", "--out", tmp_path / "large", "--json")
    assert outcome.code == 0, outcome.err
    search = recipe.search.model_copy(update={"budget": Budget.parse("2G")})
    result = search.load(store_of(run).artifact(search))
    assert json.loads(outcome.out)["rows"][-1]["subnet"] == write_numbers(result.best.genome)
    assert not [path for path in files(run).keys() - before.keys() if "train-" in path or "distil-" in path]


def test_a_bound_on_the_latency(cli: Cli, run: Path):
    recipe = read_recipe(run)
    measured = recipe.front_latency.load(store_of(run).artifact(recipe.front_latency))
    bound = round(min(each.latency_ms for each in measured.points) * 1.01, 6)
    within = [each for each in measured.points if each.latency_ms <= bound]
    outcome = cli("pick", run, "--budget", f"latency_ms={bound:.6f},params=1G", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["rows"][-1]["subnet"] == write_numbers(min(within, key=lambda each: each.score).genome)
    assert Path(found["out"]).parent == run.parent
    assert (Path(found["out"]) / "model" / "model.json").is_file()


def test_the_best_within_every_budget(finished: Path):
    """Whatever the bound, what is chosen is what looking at all gives."""
    recipe = read_recipe(finished)
    result = recipe.search.load(store_of(finished).artifact(recipe.search))
    for each in scored(finished):
        bound = each.costs["true_macs"]
        picked = Pick(search=recipe.search, budget=Budget(true_macs=bound)).choose(result)
        assert picked == expected(finished, "true_macs", bound)


# -- what is refused ---------------------------------------------------------------------------------------------


def test_a_budget_out_of_reach(cli: Cli, finished: Path, tmp_path: Path):
    least = scored(finished)[0]
    outcome = cli("pick", finished, "--budget", "1000", "--out", tmp_path / "none")
    refused(outcome, "budget 1.00 k MACs is below the smallest subnet", write_numbers(least.genome), "raise it")
    refused(
        cli("pick", finished, "--budget", "latency_ms=0.000001"), "budget 1e-06 ms is below the smallest subnet"
    )
    assert not (tmp_path / "none").exists()


def test_a_place_that_is_taken(cli: Cli, finished: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    outcome = cli("pick", finished, "--budget", "1G", "--out", tmp_path)
    refused(outcome, f"{tmp_path} is not empty; choose another --out")
    file = tmp_path / "thesis.txt"
    outcome = cli("pick", finished, "--budget", "1G", "--out", file)
    refused(outcome, f"{file} is no folder; choose another --out")
    assert file.read_text() == "years of work"


def test_a_run_that_cannot_be_picked_from(cli: Cli, toy_run, run: Path, tmp_path: Path):
    refused(cli("pick", tmp_path), f"{tmp_path} is no run folder")
    refused(cli("pick", toy_run.folder, "--budget", "latency_ms=9"), "did not measure the latencies of its front")
    (run / "report.json").unlink()
    refused(cli("pick", run), "has no report.json; write it with `pocketgan report")
    search = store_of(run).artifact(read_recipe(run).search)
    search.rename(search.with_name("artifact.part"))
    refused(cli("pick", run, "--budget", "1G"), "is not finished (search left)")


def test_a_run_without_a_supernet(cli: Cli, toy_run: ToyRun, tmp_path: Path):
    """One whose student learns together with its teachers, at its one size."""
    toy, spec = read_recipe(toy_run.folder), ResnetSpec.uniform(2, blocks=1)
    student = OnlineDistil(
        task=toy.task,
        schedule=toy["supernet"].schedule,
        wide=spec,
        student=spec,
        objective=OnlineSettings(style=0, feature=0),
    )
    stages = {"student": student, "teacher": student.teacher}
    alone = toy.model_copy(update={"method": "omgd", "stages": stages, "roles": Roles(result="student")})
    mark = {"name": "omgd", "digest": alone.digest, **owner(alone).content}
    (tmp_path / "recipe.json").write_text(json.dumps(mark))
    refused(cli("pick", tmp_path), f"{tmp_path} has no supernet to pick from, as omgd trains networks of one size")
