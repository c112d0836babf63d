"""An experiment: methods, initial conditions and seeds, and the runs that they come to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ganno_env.evaluation import GridRunner, Method
from ganno_env.types import RunRecord
from systems.cells import Cell, CellStore
from systems.options import Experiment
from systems.progress import ProgressReporter, Unit


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
    units = [Unit(batch.programs, batch.size, len(batch.numbers)) for batch in runner.plan(specs)]
    with ProgressReporter(console, units) as progress:
        for number, record in runner.iterate(specs):
            store.save(missing[number], record)
            progress.done(missing[number].method)


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
