"""From methods to a folder of results: what the demo and the commands that compare share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ganno_env import NetworkTraining
from ganno_env.evaluation import GridRunner, Method, define
from systems.experiments import provenance
from systems.experiments.experiment import gather, run_cells
from systems.experiments.outcome import Outcome
from systems.experiments.reports import write
from systems.experiments.run_store import CellStore
from systems.options.experiment import Experiment


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
        ValueError: if two methods have one name.
        StorageError: if something cannot be written; what was written before is kept.
    """
    names = [method.name for method in methods]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several methods are called {twice[0]!r}; give each row its own name")
    runner = GridRunner(
        env, test_every_step=experiment.test_every_step, runs_at_once=experiment.runs_at_once
    )
    definitions = {method.name: define(method, env) for method in methods}
    run_cells(experiment, runner, methods, definitions, store, console)
    found = gather(experiment, methods, definitions, store, env)
    for name, difference in found.superseded.items():
        console.print(
            f"{name}: the folder also keeps runs of another definition ({difference}), which the "
            "report leaves out",
            soft_wrap=True,
        )
    if found.num_missing:
        console.print(
            f"{found.num_missing} runs are other shards'; the last one to end reports on all"
        )
        return
    rows = list(dict.fromkeys([*(order or names), *found.listed]))
    outcome = Outcome(
        experiment=experiment,
        env=env,
        listed=found.listed,
        order=rows,
        unavailable={k: v for k, v in (unavailable or {}).items() if k not in found.listed},
        records=found.records,
    )
    for path in write(outcome, store.folder, information, console):
        console.print(f"  {path}", highlight=False, soft_wrap=True)


def open_store(
    folder: Path,
    experiment: Experiment,
    environment: Mapping[str, Any],
    env: NetworkTraining,
    options: Mapping[str, Any] | None = None,
) -> CellStore:
    """The store of an experiment's runs in `folder`.

    Args:
        folder: where the runs are, or will be.
        experiment: what is run.
        environment: `make_env`'s arguments.
        env: what `make_env` made of them.
        options: what else must be the same for the folder to be gone on with.

    Raises:
        ValueError: if the folder holds runs that were made with anything else.
        StorageError: if it cannot be written.
    """
    identity = {
        "experiment": experiment.name,
        "environment": provenance.of_environment(environment, env),
        "split": experiment.split,
        "test_every_step": experiment.test_every_step,
        "version": provenance.version(),
    }
    return CellStore(folder, identity if options is None else {**identity, "options": options})
