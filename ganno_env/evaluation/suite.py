"""Methods over a suite of tasks: what one that is not tuned may be expected to lose on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.statistics import Interval, mean_interval

REFERENCE = "constant"
"""The row in whose time others' are told: Adam, and nothing beside it."""


class Cell(NamedTuple):
    """From where a run goes: an initial rate (None where a method takes none), a weight decay."""

    learning_rate: float | None
    weight_decay: float


Cells: TypeAlias = Mapping[Cell, Float[np.ndarray, " seeds"]]


@dataclasses.dataclass(frozen=True)
class TaskResults:
    """What methods came to on a task.

    Attributes:
        accuracies: in per cent, by method and cell, the same seeds in the same order in all.
        seconds: the median run's, by method.
    """

    accuracies: Mapping[str, Cells]
    seconds: Mapping[str, float]


class Best(NamedTuple):
    """The cell of a task that a hand-made method is best in, by its mean over seeds."""

    method: str
    cell: Cell
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Standing:
    """How a method does over the tasks that it was run on. Regrets are in error points.

    Attributes:
        listed: the method.
        regrets: of each task: the best cell of any hand-made method there, less the mean of all
            the method's runs. What it costs to take this one and not to tune it.
        mean: over tasks, with its 95 % bootstrap interval; seeds are drawn anew within each task.
        worst: the largest regret, and on which task.
        spread: the best cell's mean less the worst cell's, on average over tasks.
        time: its median run's seconds over those of `REFERENCE`, on average; None without that.
    """

    listed: Listed
    regrets: Mapping[str, float]
    mean: Interval
    worst: tuple[float, str]
    spread: float
    time: float | None


def best_cells(suite: Mapping[str, TaskResults], listed: Mapping[str, Listed]) -> dict[str, Best]:
    """The best hand-made cell of each task; raises `ValueError` where there is none."""
    found = {}
    for task, results in suite.items():
        cells = [
            Best(name, cell, float(values.mean()))
            for name, by_cell in results.accuracies.items()
            if listed[name].is_hand_made
            for cell, values in by_cell.items()
        ]
        if not cells:
            raise ValueError(
                f"task {task!r} has no runs of a hand-made method, which regret is measured from; "
                "add one to methods"
            )
        found[task] = max(cells, key=lambda best: best.accuracy)
    return found


def standings(suite: Mapping[str, TaskResults], listed: Mapping[str, Listed]) -> list[Standing]:
    """All methods, those on every task first, the least mean regret before the others."""
    best = best_cells(suite, listed)
    found = [_standing(row, suite, best) for row in listed.values()]
    return sorted(found, key=lambda s: (-len(s.regrets), s.mean.estimate))


def _standing(row: Listed, suite: Mapping[str, TaskResults], best: Mapping[str, Best]) -> Standing:
    tasks = {name: task for name, task in suite.items() if row.name in task.accuracies}
    by_seed = {
        name: best[name].accuracy - np.mean(list(task.accuracies[row.name].values()), axis=0)
        for name, task in tasks.items()
    }
    regrets = {name: float(values.mean()) for name, values in by_seed.items()}
    worst = max(regrets, key=lambda name: regrets[name])
    means = [[x.mean() for x in task.accuracies[row.name].values()] for task in tasks.values()]
    times = [
        task.seconds[row.name] / task.seconds[REFERENCE]
        for task in tasks.values()
        if REFERENCE in task.seconds
    ]
    return Standing(
        listed=row,
        regrets=regrets,
        mean=mean_interval(np.stack(list(by_seed.values()), axis=1)),
        worst=(regrets[worst], worst),
        spread=float(np.mean([np.ptp(cells) for cells in means])),
        time=float(np.mean(times)) if times else None,
    )


def profile(
    method: str,
    suite: Mapping[str, TaskResults],
    best: Mapping[str, Best],
    regrets: Float[np.ndarray, " points"],
) -> Float[np.ndarray, " points"]:
    """The part of a method's runs whose regret is at most so much, each task counting alike.

    A performance profile (Dolan and Moré, 2002; Agarwal et al., 2021) of regrets.
    """
    parts = [
        np.mean(
            best[name].accuracy - np.concatenate(list(task.accuracies[method].values()))[:, None]
            <= regrets,
            axis=0,
        )
        for name, task in suite.items()
        if method in task.accuracies
    ]
    return np.mean(parts, axis=0)


HEADER = ("Method", "Rate", "Mean regret [95 %]", "Worst regret", "Spread", "Time", "Memory")
EXPLANATIONS = (
    "Regret: on a task, the accuracy of the best cell (initial rate and weight decay) of any "
    "hand-made method, less the mean of all the method's runs, in points; below 0 it is better "
    "than anything hand-made was. Its mean is over tasks, with a 95 % bootstrap interval over "
    "seeds.",
    "Spread: a method's best cell less its worst, on average over tasks.",
    f"Time: of the median run, over {REFERENCE}'s on the same task. Memory: numbers that the "
    "optimiser keeps for each parameter (Adam: 2).",
)


def cells(standing: Standing, num_tasks: int) -> list[str]:
    """A line of the suite's table."""
    row, (estimate, low, high) = standing.listed, standing.mean
    partly = "" if len(standing.regrets) == num_tasks else f" ({len(standing.regrets)} tasks)"
    return [
        f"{row.name}{partly}",
        row.rate,
        f"{estimate:.2f} [{low:.2f}, {high:.2f}]",
        f"{standing.worst[0]:.2f} ({standing.worst[1]})",
        f"{standing.spread:.2f}",
        "" if standing.time is None else f"{standing.time:.2f}",
        "" if row.memory is None else f"{row.memory:.1f}",
    ]


def task_cells(
    standing: Standing, suite: Mapping[str, TaskResults], tasks: Sequence[str]
) -> list[str]:
    """A method's average accuracy and spread on each task, such as "53.1 / 4.2"."""
    found = []
    for task in tasks:
        by_cell = suite[task].accuracies.get(standing.listed.name)
        means = [] if by_cell is None else [float(values.mean()) for values in by_cell.values()]
        found.append(f"{np.mean(means):.1f} / {np.ptp(means):.1f}" if means else "")
    return [standing.listed.name, *found]
