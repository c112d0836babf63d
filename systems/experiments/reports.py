"""The reports on an experiment's runs: tables, and the paper's figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from ganno_env.config import InterfaceConfig
from ganno_env.evaluation import Result, figures, schedule_controller, tables
from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.published import PUBLISHED
from ganno_env.registry import Registry
from ganno_env.schedules import SCHEDULES
from ganno_env.viewer import Episode, TrainingViewer
from systems.experiments.outcome import Outcome, Part
from systems.experiments.run_store import records_as_json
from systems.utils.figures import write_figure
from systems.utils.files import write_atomically
from systems.utils.output import make_console
from systems.utils.strict_json import to_json

WIDTH_OF_FILES = 160


@dataclasses.dataclass(frozen=True)
class Report:
    """A report: a text in Markdown, and pictures by file name."""

    text: str
    pictures: Mapping[str, Figure]


REPORTS: Registry[Callable[[Outcome], Report]] = Registry("report")


def write_report(
    outcome: Outcome, folder: Path, information: Mapping[str, Any], console: Console | None
) -> list[Path]:
    """Writes `table.md`, `records.json` and pictures, and returns their paths.

    They are made of the runs that are kept, so those of an earlier call are replaced. Tables are
    printed too, where there is a console.

    Raises:
        StorageError: if one cannot be written.
    """
    report = REPORTS[outcome.experiment.report](outcome)
    data = outcome.env.task.data.source or outcome.env.task.name
    records = {**information, "unavailable": dict(outcome.unavailable)}
    content = to_json(records | {"runs": records_as_json(outcome.records)})
    paths = [folder / "table.md", folder / "records.json"]
    header = f"# {outcome.experiment.name}\n\n{outcome.env}. Data: {data}.\n\n"
    write_atomically(paths[0], (header + report.text).encode(), overwrite=True)
    write_atomically(paths[1], content.encode(), overwrite=True)
    for name, figure in report.pictures.items():
        paths.append(folder / name)
        write_figure(figure, paths[-1])
    if console is not None:
        _show(outcome, data, console)
    return paths


def _show(outcome: Outcome, data: str, console: Console) -> None:
    for decay in outcome.weight_decays:
        for part in outcome.parts(decay):
            title = outcome.title(decay, part)
            print_table(outcome.results(decay, part), outcome.listed, title, console)
    for reason in dict.fromkeys(outcome.unavailable.values()):
        names = "; ".join(name for name, why in outcome.unavailable.items() if why == reason)
        console.print(f"{names}: {reason}", soft_wrap=True)
    console.print(f"Data: {data}. Written:", soft_wrap=True)


def print_table(
    results: Sequence[Result], listed: Mapping[str, Listed], title: str, console: Console
) -> None:
    """A table for people, and below it what its words mean."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    rows = tables.summarise(results, listed)
    for number, column in enumerate(tables.header(results, rows)):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*tables.cells(row), style="bold" if row.is_agents else None)
    # A file or pipe has no width of its own; 80 columns would cut the figures off.
    (console if console.is_terminal else make_console(width=WIDTH_OF_FILES)).print(table)
    for line in tables.notes(rows, len({result.seed for result in results})):
        console.print(line, highlight=False, soft_wrap=not console.is_terminal)


@REPORTS.register("table")
def table(outcome: Outcome) -> Report:
    """A table for each weight decay, and the methods beside each other."""
    return Report(_tables(outcome), _comparisons(outcome) | _schedules(outcome))


@REPORTS.register("tables")
def tables_alone(outcome: Outcome) -> Report:
    """A table for each weight decay, without pictures: of a task among many."""
    return Report(_tables(outcome), {})


@REPORTS.register("figure1")
def figure1(outcome: Outcome) -> Report:
    """Learning rate and training loss of a run of each method."""
    runs: dict[str, Episode] = {}
    for key in outcome.records:
        runs.setdefault(key.method, outcome.episode(key))
    if not runs:
        return Report(_tables(outcome), {})
    return Report(
        _tables(outcome), {"figure1.png": figures.rates_and_losses(runs, *_drawn(outcome))}
    )


@REPORTS.register("figure2")
def figure2(outcome: Outcome) -> Report:
    """Each layer's rate and the test accuracy of the agents' first run."""
    keys = list(outcome.agents_runs(outcome.experiment.weight_decays[0]))
    if not keys:
        return Report(_tables(outcome), {})
    figure = figures.rates_and_accuracy(outcome.episode(keys[0]), *_drawn(outcome))
    return Report(_tables(outcome), {"figure2.png": figure})


