"""The console: a progress bar with the time left, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import TextColumn
from rich.table import Table

from systems.loggers.base import Record, Run
from systems.utils.output import make_console
from systems.utils.progress import Clock, TimeLeft, Unit, make_bar

SHOWN = ("episode_return", "reward", "entropy", "steps_per_second")


class ConsoleLogger:
    """Shows progress, return, entropy and speed; a table at the end.

    Args:
        run: what is logged.
        every: without a terminal, seconds between two lines.
        console: rich's console; standard error if not given.
        clock: the time, in seconds.
    """

    def __init__(
        self,
        run: Run,
        every: float = 10.0,
        console: Console | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._console = console or make_console(stderr=True)
        self._clock = clock
        self._run = run
        self._every = every
        self._last_line = -every
        updates = range(run.first_update, run.num_updates)
        units = [Unit("update", compiles=update == run.first_update) for update in updates]
        self._left = TimeLeft(units, clock)
        figures = TextColumn("{task.fields[figures]}", markup=False)
        self._progress = make_bar(self._console, self._left, figures)
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
        self._left.done()
        self._progress.update(self._task, completed=update, figures=figures)
        if record.get("skipped_updates_in_a_row"):
            self._console.print(f"update {update} was not finite and is skipped")
        now = self._clock()
        is_due = now - self._last_line >= self._every or update == self._run.num_updates
        if not self._console.is_terminal and is_due:
            self._last_line = now
            line = f"update {update}/{self._run.num_updates}  {figures}  left {self._left}"
            self._console.print(line, soft_wrap=True)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Ends the bar and prints the summary as a table."""
        self._progress.stop()
        table = Table(show_header=False, box=None, title=self._run.name, title_justify="left")
        for name, value in summary.items():
            table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
        self._console.print(table)
