"""From runs to the paper's tables: a row a method, a column an initial rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Result:
    """One run's end, as a table needs it: test accuracy in per cent."""

    method: str
    learning_rate: float
    seed: int
    test_accuracy: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A method's figures, in per cent.

    Attributes:
        method: its name.
        means, deviations: over seeds, one for each initial rate; one standard deviation, as in the
            paper (NumPy's, without Bessel's correction).
        average, average_deviation: of each seed's average over initial rates.
        spread: the best initial rate's mean less the worst's.
    """

    method: str
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    average: float
    average_deviation: float
    spread: float


def summarise(results: Sequence[Result]) -> list[Row]:
    """A row for each method, in order of appearance.

    Raises:
        ValueError: unless each method has the same initial rates and seeds.
    """
    methods = list(dict.fromkeys(result.method for result in results))
    rates = sorted({result.learning_rate for result in results})
    seeds = sorted({result.seed for result in results})
    cells = {(r.method, r.learning_rate, r.seed): r.test_accuracy for r in results}
    rows = []
    for method in methods:
        missing = [(x, s) for x in rates for s in seeds if (method, x, s) not in cells]
        if missing:
            raise ValueError(f"method {method!r} lacks runs (initial rate, seed): {missing}")
        grid = np.array([[cells[method, rate, seed] for seed in seeds] for rate in rates])
        rows.append(
            Row(
                method=method,
                means=tuple(grid.mean(1)),
                deviations=tuple(grid.std(1)),
                average=float(grid.mean()),
                average_deviation=float(grid.mean(0).std()),
                spread=float(np.ptp(grid.mean(1))),
            )
        )
    return rows


def header(results: Sequence[Result]) -> list[str]:
    """The columns' names."""
    rates = sorted({result.learning_rate for result in results})
    return ["Method", *(f"{rate:g}" for rate in rates), "Average", "Spread"]


def cells(row: Row) -> list[str]:
    """A row's text, such as "71.99 ± 0.38"."""
    pairs = zip(row.means, row.deviations, strict=True)
    return [
        row.method,
        *(f"{mean:.2f} ± {deviation:.2f}" for mean, deviation in pairs),
        f"{row.average:.2f} ± {row.average_deviation:.2f}",
        f"{row.spread:.2f}",
    ]


def markdown(results: Sequence[Result]) -> str:
    """The table in Markdown; the largest mean of each column, and the least spread, in bold."""
    rows = summarise(results)
    text = [cells(row) for row in rows]
    figures = np.array([[*row.means, row.average, -row.spread] for row in rows])
    for column, best in enumerate(figures.argmax(0), start=1):
        text[best][column] = f"**{text[best][column]}**"
    lines = [header(results), ["---"] * len(header(results)), *text]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
