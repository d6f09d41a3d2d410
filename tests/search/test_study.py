import math
import os
import signal

import optuna
import pytest
from filelock import FileLock

from pocketgan.elastic.budget import Budget
from pocketgan.elastic.cost import CostModel
from pocketgan.elastic.spaces import uniform_space
from pocketgan.errors import BudgetError, OutputError, SpecError
from pocketgan.networks import ResnetSpec
from pocketgan.search import Evolution, Exhaustive, Nsga2, Random, Reinforcement, SearchResult, search

BUDGET = Budget(macs=120_000_000, params=180_000)
STRATEGIES = [
    Exhaustive(),
    Random(candidates=25),
    Evolution(population=12, generations=3, mutation_probability=0.4),
    Nsga2(population=12, generations=3),
    Reinforcement(population=10, generations=2),
]
by_kind = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.kind)


def fid(genome):
    return 40 + sum((i + 1) * (32 - number) ** 1.3 for i, number in enumerate(genome)) % 97


class Scorer:
    """Scores genomes, notes them, and is interrupted in place of the call number `stop`."""

    def __init__(self, stop=math.inf, interrupt=KeyboardInterrupt, of=fid):
        self.stop, self.interrupt, self.of = stop, interrupt, of
        self.seen, self.calls = [], 0

    def __call__(self, genomes):
        if self.calls == self.stop:
            raise self.interrupt
        self.calls += 1
        self.seen += genomes
        return [{"fid": self.of(genome), "second": float(genome[0])} for genome in genomes]


