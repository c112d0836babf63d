"""The console: a progress bar with the time left, or plain lines where there is no terminal."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from systems.loggers.base import Record, Run
from systems.output import make_console

SHOWN = ("episode_return", "reward", "entropy", "steps_per_second")


class ConsoleLogger:
    """Shows progress, return, entropy and speed; a table at the end.

    Args:
        run: what is logged.
        every: without a terminal, seconds between two lines.
        console: rich's console; standard error if not given.
    """

    def __init__(self, run: Run, every: float = 10.0, console: Console | None = None) -> None:
        self._console = console or make_console(stderr=True)
        self._run = run
        self._every = every
        self._last_line = -every
        self._first: tuple[int, float] | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._console.print(
            f"{run.name}: {run.num_updates} updates of {run.timesteps_per_update} environment "
            "steps; the first includes compilation",
            soft_wrap=True,
        )
        self._task = self._progress.add_task(
            "training", total=run.num_updates, completed=run.first_update, figures=""
        )
        self._progress.start()

    def log(self, record: Record) -> None:
        """Moves the bar, or prints a line if the last one is old enough."""
        figures = "  ".join(f"{name} {record[name]:.4g}" for name in SHOWN if name in record)
        update = int(record["update"])
        self._progress.update(self._task, completed=update, figures=figures)
        if record.get("skipped_updates_in_a_row"):
            self._console.print(f"update {update} was not finite and is skipped")
        now = time.monotonic()
        self._first = self._first or (update, now)
        is_due = now - self._last_line >= self._every or update == self._run.num_updates
        if not self._console.is_terminal and is_due:
            self._last_line = now
            left = self._left(update, now)
            line = f"update {update}/{self._run.num_updates}  {figures}  left {left}"
            self._console.print(line, soft_wrap=True)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Ends the bar and prints the summary as a table."""
        self._progress.stop()
        table = Table(show_header=False, box=None, title=self._run.name, title_justify="left")
        for name, value in summary.items():
            table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
        self._console.print(table)

    def _left(self, update: int, now: float) -> str:
        # By the updates since the first one, whose compilation says nothing of the others.
        first, then = self._first or (update, now)
        if update == first:
            return "?"
        seconds = int((now - then) / (update - first) * (self._run.num_updates - update))
        return str(datetime.timedelta(seconds=seconds))
