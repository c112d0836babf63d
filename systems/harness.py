"""From methods to a folder of results: what the demo and the commands that compare share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ganno_env import NetworkTraining
from ganno_env.evaluation import GridRunner, Method
from systems.cells import CellStore
from systems.experiments import load_cells, run_cells
from systems.options import Experiment
from systems.reports import Outcome, write


def conduct(
    experiment: Experiment,
    env: NetworkTraining,
    methods: Sequence[Method],
    store: CellStore,
    console: Console,
    information: Mapping[str, Any],
    order: Sequence[str] | None = None,
    unavailable: Mapping[str, str] | None = None,
) -> None:
    """Makes the runs that are missing, and reports on all of them once there are all.

    Args:
        experiment: what to run.
        env: where.
        methods: the rows that can be filled.
        store: where runs are kept; the report is written beside them.
        console: where tables and progress are printed.
        information: for whoever reads the records, plain JSON.
        order: all rows' names, if there are more than `methods`.
        unavailable: why the others are empty.

    Raises:
        StorageError: if something cannot be written; what was written before is kept.
    """
    runner = GridRunner(
        env, test_every_step=experiment.test_every_step, runs_at_once=experiment.runs_at_once
    )
    run_cells(experiment, runner, methods, store, console)
    records, num_missing = load_cells(experiment, methods, store)
    if num_missing:
        console.print(f"{num_missing} runs are other shards'; the last one to end reports on all")
        return
    outcome = Outcome(
        experiment=experiment,
        env=env,
        methods=methods,
        order=order or [method.name for method in methods],
        unavailable=unavailable or {},
        records=records,
    )
    for path in write(outcome, store.folder, information, console):
        console.print(f"  {path}", highlight=False, soft_wrap=True)


def fresh_store(folder: Path, environment: Mapping[str, Any]) -> CellStore:
    """A store for runs that are made once, in a folder of their own."""
    return CellStore(folder, {"environment": dict(environment)}, {})
