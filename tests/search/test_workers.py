"""Several processes score the candidates of one search, on every storage, and are killed."""

import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from contextlib import ExitStack, suppress

import optuna
import pytest

from pocketgan.errors import SpecError
from pocketgan.search import Evolution, Place, Race, Racer, Random, search, work
from pocketgan.search.storage import joined
from pocketgan.search.trials import LEASE, Trials

from . import servers
from .test_racing import Faces
from .test_study import BUDGET, fid

EVOLUTION = Evolution(population=16, generations=3, mutation_probability=0.4)
SHORT = Evolution(population=5, generations=1, mutation_probability=0.4)


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """Storages by their kinds; a server starts when it is first asked for."""
    with ExitStack() as running:
        found = {}

        def url(kind):
            if kind == "journal":
                return f"journal:{tmp_path_factory.mktemp('journal') / 'journal.log'}"
            if kind not in found:
                server = servers.postgresql() if kind == "postgresql" else servers.grpc()
                found[kind] = running.enter_context(server)
            return found[kind]

        yield url


def wait_for(happened, seconds=60):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


class Crew:
    """Processes that search together. They are forked, and all that touches the storage is done by them.

    `together`: so many have begun to score before one has finished its first candidate.
    """

    def __init__(
        self, space, model, place, notes, strategy=EVOLUTION, race=None, *, seconds=0, lease=LEASE, together=1
    ):
        self.arguments = (space, model, BUDGET, strategy)
        self.options = dict(objective="fid", better="lower", seed=1, storage=place, lease=lease)
        self.notes, self.race, self.seconds = notes, race, seconds
        self.jobs, self.together = {}, together

    def score(self, genomes):
        time.sleep(self.seconds)
        (self.notes / f"{os.getpid()} scores").touch()
        wait_for(lambda: len([*self.notes.glob("* scores")]) >= self.together)
        with (self.notes / "scored").open("a") as file:
            file.writelines(f"{os.getpid()} {json.dumps(genome)}\n" for genome in genomes)
        return [{"fid": fid(genome), "second": float(genome[0])} for genome in genomes]

    def racer(self):
        def growing(genome):
            self.score([genome])
            return Faces()(genome)

        survivors = self.arguments[-1].survivors
        return Racer(self.race, growing, objective="fid", better="lower", survivors=survivors)

    def start(self, job):
        pid = os.fork()
        if pid:
            self.jobs[pid] = job
            return pid
        try:
            scorer = self.racer() if self.race else self.score
            done = job(*self.arguments, scorer, **self.options)
            if job is search:
                (self.notes / "result").write_text(done.model_dump_json())
            elif job is finished:
                (self.notes / "finished").write_text(json.dumps(done))
            os._exit(0)
        except BaseException:
            (self.notes / "error").write_text(traceback.format_exc())
            os._exit(1)

    def wait(self):
        """Until all have come to their end; what the search has found, and who scored which genome."""
        for pid in self.jobs:
            status = os.waitpid(pid, 0)[1]
            assert status == 0, (self.notes / "error").read_text()
        self.jobs.clear()
        scored = [line.split(" ", 1) for line in (self.notes / "scored").read_text().splitlines()]
        return json.loads((self.notes / "result").read_text()), [(pid, tuple(json.loads(g))) for pid, g in scored]


@pytest.fixture(scope="module")
def alone(space, model, tmp_path_factory):
    """What one process finds, by strategy and race."""

    def alone(strategy=EVOLUTION, race=None):
        folder = tmp_path_factory.mktemp("alone")
        crew = Crew(space, model, Place(folder / "journal.log"), folder, strategy, race)
        crew.start(search)
        return crew.wait()[0]

    return alone


def worker(*arguments, **options):
    """Joins as soon as there is something to join."""
    done = []

    def worked():
        with suppress(SpecError):
            done.append(work(*arguments, **options))
        return done

    wait_for(worked)


def finished(*arguments, storage, **_):
    """Write down the genomes of all finished trials."""
    with joined(storage, {}) as study:
        trials = Trials(study, arguments[0])
        found = [trials.genome(trial) for trial in trials.in_state(optuna.trial.TrialState.COMPLETE)]
    return found


@pytest.mark.parametrize(
    ("kind", "workers"), [("journal", 1), ("journal", 2), ("journal", 4), ("postgresql", 3), ("grpc", 3)]
)
def test_the_number_of_workers_changes_nothing(space, model, urls, alone, tmp_path, kind, workers):
    strategy = EVOLUTION if kind == "journal" else SHORT
    crew = Crew(space, model, Place(urls(kind), "count"), tmp_path, strategy, together=workers)
    for job in (search, *[worker] * (workers - 1)):
        crew.start(job)
    found, scored = crew.wait()
    assert found == alone(strategy)
    times = Counter(genome for _, genome in scored)
    assert times == Counter(tuple(one["genome"]) for one in found["candidates"])
    assert len({pid for pid, _ in scored}) == workers


@pytest.mark.parametrize(("kind", "kills"), [("journal", 20), ("postgresql", 3), ("grpc", 3)])
def test_nothing_is_lost_when_processes_are_killed(space, model, urls, alone, tmp_path, kind, kills):
    """One leads, three help; whichever is killed, another takes its place."""
    strategy, rng = EVOLUTION if kind == "journal" else SHORT, random.Random(0)
    # a short search of servers must not be over before its last kill
    seconds = 0.1 if kind == "journal" else 0.5
    crew = Crew(space, model, Place(urls(kind), "kills"), tmp_path, strategy, seconds=seconds, lease=1.5)
    for job in (search, worker, worker, worker):
        crew.start(job)
    for kill in range(kills):
        time.sleep(rng.uniform(0.05, 0.25))
        pid = rng.choice([*crew.jobs])
        if (tmp_path / "result").exists():  # a busy machine kept the killer waiting
            assert kill > kills // 4, "the search was over before most kills"
            break
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        crew.start(crew.jobs.pop(pid))
    found, scored = crew.wait()
    assert found == alone(strategy)
    # whatever was finished stays: nothing has been finished twice
    crew.start(finished)
    crew.wait()
    genomes = [tuple(one["genome"]) for one in found["candidates"]]
    assert sorted(map(tuple, json.loads((tmp_path / "finished").read_text()))) == sorted(genomes)
    assert set(genomes) == {genome for _, genome in scored}


def test_a_race_has_the_same_course_with_any_number_of_workers(space, model, urls, alone, tmp_path):
    race, strategy = Race(together=4), Random(candidates=24)
    crew = Crew(space, model, Place(urls("journal")), tmp_path, strategy, race, together=3)
    for job in (search, worker, worker):
        crew.start(job)
    found, scored = crew.wait()
    assert found == alone(strategy, race)
    assert len({pid for pid, _ in scored}) == 3
    stopped = [one for one in found["candidates"] if one["images"]]
    assert 0 < len(stopped) < len(found["candidates"])
    # the first ones have no rival: none of them can be stopped
    assert not any(one["images"] for one in found["candidates"][:4])