@REPORTS.register("accuracy_curves")
def accuracy_curves(outcome: Outcome) -> Report:
    """Test accuracy over epochs, a panel for each weight decay (figures 3 and 6)."""
    panels = {
        f"λ = {decay:g}": {
            row: list(runs.values()) for row in outcome.listed if (runs := outcome.runs(row, decay))
        }
        for decay in outcome.weight_decays
    }
    env, experiment = outcome.env, outcome.experiment
    updates = env.time_limit * env.updates_per_step
    epochs = updates * env.batch_size / env.task.data.train.size
    agents = {row.name for row in outcome.listed.values() if row.is_agents}
    figure = figures.accuracy_curves(panels, epochs, experiment.title, agents)
    return Report(_tables(outcome), {f"{experiment.name}.png": figure})


@REPORTS.register("figure5")
def figure5(outcome: Outcome) -> Report:
    """The hand-made schedules as they are, at the rate that the runs begin with."""
    curves = {name: _schedule(outcome, name) for name in _hand_made(outcome)}
    figure = figures.schedules(curves, outcome.experiment.title)
    return Report(_tables(outcome), {"figure5.png": figure})


@REPORTS.register("figure7")
def figure7(outcome: Outcome) -> Report:
    """The experiment's first schedule beside runs of agents, one for each seed."""
    runs = {
        f"{key.method}, seed {key.seed}": outcome.episode(key)
        for key in outcome.agents_runs(outcome.experiment.weight_decays[0])
    }
    reference = next(iter(_hand_made(outcome)), "one_cycle")
    figure = figures.schedules_beside(
        _schedule(outcome, reference), runs, *_drawn(outcome), reference_name=reference
    )
    return Report(_tables(outcome), {"figure7.png": figure})


def _hand_made(outcome: Outcome) -> list[str]:
    return [name for name in outcome.order if name in SCHEDULES]


def _schedule(outcome: Outcome, name: str) -> Float[np.ndarray, " updates"]:
    """A hand-made schedule's rate at each update, from the experiment's first initial rate."""
    rate = outcome.experiment.learning_rates[0]
    return np.ravel(schedule_controller(name).begin(outcome.env, rate))


def _drawn(outcome: Outcome) -> tuple[Sequence[str], str]:
    return outcome.env.inner.layer_names, outcome.experiment.title


def _tables(outcome: Outcome) -> str:
    published = PUBLISHED.get(outcome.experiment.name)
    text = []
    for decay in outcome.weight_decays:
        # Without a run there is a table too: it says of each row why it is empty.
        for number, part in enumerate(outcome.parts(decay) or [Part((), ())]):
            results = outcome.results(decay, part)
            there = {result.method for result in results}
            missing = {} if number else outcome.unavailable
            table = tables.markdown(
                results,
                order=[name for name in outcome.order if name in there or name in missing],
                unavailable=missing,
                published=None if number else published,
                listed=outcome.listed,
            )
            text.append(f"{outcome.title(decay, part)}\n\n{table}")
    return "\n".join(text)


def _comparisons(outcome: Outcome) -> dict[str, Figure]:
    """For each weight decay, all methods, and what agents did from the lowest and highest rate."""
    pictures = {}
    names, _ = _drawn(outcome)
    for decay in outcome.weight_decays:
        for part in outcome.parts(decay)[:1]:
            runs = {
                f"{key.method} from {key.learning_rate:g}": outcome.episode(key)
                for key in outcome.agents_runs(decay)
                if key.seed == part.seeds[0]
                and key.learning_rate in (*part.rates[:1], *part.rates[-1:])
            }
            rows = tables.summarise(outcome.results(decay, part), outcome.listed)
            suffix = "" if len(outcome.weight_decays) == 1 else f"-{decay:g}"
            pictures[f"comparison{suffix}.png"] = figures.comparison(
                rows, part.rates, runs, names, outcome.title(decay)
            )
    return pictures


def _schedules(outcome: Outcome) -> dict[str, Figure]:
    """All of one run of agents, from the middle rate: what was set, and what came of it."""
    rates = outcome.experiment.learning_rates
    names, _ = _drawn(outcome)
    for key in outcome.agents_runs(outcome.experiment.weight_decays[0]):
        if key.learning_rate in (None, rates[len(rates) // 2]):
            heading = f"{key.method} on {outcome.env.task.name}, {outcome.env.network.name}"
            if key.learning_rate is not None:
                heading += f", from {key.learning_rate:g}"
            actions = dict(outcome.listed[key.method].actions)
            interface = InterfaceConfig.of(list(actions), actions)
            viewer = TrainingViewer(names, interface.actions, heading)
            return {"schedule.png": viewer.render(outcome.episode(key))}
    return {}
