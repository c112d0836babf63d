"""An experiment: methods, initial conditions and seeds, and the runs that they come to."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
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

from ganno_env.evaluation import GridRunner, Method
from ganno_env.types import RunRecord
from systems.cells import Cell, CellStore
from systems.options import Experiment

SECONDS_BETWEEN_LINES = 15.0
"""How often progress is told where there is no terminal."""


def cells_of(experiment: Experiment, methods: Sequence[Method]) -> list[Cell]:
    """The runs, method by method; where a method has a rate or decay of its own, fewer."""
    cells = [
        Cell(
            method.name,
            rate if method.learning_rate is None else None,
            decay if method.weight_decay is None else method.weight_decay,
            seed,
        )
        for method in methods
        for decay in experiment.weight_decays
        for rate in experiment.learning_rates
        for seed in experiment.seeds
    ]
    return list(dict.fromkeys(cells))


def run_cells(
    experiment: Experiment,
    runner: GridRunner,
    methods: Sequence[Method],
    store: CellStore,
    console: Console,
) -> None:
    """Makes the runs of this process's part that are not in the store yet, keeping each.

    Raises:
        StorageError: if one cannot be kept; those before it are.
    """
    mine = cells_of(experiment, methods)[experiment.shard :: experiment.num_shards]
    missing = [cell for cell in mine if store.load(cell) is None]
    by_name = {method.name: method for method in methods}
    specs = [
        by_name[cell.method].runs(cell.learning_rate, cell.weight_decay, cell.seed)
        for cell in missing
    ]
    kept = len(mine) - len(missing)
    console.print(
        f"{experiment.name}: {len(mine)} runs" + (f", {kept} of them made before" if kept else "")
    )
    with _Told(console, len(missing)) as told:
        for number, record in runner.iterate(specs):
            store.save(missing[number], record)
            told.done(missing[number].method)


def load_cells(
    experiment: Experiment, methods: Sequence[Method], store: CellStore
) -> tuple[dict[Cell, RunRecord], int]:
    """The finished runs, and how many are missing."""
    cells = cells_of(experiment, methods)
    found = {cell: record for cell in cells if (record := store.load(cell)) is not None}
    return found, len(cells) - len(found)


def plain(records: Mapping[Cell, RunRecord]) -> list[dict[str, Any]]:
    """Runs as plain JSON."""
    return [
        cell._asdict()
        | {f.name: getattr(record, f.name).tolist() for f in dataclasses.fields(record)}
        for cell, record in records.items()
    ]


class _Told:
    """A bar with the time left, or, where there is no terminal, a line now and then."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._count = 0
        self._began = self._last = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("compiling", total=total)

    def __enter__(self) -> _Told:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def done(self, method: str) -> None:
        """Takes note of a run that is done."""
        self._count += 1
        self._bar.update(self._task, advance=1, description=method)
        now = time.monotonic()
        if not self._console.is_terminal and (
            now - self._last >= SECONDS_BETWEEN_LINES or self._count == self._total
        ):
            self._last = now
            left = (now - self._began) / self._count * (self._total - self._count)
            self._console.print(
                f"{self._count} of {self._total} runs ({method}), about {left:.0f} s left",
                soft_wrap=True,
            )
