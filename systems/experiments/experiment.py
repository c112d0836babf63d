"""Running an experiment: its methods, from each initial condition, with each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console

from ganno_env import NetworkTraining
from ganno_env.evaluation import GridRunner, Method, define
from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.planning import Batch
from ganno_env.evaluation.rollout import Step
from ganno_env.types import RunRecord
from systems.experiments.outcome import Outcome
from systems.experiments.reports import write_report
from systems.experiments.run_store import RunKey, RunStore
from systems.options.experiment import Experiment
from systems.utils.progress import ProgressReporter, Unit
from systems.utils.provenance import Provenance


def run_experiment(
    experiment: Experiment,
    env: NetworkTraining,
    methods: Sequence[Method],
    store: RunStore,
    console: Console,
    information: Mapping[str, Any],
    order: Sequence[str] | None = None,
    unavailable: Mapping[str, str] | None = None,
    show: bool = True,
) -> Outcome | None:
    """Makes the runs that are missing, and writes the report once there are all.

    Args:
        experiment: what to run.
        env: where.
        methods: the rows that can be filled.
        store: where runs are kept; the report is written beside them.
        console: where tables and progress are printed.
        information: for whoever reads the records, plain JSON.
        order: all rows' names, if there are more than `methods`.
        unavailable: why the others are empty.
        show: whether tables are printed too.

    Returns:
        What there is to report on; None while other shards' runs are missing.

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
    make_missing_runs(experiment, runner, methods, definitions, store, console)
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
        return None
    rows = list(dict.fromkeys([*(order or names), *found.listed]))
    outcome = Outcome(
        experiment=experiment,
        env=env,
        listed=found.listed,
        order=rows,
        unavailable={k: v for k, v in (unavailable or {}).items() if k not in found.listed},
        records=found.records,
    )
    for path in write_report(outcome, store.folder, information, console if show else None):
        console.print(f"  {path}", highlight=False, soft_wrap=True)
    return outcome


def run_keys(experiment: Experiment, methods: Sequence[Method]) -> list[RunKey]:
    """The keys of all runs, method by method; one with a rate or decay of its own has fewer."""
    keys = [
        RunKey(
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
    return list(dict.fromkeys(keys))


Definitions = Mapping[str, Mapping[str, Any]]
"""What each method's runs depend on, by its name; see `ganno_env.evaluation.define`."""


def make_missing_runs(
    experiment: Experiment,
    runner: GridRunner,
    methods: Sequence[Method],
    definitions: Definitions,
    store: RunStore,
    console: Console,
) -> None:
    """Makes the runs of this process's part that are not in the store yet, keeping each.

    Raises:
        StorageError: if one cannot be kept; those before it are.
    """
    mine = run_keys(experiment, methods)[experiment.shard :: experiment.num_shards]
    missing = [key for key in mine if store.load(key, definitions[key.method]) is None]
    by_name = {method.name: method for method in methods}
    listed = {method.name: method.listed(runner.env) for method in methods}
    specs = [
        by_name[key.method].runs(key.learning_rate, key.weight_decay, key.seed) for key in missing
    ]
    kept = len(mine) - len(missing)
    console.print(
        f"{experiment.name}: {len(mine)} runs" + (f", {kept} of them made before" if kept else "")
    )
    batches = runner.plan(specs)
    units = [_unit(runner, batch, False) for batch in batches for _ in range(runner.env.time_limit)]
    compilations = len({batch.group for batch in batches})
    with ProgressReporter(
        console, units, len(specs), workers=runner.num_devices, compilations=compilations
    ) as progress:

        def after_step(step: Step) -> None:
            progress.unit_took(_unit(runner, step.batch, step.compiled), step.seconds)

        for number, record in runner.iterate(specs, after_step):
            key = missing[number]
            store.save(key, listed[key.method], definitions[key.method], record)
            progress.run_done(key.method)


def _unit(runner: GridRunner, batch: Batch, compiles: bool) -> Unit:
    """A step of a batch: what trains alike takes as long for each run."""
    return Unit(batch.group.variant.training(runner.env), len(batch.numbers), compiles)


class Gathered(NamedTuple):
    """The runs of an experiment that a store has.

    Attributes:
        listed: rows by name, the experiment's first and then others that the store has.
        records: the rows' runs, of one definition each: the experiment's, or the latest.
        num_missing: how many of the experiment's own runs are not there.
        superseded: what is not shown, by the row's name: how its older definitions differ.
    """

    listed: dict[str, Listed]
    records: dict[RunKey, RunRecord]
    num_missing: int
    superseded: dict[str, str]


def gather(
    experiment: Experiment,
    methods: Sequence[Method],
    definitions: Definitions,
    store: RunStore,
    env: NetworkTraining,
) -> Gathered:
    """All finished runs of a store, those of methods that were not asked for this time too."""
    kept = list(store.kept())
    current = {run.key.method: run.definition for run in kept}  # the latest stands
    current |= {name: Provenance(definition) for name, definition in definitions.items()}
    shown = [run for run in kept if run.definition == current[run.key.method]]
    superseded = {
        run.key.method: run.definition.differences(current[run.key.method])
        for run in kept
        if run.definition != current[run.key.method]
    }
    found = {run.key: run.record for run in shown}
    asked = run_keys(experiment, methods)
    listed = {method.name: method.listed(env) for method in methods}
    listed |= {run.key.method: run.listed for run in shown if run.key.method not in listed}
    places = {name: place for place, name in enumerate(listed)}
    others = sorted(found.keys() - set(asked), key=lambda key: _place(places, key))
    records = {key: found[key] for key in (*asked, *others) if key in found}
    return Gathered(listed, records, len(set(asked) - found.keys()), superseded)


def _place(places: Mapping[str, int], key: RunKey) -> tuple[float, ...]:
    rate = -1.0 if key.learning_rate is None else key.learning_rate
    return places[key.method], key.weight_decay, rate, key.seed
