"""A suite: all methods on many tasks, each task an experiment, and one report on them all."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ganno_env.evaluation import suite_figures as figures
from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.suite import (
    EXPLANATIONS,
    HEADER,
    Best,
    Cell,
    Standing,
    TaskResults,
    best_cells,
    cells,
    standings,
    task_cells,
)
from ganno_env.evaluation.tables import RATES, markdown_table
from systems.experiments.outcome import Outcome
from systems.utils.figures import write_figure
from systems.utils.files import write_atomically
from systems.utils.strict_json import to_json

TABLE, RECORDS = "suite.md", "suite.json"


def results_of(outcome: Outcome) -> TaskResults:
    """A task's figures, from its runs."""
    accuracies: dict[str, dict[Cell, list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    field = f"{outcome.experiment.split}_accuracy"
    for key in sorted(outcome.records, key=lambda key: key.seed):
        record = outcome.records[key]
        by_cell = accuracies.setdefault(key.method, {})
        cell = Cell(key.learning_rate, key.weight_decay)
        by_cell.setdefault(cell, []).append(100 * getattr(record, field)[-1].item())
        seconds.setdefault(key.method, []).append(record.seconds.item())
    arrays = {row: {c: np.array(x) for c, x in of.items()} for row, of in accuracies.items()}
    return TaskResults(arrays, {row: statistics.median(x) for row, x in seconds.items()})


def write_suite(
    outcomes: Mapping[str, Outcome],
    folder: Path,
    title: str,
    information: Mapping[str, Any],
    console: Console,
) -> list[Path]:
    """Writes `suite.md`, `suite.json` and pictures, and prints the table; returns their paths.

    Args:
        outcomes: of each task, by its name.
        folder: the suite's.
        title: above tables and pictures.
        information: for whoever reads the records, plain JSON.
        console: where the table is printed.

    Raises:
        ValueError: for a task without a hand-made method.
        StorageError: if something cannot be written.
    """
    suite = {name: results_of(outcome) for name, outcome in outcomes.items()}
    listed: dict[str, Listed] = {}
    for outcome in outcomes.values():
        listed = {**outcome.listed, **listed}
    best, found = best_cells(suite, listed), standings(suite, listed)
    unavailable = {k: v for o in outcomes.values() for k, v in o.unavailable.items()}
    text = _text(title, suite, found, best, unavailable)
    records = {**information, "standings": [_as_json(s) for s in found], "best": best}
    pictures = {
        "suite.png": figures.regrets(found, title),
        "heatmap.png": figures.heat_map(found, list(suite), f"{title}: regret by task"),
        "profile.png": figures.profiles(found, suite, best, f"{title}: performance profile"),
    }
    paths = [folder / TABLE, folder / RECORDS]
    write_atomically(paths[0], text.encode(), overwrite=True)
    write_atomically(paths[1], to_json(_plain(records)).encode(), overwrite=True)
    for name, figure in pictures.items():
        paths.append(folder / name)
        write_figure(figure, paths[-1])
    _show(found, len(suite), unavailable, title, console)
    return paths


def _text(
    title: str,
    suite: Mapping[str, TaskResults],
    found: Sequence[Standing],
    best: Mapping[str, Best],
    unavailable: Mapping[str, str],
) -> str:
    tasks = list(suite)
    parts = [f"# {title}\n\n", markdown_table(HEADER, [cells(s, len(tasks)) for s in found]), "\n"]
    parts += [f"{line}  \n" for line in _notes(found, unavailable)]
    parts += ["\n## By task\n\nAverage accuracy (%) over all cells / spread.\n\n"]
    parts += [markdown_table(["Method", *tasks], [task_cells(s, suite, tasks) for s in found])]
    reference = [
        [task, cell.method, *_described(cell.cell), f"{cell.accuracy:.2f}"]
        for task, cell in best.items()
    ]
    header = ["Task", "Method", "Rate", "λ", "Accuracy (%)"]
    parts += ["\nThe best hand-made cells, from which regret is measured:\n\n"]
    parts += [markdown_table(header, reference)]
    return "".join(parts)


def _notes(found: Sequence[Standing], unavailable: Mapping[str, str]) -> list[str]:
    present = {standing.listed.rate for standing in found}
    words = [f"Rate {rate}: {text}" for rate, text in RATES.items() if rate in present]
    return [*EXPLANATIONS, *words, *(f"{name}: {why}." for name, why in unavailable.items())]


def _described(cell: Cell) -> tuple[str, str]:
    rate = "its own" if cell.learning_rate is None else f"{cell.learning_rate:g}"
    return rate, f"{cell.weight_decay:g}"


def _show(
    found: Sequence[Standing],
    num_tasks: int,
    unavailable: Mapping[str, str],
    title: str,
    console: Console,
) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for number, column in enumerate(HEADER):
        table.add_column(column, justify="right" if number > 1 else "left", overflow="fold")
    for standing in found:
        style = "bold" if standing.listed.is_agents else None
        table.add_row(*cells(standing, num_tasks), style=style)
    console.print(table)
    for line in _notes(found, unavailable):
        console.print(line, highlight=False, soft_wrap=not console.is_terminal)


def _as_json(standing: Standing) -> dict[str, Any]:
    return {
        "method": standing.listed.name,
        "rate": standing.listed.rate,
        "regrets": standing.regrets,
        "mean_regret": standing.mean,
        "worst_regret": standing.worst,
        "spread": standing.spread,
        "time": standing.time,
        "memory": standing.listed.memory,
    }


def _plain(value: Any) -> Any:
    """Named tuples as mappings, which a reader need not count."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
