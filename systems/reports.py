"""What is made of an experiment's runs: tables, and the paper's figures."""

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

from ganno_env import NetworkTraining
from ganno_env.evaluation import Method, Result, figures, tables
from ganno_env.evaluation.published import PUBLISHED
from ganno_env.evaluation.styles import is_agents
from ganno_env.registry import Registry
from ganno_env.schedules import SCHEDULES
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode, TrainingViewer, save
from systems.cells import Cell
from systems.experiments import plain
from systems.files import storage_errors, write_atomically
from systems.options import Experiment
from systems.output import make_console
from systems.strict_json import to_json

WIDTH_OF_FILES = 160


@dataclasses.dataclass(frozen=True)
class Outcome:
    """An experiment's runs, all of them.

    Attributes:
        experiment, env: what was run, and where.
        methods: the rows that could be filled.
        order: all rows' names, in the experiment's order.
        unavailable: the other rows, and why they are empty.
        records: the runs.
    """

    experiment: Experiment
    env: NetworkTraining
    methods: Sequence[Method]
    order: Sequence[str]
    unavailable: Mapping[str, str]
    records: Mapping[Cell, RunRecord]

    def runs(self, method: Method, weight_decay: float) -> dict[Cell, RunRecord]:
        """A method's runs at the experiment's weight decay, or at its own."""
        decay = weight_decay if method.weight_decay is None else method.weight_decay
        return {
            cell: record
            for cell, record in self.records.items()
            if (cell.method, cell.weight_decay) == (method.name, decay)
        }

    def results(self, weight_decay: float) -> list[Result]:
        """What a table is made of, in per cent."""
        field = f"{self.experiment.split}_accuracy"
        return [
            Result(
                cell.method, cell.learning_rate, cell.seed, 100 * getattr(record, field)[-1].item()
            )
            for method in self.methods
            for cell, record in self.runs(method, weight_decay).items()
        ]

    def agents_runs(self, weight_decay: float) -> dict[Cell, RunRecord]:
        """All trained agents' runs."""
        return {
            cell: record
            for method in self.methods
            if is_agents(method.name)
            for cell, record in self.runs(method, weight_decay).items()
        }

    def title(self, weight_decay: float) -> str:
        """The experiment's, with the weight decay."""
        return f"{self.experiment.title}, λ = {weight_decay:g}"


@dataclasses.dataclass(frozen=True)
class Report:
    """What is written: a text in Markdown, and pictures by file name."""

    text: str
    pictures: Mapping[str, Figure]


REPORTS: Registry[Callable[[Outcome], Report]] = Registry("report")


def write(
    outcome: Outcome, folder: Path, information: Mapping[str, Any], console: Console
) -> list[Path]:
    """Writes `table.md`, `records.json` and pictures, then prints tables; returns their paths.

    They are made of the runs that are kept, so those of an earlier call are replaced.

    Raises:
        StorageError: if one cannot be written.
    """
    report = REPORTS[outcome.experiment.report](outcome)
    images = outcome.env.dataset.source or outcome.env.dataset.name
    records = {**information, "unavailable": dict(outcome.unavailable)}
    content = to_json(records | {"runs": plain(outcome.records)})
    paths = [folder / "table.md", folder / "records.json"]
    header = f"# {outcome.experiment.name}\n\n{outcome.env}. Images: {images}.\n\n"
    write_atomically(paths[0], (header + report.text).encode(), overwrite=True)
    write_atomically(paths[1], content.encode(), overwrite=True)
    for name, figure in report.pictures.items():
        path = folder / name
        with storage_errors(path):
            path.unlink(missing_ok=True)
            paths.append(save(figure, path))
    _show(outcome, images, console)
    return paths


def _show(outcome: Outcome, images: str, console: Console) -> None:
    for decay in outcome.experiment.weight_decays:
        if results := outcome.results(decay):
            print_table(results, outcome.title(decay), console)
    for reason in dict.fromkeys(outcome.unavailable.values()):
        names = "; ".join(name for name, why in outcome.unavailable.items() if why == reason)
        console.print(f"{names}: {reason}", soft_wrap=True)
    seeds = len(outcome.experiment.seeds)
    console.print(
        f"Mean ± one standard deviation over {seeds} seeds. Images: {images}. Written:",
        soft_wrap=True,
    )


