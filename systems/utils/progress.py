"""Progress bars, and estimates of the time left."""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

SECONDS_BETWEEN_LINES = 15.0
"""How often progress is told where there is no terminal."""
UNKNOWN = "?"
Clock = Callable[[], float]


class Unit(NamedTuple):
    """A piece of work that is done at once.

    Attributes:
        kind: units of a kind take as long as each other, for their size.
        size: how much work it is, beside the others.
        compiles: whether it waits for programs first.
    """

    kind: Hashable
    size: float = 1.0
    compiles: bool = False


class TimeLeft:
    """Estimates how long units of work take that are not done yet.

    Units that compile nothing say how fast the work of their kind is, and the others what
    compilation takes. A kind of which nothing is known is taken to be as the others on average.

    Args:
        units: all of them, in order.
        clock: the time, in seconds.
        workers: how many work on them side by side, at most.
        compilations: how many of them compile, where the units do not say so beforehand.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        clock: Clock = time.monotonic,
        *,
        workers: int = 1,
        compilations: int = 0,
    ) -> None:
        self._clock = clock
        self._workers = workers
        self._units = iter(units)
        self._left: dict[Hashable, float] = {}
        for unit in units:
            self._left[unit.kind] = self._left.get(unit.kind, 0.0) + unit.size
        self._compilations_left = compilations or sum(unit.compiles for unit in units)
        self._compiled: list[tuple[Hashable, _Spent]] = []
        self._worked: dict[Hashable, _Spent] = {}
        self._last = clock()

    def done(self) -> None:
        """Takes note that the next unit is done, for which all the time since the last one went."""
        self.took(next(self._units), self._clock() - self._last)

    def took(self, unit: Unit, seconds: float) -> None:
        """Takes note that a worker is done with a unit, which it took so long for."""
        spent = _Spent(seconds, unit.size)
        self._last = self._clock()
        self._left[unit.kind] -= unit.size
        if unit.compiles:
            self._compilations_left = max(0, self._compilations_left - 1)
            self._compiled.append((unit.kind, spent))
        else:
            self._worked[unit.kind] = self._worked.get(unit.kind, NOTHING).plus(spent)

    def seconds(self) -> float | None:
        """How long the rest takes from now on; None while nothing is known."""
        left = {kind: size for kind, size in self._left.items() if size > 0}
        if not left:
            return 0.0
        if not self._worked:
            return None
        rest = sum(size * self._pace(kind) for kind, size in left.items())
        rest += self._compilations_left * self._compilation()
        return max(0.0, rest / self._workers - (self._clock() - self._last))

    def __str__(self) -> str:
        seconds = self.seconds()
        return UNKNOWN if seconds is None else str(datetime.timedelta(seconds=round(seconds)))

    def _pace(self, kind: Hashable) -> float:
        """Seconds for work of size 1: by units of the kind, else by all that compiled nothing."""
        return self._worked.get(kind, _total(self._worked.values())).pace

    def _compilation(self) -> float:
        """Seconds that a unit which compiles waits beyond its work."""
        waits = [max(0.0, s.seconds - s.size * self._pace(kind)) for kind, s in self._compiled]
        return sum(waits) / len(waits) if waits else 0.0


class _Spent(NamedTuple):
    """Time, and the work that was done in it."""

    seconds: float
    size: float

    @property
    def pace(self) -> float:
        """Seconds for work of size 1."""
        return self.seconds / self.size

    def plus(self, other: _Spent) -> _Spent:
        """Both together."""
        return _Spent(self.seconds + other.seconds, self.size + other.size)


NOTHING = _Spent(0.0, 0.0)


def _total(spent: Iterable[_Spent]) -> _Spent:
    return functools.reduce(_Spent.plus, spent, NOTHING)


class _LeftColumn(ProgressColumn):
    def __init__(self, left: TimeLeft) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        return Text(f"left {self._left}", style="progress.remaining")


def make_bar(console: Console, left: TimeLeft, *columns: ProgressColumn) -> Progress:
    """A bar with the time left, on a terminal; elsewhere it shows nothing."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _LeftColumn(left),
        *columns,
        console=console,
        disable=not console.is_terminal,
    )


class ProgressReporter:
    """A bar with the time left, or, where there is no terminal, a line now and then.

    Args:
        console: where to.
        units: the work, in the order in which it is done.
        runs: how many runs it makes.
        clock: the time, in seconds.
        workers, compilations: see `TimeLeft`.
    """

    def __init__(
        self,
        console: Console,
        units: Sequence[Unit],
        runs: int,
        clock: Clock = time.monotonic,
        *,
        workers: int = 1,
        compilations: int = 0,
    ) -> None:
        self._console = console
        self._clock = clock
        self._left = TimeLeft(units, clock, workers=workers, compilations=compilations)
        self._total = runs
        self._count = 0
        self._latest = ""
        self._last_line = clock()
        self._bar = make_bar(console, self._left)
        self._task = self._bar.add_task("compiling", total=runs)

    def __enter__(self) -> ProgressReporter:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def unit_took(self, unit: Unit, seconds: float) -> None:
        """Takes note that a unit of work is done, and how long its worker took."""
        self._left.took(unit, seconds)
        if self._clock() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._print_line()

    def run_done(self, name: str) -> None:
        """Takes note that a run is done, of the row `name`."""
        self._count += 1
        self._latest = f" ({name})"
        self._bar.update(self._task, advance=1, description=name)
        if self._count == self._total:
            self._print_line()

    def _print_line(self) -> None:
        if self._console.is_terminal:
            return
        self._last_line = self._clock()
        seconds = self._left.seconds()
        left = "" if seconds is None else f", about {seconds:.0f} s left"
        self._console.print(
            f"{self._count} of {self._total} runs{self._latest}{left}", soft_wrap=True
        )
