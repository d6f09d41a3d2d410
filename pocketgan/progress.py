"""How far work is: that of the stage, and beside it that of the whole run where its length is known."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pocketgan.units import duration_text

#: takes a stage's name, how much of it is done, and how much there is (0 where that is not known)
Show = Callable[[str, int, int], None]

#: seconds between two lines of one stage, where nobody watches a terminal
EVERY = 15.0
#: the share of the estimated work after which the time that it took says more than the estimate
_KNOWN = 0.05


class Course:
    """How a run proceeds.

    Args:
        plan: seconds that each stage was estimated to need; others count nothing.
        clock: seconds.
    """

    def __init__(self, plan: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self.plan, self.clock = plan, clock
        self.total = sum(plan.values())
        self.begun = clock()
        self.stage: str | None = None
        self.finished: set[str] = set()
        self._start, self._first, self._share = self.begun, 0, 0.0
        self._left: float | None = None

    def at(self, name: str, done: int, total: int) -> tuple[str, float] | None:
        """Take note of where the run stands; returns the name and the seconds of the stage that ended by that."""
        ended = self.end() if name != self.stage else None
        now = self.clock()
        if name != self.stage:
            self.stage, self._start, self._first = name, now, done
            self._share, self._left = 0.0, None
        if total:
            self._share = (done - self._first) / max(1, total - self._first)
            self._left = (now - self._start) / max(1, done - self._first) * (total - done)
        return ended

    def end(self) -> tuple[str, float] | None:
        """The stage ended, if there was one: its name and its seconds."""
        if self.stage is None:
            return None
        ended = self.stage, self.clock() - self._start
        self.finished.add(self.stage)
        self.stage = None
        return ended

    @property
    def stage_left(self) -> str:
        """The time that the stage still needs, in words."""
        return "" if self._left is None else f"{duration_text(self._left)} left"

    @property
    def share(self) -> float:
        """Of the whole run: 0 to 1."""
        done = sum(self.plan.get(name, 0.0) for name in self.finished)
        if self.stage is not None and self.stage not in self.finished:
            done += self._share * self.plan.get(self.stage, 0.0)
        return done / self.total if self.total else 0.0

    @property
    def left(self) -> float:
        """Seconds that the whole run still needs: as planned, and once that can be told by its own speed."""
        done, elapsed = self.share, self.clock() - self.begun
        return max(0.0, 1 - done) * (elapsed / done if done > _KNOWN else self.total)

    @property
    def whole(self) -> str:
        """How far the run is, in words; nothing where its length is not known."""
        return f"{self.share:.0%} of the run, about {duration_text(self.left)} left" if self.total else ""


@contextmanager
def progress_shown(plan: Mapping[str, float] | None = None, *, quiet: bool = False) -> Iterator[Show]:
    """Gives a `Show`: live bars on a terminal, a line now and then elsewhere, nothing if `quiet`; on stderr.

    `plan`: the seconds that each stage is expected to need, for the progress of the whole.
    """
    course = Course(plan or {})
    if quiet:
        yield lambda name, done, total: None
    elif sys.stderr.isatty():
        with _bars(course) as show:
            yield show
    else:
        yield _lines(course)


def _lines(course: Course) -> Show:
    said: dict[str, float] = {}

    def tell(name: str, done: int, total: int) -> None:
        course.at(name, done, total)
        now = course.clock()
        if total and (said.setdefault(name, now) + EVERY < now or done == total):
            said[name] = now
            parts = (f"{name}: {done} of {total}", course.stage_left, course.whole)
            print("; ".join(filter(None, parts)), file=sys.stderr, flush=True)

    return tell


@contextmanager
def _bars(course: Course) -> Iterator[Show]:
    """A line for each stage that ended, the bar of the one at work, and that of the run."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    def words(field: str) -> TextColumn:
        return TextColumn(field, table_column=Column(no_wrap=True, overflow="fold"))

    columns = words("{task.description}"), BarColumn(bar_width=None), words("{task.fields[told]}")
    with Progress(*columns, console=Console(stderr=True, highlight=False), expand=True) as bars:
        stage = bars.add_task("", total=None, told="", visible=False)
        run = bars.add_task("whole run", total=1.0, told="", visible=bool(course.total))

        def ended(what: tuple[str, float] | None) -> None:
            # what was there already takes no time, and needs no line
            if what and what[1] >= 0.05:
                bars.console.print(f"{escape(what[0])}: done in {duration_text(what[1])}")

        def show(name: str, done: int, total: int) -> None:
            if name != course.stage:
                ended(course.at(name, done, total))
                bars.reset(stage, total=total or None, description=escape(name), told="", visible=True)
            else:
                course.at(name, done, total)
            told = f"{done:,} of {total:,}, {course.stage_left}" if total else ""
            bars.update(stage, completed=done, total=total or None, told=told)
            told = f"{course.share:.0%}, {duration_text(course.left)} left" if course.total else ""
            bars.update(run, completed=course.share, told=told)

        yield show
        ended(course.end())
        bars.update(stage, visible=False)
        bars.update(run, visible=False)