def trials(path):
    """What Optuna itself reads in a journal."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return optuna.load_study(study_name="search", storage=storage).trials


@pytest.fixture
def run(space, model):
    def run(storage, strategy, score=None, **options):
        options = {"budget": BUDGET, "objective": "fid", "better": "lower", "seed": 1} | options
        return search(space, model, options.pop("budget"), strategy, score or Scorer(), storage=storage, **options)

    return run


@by_kind
def test_every_candidate_is_scored_once_and_within_the_budget(run, space, model, tmp_path, strategy):
    score, steps = Scorer(), []
    result = run(tmp_path / "journal", strategy, score, progress=lambda done, most: steps.append((done, most)))
    genomes = [candidate.genome for candidate in result.candidates]
    assert genomes == score.seen
    assert len(set(genomes)) == len(genomes) > 20
    for candidate in result.candidates:
        assert candidate.costs == model.one(space.widths(candidate.genome))
        assert candidate.costs["macs"] <= BUDGET.macs
        assert candidate.costs["params"] <= BUDGET.params
        assert candidate.scores == {"fid": fid(candidate.genome), "second": float(candidate.genome[0])}
    assert fid(result.best.genome) == min(map(fid, genomes))
    assert [done for done, _ in steps] == list(range(1, len(genomes) + 1))
    mosts = [most for _, most in steps]
    assert mosts == sorted(mosts, reverse=True)
    assert all(done <= most for done, most in steps)
    assert SearchResult.model_validate_json(result.model_dump_json()) == result


@by_kind
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_interrupted_and_resumed_equals_uninterrupted(run, tmp_path, strategy, better):
    whole = run(tmp_path / "whole", strategy, batch=5, better=better)
    pieces, seen = tmp_path / "pieces", []
    for calls in (0, 1, 2, 4):
        score = Scorer(stop=calls)
        with pytest.raises(KeyboardInterrupt):
            run(pieces, strategy, score, batch=3, better=better)
        seen += score.seen
    last = Scorer()
    assert run(pieces, strategy, last, better=better) == whole
    # whatever was given back is scored last
    assert sorted(seen + last.seen) == sorted(candidate.genome for candidate in whole.candidates)
    # A finished search is read again, not run again.
    assert run(pieces, strategy, Scorer(stop=0), better=better) == whole


def test_a_killed_process_leaves_a_search_that_goes_on(run, tmp_path):
    def die(genome):
        return os.kill(os.getpid(), signal.SIGKILL) if len(score.seen) == 17 else fid(genome)

    score = Scorer(of=die)
    child = os.fork()
    if child == 0:
        run(tmp_path / "killed", STRATEGIES[2], score)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    again = Scorer()
    whole = run(tmp_path / "whole", STRATEGIES[2])
    assert run(tmp_path / "killed", STRATEGIES[2], again) == whole
    assert sorted(again.seen) == sorted(candidate.genome for candidate in whole.candidates[16:])
    states = [trial.state.name for trial in trials(tmp_path / "killed")]
    assert states[:17] == ["COMPLETE"] * 16 + ["FAIL"]
    assert set(states[17:]) == {"COMPLETE"}


def test_a_journal_cut_anywhere_leads_to_the_same_result(run, tmp_path):
    strategy = Evolution(population=6, generations=2, mutation_probability=0.4)
    path = tmp_path / "journal"
    whole = run(path, strategy)
    journal = path.read_bytes()
    lines = journal.count(b"\n")
    starts = [i + 1 for i, byte in enumerate(journal) if byte == ord("\n")]
    # Inside the header, then inside and at the end of lines all over, the last among them.
    for cut in (
        0,
        7,
        starts[0],
        starts[3] - 2,
        *(starts[i] - i % 2 * 9 for i in range(5, lines, 7)),
        len(journal) - 1,
    ):
        path.write_bytes(journal[:cut])
        assert run(path, strategy) == whole


def test_the_batch_changes_nothing(run, tmp_path):
    score = Scorer()
    results = [run(tmp_path / str(batch), STRATEGIES[2], score, batch=batch) for batch in (1, 5, 1000)]
    assert results[0] == results[1] == results[2]
    assert score.calls < 2 * len(results[0].candidates)


def test_generations_come_from_the_best_so_far(run, tmp_path):
    strategy = STRATEGIES[2]
    result = run(tmp_path / "journal", strategy)
    generations = [candidate.generation for candidate in result.candidates]
    assert generations == sorted(generations)
    assert set(generations) == {0, 1, 2, 3}
    assert result != run(tmp_path / "other", strategy, seed=2)
    # Crossover alone brings nothing that the best 3 of the first generation do not have.
    crossing = strategy.model_copy(update={"mutation_ratio": 0.0, "generations": 1})
    result = run(tmp_path / "crossing", crossing)
    first = [candidate.genome for candidate in result.candidates if candidate.generation == 0]
    best = sorted(first, key=fid)[:3]
    for child in result.candidates[len(first) :]:
        assert all(number in options for number, *options in zip(child.genome, *best, strict=True))


def test_evolution_ends_when_everything_is_scored(run, space, model, tmp_path):
    smallest = model.one(space.widths(space.smallest))["macs"]
    budget = Budget(macs=int(smallest * 1.06))
    wanted = run(tmp_path / "all", Exhaustive(), budget=budget)
    steps = []
    found = run(
        tmp_path / "evolution",
        Evolution(generations=10**9),
        budget=budget,
        progress=lambda *step: steps.append(step),
    )
    assert {c.genome for c in found.candidates} == {c.genome for c in wanted.candidates}
    assert found.best == wanted.best.model_copy(update={"generation": found.best.generation})
    assert steps[-1] == (len(wanted.candidates),) * 2


@pytest.mark.parametrize("better", ["lower", "higher"])
@by_kind
def test_scores_that_are_not_finite_lose(run, tmp_path, strategy, better):
    def broken(genome):
        kinds = (math.nan, math.inf, -math.inf, fid(genome), fid(genome))
        return kinds[sum(genome) // 8 % 5]

    result = run(tmp_path / "journal", strategy, Scorer(of=broken), better=better)
    scores = [candidate.scores["fid"] for candidate in result.candidates]
    finite = [score for score in scores if score is not None]
    assert None in scores
    assert all(map(math.isfinite, finite))
    assert result.best.scores["fid"] == (min if better == "lower" else max)(finite)
    assert all(candidate.scores["fid"] is not None for candidate in result.front())
    assert run(tmp_path / "journal", strategy, Scorer(stop=0), better=better) == result


@by_kind
def test_a_search_without_any_finite_score_says_so(run, tmp_path, strategy):
    score = Scorer(of=lambda genome: math.nan)
    with pytest.raises(SpecError, match=r"^none of \d+ candidates has a finite fid; check that the supernet"):
        run(tmp_path / "journal", strategy, score)
    assert strategy.kind in ("exhaustive", "random") or score.calls <= strategy.population


def test_mistakes_are_named(run, tmp_path):
    strategy = Random(candidates=2)
    with pytest.raises(SpecError, match="unknown score 'fidd'; did you mean fid"):
        run(tmp_path / "a", strategy, objective="fidd")
    with pytest.raises(BudgetError, match="is below the smallest subnet"):
        run(tmp_path / "b", strategy, budget=Budget(macs=1000))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seed": 2}, "seed"),
        ({"better": "higher"}, "objective"),
        ({"budget": Budget(macs=121_000_000)}, "budget"),
        ({"strategy": Random(candidates=3)}, "strategy"),
    ],
)
def test_another_searchs_journal_is_refused(run, tmp_path, change, name):
    path = tmp_path / "journal"
    options = {"strategy": Random(candidates=2)}
    run(path, **options)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=f"holds a search with another {name}; remove it or choose"):
        run(path, **(options | change))
    assert path.read_bytes() == before


def test_a_journal_in_use_is_refused(run, tmp_path):
    with (
        FileLock(f"{tmp_path / 'journal'}.search.owner"),
        pytest.raises(OutputError, match="is used by another search"),
    ):
        run(tmp_path / "journal", Random(candidates=2))


@pytest.mark.parametrize("content", ["not a\njournal", "{}\n{}\n", '{"op_code":0}\n'])
def test_a_file_that_is_no_journal_is_left_alone(run, tmp_path, content):
    path = tmp_path / "notes"
    path.write_text(content)
    with pytest.raises(OutputError, match="is not a search journal"):
        run(path, Random(candidates=2))
    assert path.read_text() == content


@pytest.mark.parametrize("place", [0.3, 0.85, 0.95])
def test_a_damaged_journal_goes_on_from_its_last_whole_line(run, tmp_path, place, caplog):
    path, strategy = tmp_path / "journal", Random(candidates=5)
    result = run(path, strategy)
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    score = Scorer()
    assert run(path, strategy, score) == result
    kept = whole[:at].rfind(b"\n") + 1
    assert caplog.messages == [f"note: {path} is damaged after {kept} bytes; the search goes on from there"]
    assert 0 < score.calls < 5 or place == 0.3
    assert path.read_bytes()[:kept] == whole[:kept]


def test_optuna_is_silent_and_reads_the_journal(run, tmp_path, capfd):
    verbosity = optuna.logging.get_verbosity()
    result = run(tmp_path / "journal", Random(candidates=5))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity
    kept = trials(tmp_path / "journal")
    assert [tuple(trial.params.values()) for trial in kept] == [c.genome for c in result.candidates]
    assert [trial.user_attrs["costs"] for trial in kept] == [c.costs for c in result.candidates]
    assert [trial.user_attrs["scores"] for trial in kept] == [c.scores for c in result.candidates]


@by_kind
def test_a_space_without_a_choice_has_one_candidate(tmp_path, strategy):
    """Optuna draws no parameter that has one option; the search must end all the same."""
    space = uniform_space(ResnetSpec.uniform(1, separable=("residual",)), (8,))
    scored = Scorer()
    found = search(
        space,
        CostModel(space.spec, 32),
        Budget(macs=10**12),
        strategy,
        scored,
        objective="fid",
        better="lower",
        seed=0,
        storage=tmp_path / "journal",
    )
    assert scored.seen == [candidate.genome for candidate in found.candidates] == [space.largest]