def print_table(results: Sequence[Result], title: str, console: Console) -> None:
    """A table for people."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for number, column in enumerate(tables.header(results)):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in tables.summarise(results):
        table.add_row(*tables.cells(row), style="bold" if is_agents(row.method) else None)
    # A file or pipe has no width of its own; 80 columns would cut the figures off.
    (console if console.is_terminal else make_console(width=WIDTH_OF_FILES)).print(table)


@REPORTS.register("table")
def table(outcome: Outcome) -> Report:
    """A table for each weight decay, and the methods beside each other."""
    return Report(_tables(outcome), _comparisons(outcome) | _schedules(outcome))


@REPORTS.register("figure1")
def figure1(outcome: Outcome) -> Report:
    """Learning rate and training loss of a run of each method."""
    runs = {cell.method: record for cell, record in outcome.records.items()}
    if not runs:
        return Report(_tables(outcome), {})
    return Report(
        _tables(outcome), {"figure1.png": figures.rates_and_losses(runs, *_drawn(outcome))}
    )


@REPORTS.register("figure2")
def figure2(outcome: Outcome) -> Report:
    """Each layer's rate and the test accuracy of the agents' first run."""
    runs = list(outcome.agents_runs(outcome.experiment.weight_decays[0]).values())
    if not runs:
        return Report(_tables(outcome), {})
    figure = figures.rates_and_accuracy(runs[0], *_drawn(outcome))
    return Report(_tables(outcome), {"figure2.png": figure})


@REPORTS.register("accuracy_curves")
def accuracy_curves(outcome: Outcome) -> Report:
    """Test accuracy over epochs, a panel for each weight decay (figures 3 and 6)."""
    panels = {
        f"λ = {decay:g}": {
            method.name: list(outcome.runs(method, decay).values()) for method in outcome.methods
        }
        for decay in outcome.experiment.weight_decays
    }
    env, experiment = outcome.env, outcome.experiment
    updates = env.time_limit * env.updates_per_step
    epochs = updates * env.batch_size / env.dataset.train.size
    figure = figures.accuracy_curves(panels, epochs, experiment.title)
    return Report(_tables(outcome), {f"{experiment.name}.png": figure})


@REPORTS.register("figure5")
def figure5(outcome: Outcome) -> Report:
    """The hand-made schedules as they are, at the rate that the runs begin with."""
    curves = {
        name: _schedule(outcome, name) for name in outcome.experiment.methods if name in SCHEDULES
    }
    figure = figures.schedules(curves, outcome.experiment.title)
    return Report(_tables(outcome), {"figure5.png": figure})


@REPORTS.register("figure7")
def figure7(outcome: Outcome) -> Report:
    """The experiment's first method, a schedule, beside runs of agents, one for each seed."""
    runs = {
        f"{cell.method}, seed {cell.seed}": record
        for cell, record in outcome.agents_runs(outcome.experiment.weight_decays[0]).items()
    }
    reference = _schedule(outcome, outcome.experiment.methods[0])
    figure = figures.schedules_beside(reference, runs, *_drawn(outcome))
    return Report(_tables(outcome), {"figure7.png": figure})


def _schedule(outcome: Outcome, name: str) -> Float[np.ndarray, " updates"]:
    """A hand-made schedule's rate at each update, from the experiment's first initial rate."""
    num_updates = outcome.env.time_limit * outcome.env.updates_per_step
    schedule = SCHEDULES[name](outcome.experiment.learning_rates[0], num_updates)
    return np.array([schedule(i) for i in range(num_updates)])


def _drawn(outcome: Outcome) -> tuple[Sequence[str], int, str]:
    env = outcome.env
    return env.inner.layer_names, env.updates_per_step, outcome.experiment.title


def _tables(outcome: Outcome) -> str:
    published = PUBLISHED.get(outcome.experiment.name)
    parts = [
        f"{outcome.title(decay)}\n\n"
        + tables.markdown(
            outcome.results(decay),
            order=outcome.order,
            unavailable=outcome.unavailable,
            published=published,
        )
        for decay in outcome.experiment.weight_decays
    ]
    return "\n".join(parts)


def _comparisons(outcome: Outcome) -> dict[str, Figure]:
    """For each weight decay, all methods, and what agents did from the lowest and highest rate."""
    pictures = {}
    rates, seed = outcome.experiment.learning_rates, outcome.experiment.seeds[0]
    for decay in outcome.experiment.weight_decays:
        runs = {
            f"{cell.method} from {cell.learning_rate:g}": record
            for cell, record in outcome.agents_runs(decay).items()
            if cell.seed == seed and cell.learning_rate in (rates[0], rates[-1])
        }
        rows = tables.summarise(outcome.results(decay))
        if not rows:
            continue
        suffix = "" if len(outcome.experiment.weight_decays) == 1 else f"-{decay:g}"
        names, updates_per_step, _ = _drawn(outcome)
        pictures[f"comparison{suffix}.png"] = figures.comparison(
            rows, rates, runs, names, updates_per_step, outcome.title(decay)
        )
    return pictures


def _schedules(outcome: Outcome) -> dict[str, Figure]:
    """All of one run of agents, from the middle rate: what was set, and what came of it."""
    rates = outcome.experiment.learning_rates
    names, updates_per_step, _ = _drawn(outcome)
    changes = {method.name: dict(method.changes) for method in outcome.methods}
    for cell, record in outcome.agents_runs(outcome.experiment.weight_decays[0]).items():
        if cell.learning_rate in (None, rates[len(rates) // 2]):
            heading = f"{cell.method} on {outcome.env.dataset.name}, {outcome.env.network.name}"
            if cell.learning_rate is not None:
                heading += f", from {cell.learning_rate:g}"
            actions = outcome.env.replace(**changes[cell.method]).actions.names  # their own
            viewer = TrainingViewer(names, actions, heading)
            return {"schedule.png": viewer.render(Episode.from_record(record, updates_per_step))}
    return {}
