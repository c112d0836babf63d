"""A trained policy beside hand-made schedules and chance, from the same starts."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ganno_env import NetworkTraining
from ganno_env.evaluation import (
    Controller,
    GridRunner,
    Result,
    RunSpec,
    figures,
    policy_controller,
    tables,
)
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode, TrainingViewer, save
from systems.files import storage_errors, write_atomically
from systems.policy import Policy

AGENTS = "GANNO"
"""What the trained policy is called in tables, as in the paper's."""


WIDTH_OF_FILES = 160


@dataclasses.dataclass(frozen=True)
class Grid:
    """Which runs to make of each method: every initial rate with every seed."""

    learning_rates: tuple[float, ...]
    weight_decay: float
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuses empty grids and repetitions, before anything is compiled."""
        for name in ("learning_rates", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} must be a list without repetition, not {list(values)}")
        for value in (*self.learning_rates, self.weight_decay):
            if not 0 <= value <= 1:
                raise ValueError(f"learning rates and weight decay are in [0, 1], not {value}")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The runs of each method, and what came of them."""

    specs: list[RunSpec]
    records: list[RunRecord]

    @property
    def results(self) -> list[Result]:
        """What tables are made of."""
        return [
            Result(
                method=spec.controller.name,
                learning_rate=spec.learning_rate,
                seed=spec.seed,
                test_accuracy=100 * float(record.test_accuracy[-1]),
            )
            for spec, record in zip(self.specs, self.records, strict=True)
        ]

    def record(self, method: str, learning_rate: float) -> RunRecord:
        """The first seed's run of a method from an initial rate."""
        return next(
            record
            for spec, record in zip(self.specs, self.records, strict=True)
            if spec.controller.name == method and spec.learning_rate == learning_rate
        )


def agents(policy: Policy, name: str = AGENTS, *, greedy: bool = False) -> Controller:
    """A trained policy as a controller; by default it samples its actions, as it was trained to."""
    return policy_controller(name, policy.initial_hidden, partial(policy.act, greedy=greedy))


def compare(
    env: NetworkTraining, controllers: Sequence[Controller], grid: Grid, console: Console
) -> Comparison:
    """Makes every run, showing how long the rest will take."""
    runner = GridRunner(env)
    specs: list[RunSpec] = []
    records: list[RunRecord] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("methods", total=len(controllers))
        for controller in controllers:
            progress.update(task, description=f"running {controller.name}")
            mine = [
                RunSpec(controller, rate, grid.weight_decay, seed)
                for rate in grid.learning_rates
                for seed in grid.seeds
            ]
            began = time.monotonic()
            specs += mine
            records += runner.run(mine)
            progress.advance(task)
            if not console.is_terminal:  # a bar shows there at its end alone
                seconds = time.monotonic() - began
                left = seconds * (len(controllers) - len(specs) // len(mine))
                console.print(f"{controller.name}: {seconds:.0f} s, about {left:.0f} s left")
        progress.update(task, description="all methods")
    return Comparison(specs=specs, records=records)


def print_table(comparison: Comparison, title: str, console: Console) -> None:
    """The table for people."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for number, column in enumerate(tables.header(comparison.results)):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in tables.summarise(comparison.results):
        table.add_row(*tables.cells(row), style="bold" if row.method == AGENTS else None)
    # A file or pipe has no width of its own; 80 columns would cut the figures off.
    (console if console.is_terminal else Console(width=WIDTH_OF_FILES)).print(table)


def write(
    comparison: Comparison,
    env: NetworkTraining,
    folder: Path,
    title: str,
    information: dict[str, Any],
) -> list[Path]:
    """Writes `table.md`, `records.json` and pictures into `folder`; returns their paths.

    Raises:
        ValueError: if one of them exists already.
        StorageError: if one cannot be written.
    """
    rates = sorted({spec.learning_rate for spec in comparison.specs})
    layer_names = env.inner.layer_names
    shown = [rates[0], rates[-1]] if len(rates) > 1 else rates
    methods = {spec.controller.name for spec in comparison.specs}
    runs = {
        f"{AGENTS} from {rate:g}": comparison.record(AGENTS, rate)
        for rate in shown
        if AGENTS in methods
    }
    table = tables.markdown(comparison.results)
    paths = [folder / "table.md", folder / "records.json"]
    text = f"{title}\n\nImages: {env.dataset.source or env.dataset.name}.\n\n{table}"
    write_atomically(paths[0], text.encode())
    write_atomically(paths[1], json.dumps(_plain(comparison, information)).encode())
    rows = tables.summarise(comparison.results)
    picture = figures.comparison(rows, rates, runs, layer_names, env.updates_per_step, title)
    pictures = {"comparison.png": picture}
    middle = rates[len(rates) // 2]
    if AGENTS in methods:
        heading = f"{AGENTS} on {env.dataset.name}, {env.network.name}, from {middle:g}"
        viewer = TrainingViewer(layer_names, env.actions.names, heading)
        episode = Episode.from_record(comparison.record(AGENTS, middle), env.updates_per_step)
        pictures["schedule.png"] = viewer.render(episode)
    with storage_errors(folder):
        return paths + [save(figure, folder / name) for name, figure in pictures.items()]


def _plain(comparison: Comparison, information: dict[str, Any]) -> dict[str, Any]:
    runs = []
    for spec, record in zip(comparison.specs, comparison.records, strict=True):
        curves = {
            field.name: np.asarray(getattr(record, field.name)).tolist()
            for field in dataclasses.fields(record)
        }
        runs.append(
            {
                "method": spec.controller.name,
                "learning_rate": spec.learning_rate,
                "weight_decay": spec.weight_decay,
                "seed": spec.seed,
                **curves,
            }
        )
    return information | {"runs": runs}
