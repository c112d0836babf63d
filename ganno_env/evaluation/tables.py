"""From runs to the paper's tables: a row a method, a column an initial rate."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from ganno_env.evaluation.methods import Listed, Rate
from ganno_env.evaluation.published import Cell, Published
from ganno_env.evaluation.statistics import interquartile_mean

NO_CELL = "/"
"""What a cell that cannot exist shows, as in the paper."""
LOST_CELL = "?"
"""What a cell that the paper has and our copy has lost shows."""


RATES: dict[Rate, str] = {
    "given": "each column's initial rate is the method's own rate or peak: its average is over "
    "given rates, good and bad, and who tunes the rate has the best column.",
    "start": "agents begin at a column's rate and then set their own, without having learned how.",
    "trained": "agents begin at a column's rate, or at their own, and then set their own as they "
    "learned to, in a training whose cost no figure here has.",
    "tuned": "the method has one rate for all columns and tasks, chosen on the training task.",
    "free": "the method takes no initial rate.",
}
"""What a method may do with a column's initial rate."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One run's end, as a table needs it: accuracy in per cent.

    `learning_rate` is None for a method that takes no initial rate, as VeLO.
    """

    method: str
    learning_rate: float | None
    seed: int
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A method's figures, in per cent.

    Attributes:
        method: its name.
        means, deviations: over seeds, one for each initial rate; one standard deviation, as in the
            paper (NumPy's, without Bessel's correction). None where the method takes no rate.
        average, average_deviation: of each seed's average over initial rates.
        spread: the best initial rate's mean less the worst's; None where there are no rates.
        iqm, iqm_low, iqm_high: the interquartile mean of all runs and its 95 % interval; see
            `interquartile_mean`.
        is_agents: whether it is agents, trained or in training.
        rate: what it does with a column's initial rate, where that is known; see `RATES`.
    """

    method: str
    means: tuple[float | None, ...]
    deviations: tuple[float | None, ...]
    average: float
    average_deviation: float
    spread: float | None
    iqm: float
    iqm_low: float
    iqm_high: float
    is_agents: bool = False
    rate: Rate | None = None


def initial_rates(results: Iterable[Result]) -> list[float]:
    """The initial rates, in the columns' order."""
    return sorted({r.learning_rate for r in results if r.learning_rate is not None})


def summarise(results: Sequence[Result], listed: Mapping[str, Listed] | None = None) -> list[Row]:
    """A row for each method, in order of appearance.

    Args:
        results: of all runs.
        listed: what is known of the methods besides, by name.

    Raises:
        ValueError: unless each method that takes an initial rate has the same rates and seeds.
    """
    known = {} if listed is None else listed
    return [
        dataclasses.replace(row, is_agents=known[row.method].is_agents, rate=known[row.method].rate)
        if row.method in known
        else row
        for row in _summarise(tuple(results))
    ]


@functools.lru_cache(maxsize=4)  # bootstrapping takes a while, and a report asks several times
def _summarise(results: tuple[Result, ...]) -> tuple[Row, ...]:
    rates = initial_rates(results)
    seeds = sorted({r.seed for r in results if r.learning_rate is not None})
    runs: dict[str, dict[tuple[float | None, int], float]] = {}
    for result in results:
        cells = runs.setdefault(result.method, {})
        cells[result.learning_rate, result.seed] = result.accuracy
    return tuple(_row(method, cells, rates, seeds) for method, cells in runs.items())


def _row(
    method: str,
    cells: Mapping[tuple[float | None, int], float],
    rates: Sequence[float],
    seeds: Sequence[int],
) -> Row:
    without_rate = {seed for rate, seed in cells if rate is None}
    rated = len(without_rate) < len(cells)
    if rated and without_rate:
        raise ValueError(f"method {method!r} has runs with an initial rate and runs without")
    rows, columns = (rates, seeds) if rated else ((None,), sorted(without_rate))
    missing = [(rate, seed) for rate in rows for seed in columns if (rate, seed) not in cells]
    if missing:
        raise ValueError(f"method {method!r} lacks runs (initial rate, seed): {missing}")
    grid = np.array([[cells[rate, seed] for seed in columns] for rate in rows])
    no_cells = (None,) * len(rates)
    iqm, low, high = interquartile_mean(grid.T)
    return Row(
        method=method,
        means=_floats(grid.mean(1)) if rated else no_cells,
        deviations=_floats(grid.std(1)) if rated else no_cells,
        average=float(grid.mean()),
        average_deviation=float(grid.mean(0).std()),
        spread=float(np.ptp(grid.mean(1))) if rated else None,
        iqm=iqm,
        iqm_low=low,
        iqm_high=high,
    )


def _floats(values: Float[np.ndarray, " N"]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def header(results: Sequence[Result], rows: Sequence[Row] = ()) -> list[str]:
    """The columns' names."""
    rates = (f"{rate:g}" for rate in initial_rates(results))
    last = ["Rate"] if any(row.rate for row in rows) else []
    return ["Method", *rates, "Average", "Spread", "IQM [95 % interval]", *last]


def notes(rows: Sequence[Row], num_seeds: int) -> list[str]:
    """What a table's words and figures mean, a line each, as far as they are in it."""
    lines = [
        f"Cells: mean ± one standard deviation over {num_seeds} seeds of initial weights and "
        "batches. λ: weight decay.",
    ]
    if any(row.spread is not None for row in rows):
        lines.append(
            "Average: over the initial rates, ± the standard deviation of each seed's average. "
            "Spread: the best initial rate's mean less the worst's."
        )
    lines.append(
        "IQM: interquartile mean, that of the middle half of a row's runs, with its 95 % bootstrap "
        "interval."
    )
    present = [rate for rate in RATES if any(row.rate == rate for row in rows)]
    return [*lines, *(f"Rate {rate}: {RATES[rate]}" for rate in present)]


def cells(row: Row) -> list[str]:
    """A row's text, such as "71.99 ± 0.38"."""
    pairs = zip(row.means, row.deviations, strict=True)
    return [
        row.method,
        *(_pair(mean, deviation) for mean, deviation in pairs),
        _pair(row.average, row.average_deviation),
        NO_CELL if row.spread is None else f"{row.spread:.2f}",
        f"{row.iqm:.2f} [{row.iqm_low:.2f}, {row.iqm_high:.2f}]",
        *([row.rate] if row.rate else []),
    ]


def _pair(mean: float | None, deviation: float | None) -> str:
    return NO_CELL if mean is None else f"{mean:.2f} ± {deviation:.2f}"


def markdown(
    results: Sequence[Result],
    *,
    order: Sequence[str] | None = None,
    unavailable: Mapping[str, str] | None = None,
    published: Published | None = None,
    listed: Mapping[str, Listed] | None = None,
) -> str:
    """The table in Markdown; the best of each column (the least spread) in bold.

    Args:
        results: of all runs.
        order: the rows'; by default, that of appearance, and then what is not available.
        unavailable: why a method has no runs, by its name; shown in place of its average. One that
            has runs is a row like any other.
        published: the paper's table, whose rows of the same names are shown in a second one.
        listed: what is known of the methods besides, by name: shown in a column, and below.

    Raises:
        ValueError: if a method lacks runs, or `order` does not name each row once.
    """
    rows = {row.method: row for row in summarise(results, listed)}
    reasons = {name: why for name, why in (unavailable or {}).items() if name not in rows}
    names = [*rows, *reasons] if order is None else list(order)
    if sorted(names) != sorted([*rows, *reasons]):
        raise ValueError(f"a table of the rows {[*rows, *reasons]} cannot be in the order {names}")
    columns = header(results, list(rows.values()))
    shown = [rows[name] for name in names if name in rows]
    figures = [
        [*row.means, row.average, None if row.spread is None else -row.spread, row.iqm]
        for row in shown
    ]
    text = {line[0]: line for line in _bold([cells(row) for row in shown], figures)}
    before = [NO_CELL] * columns[1:].index("Average")
    after = [NO_CELL] * (len(columns) - len(before) - 2)
    for name, why in reasons.items():
        text[name] = [name, *before, why, *after]
    table = markdown_table(columns, [text[name] for name in names])
    if listed is not None and shown:
        table += "".join(f"\n{line}  " for line in notes(shown, _num_seeds(results))) + "\n"
    return table if published is None else table + _published(published, names)


def _num_seeds(results: Sequence[Result]) -> int:
    return len({result.seed for result in results})


def _published(published: Published, names: Sequence[str]) -> str:
    """The paper's own values of these rows, below its table; nothing if it has none."""
    rows = {name: published.rows[name] for name in names if name in published.rows}
    if not rows:
        return ""
    columns = ["Method", *(f"{rate:g}" for rate in published.rates), "Average"]
    text = [[name, *map(_published_cell, row)] for name, row in rows.items()]
    means = [[None if cell is None else cell[0] for cell in row] for row in rows.values()]
    return (
        "\n**The paper's own values** (full size, official CIFAR-10; not comparable in detail with "
        f"a reduced scale). {published.caption}\n\n{markdown_table(columns, _bold(text, means))}"
    )


def _published_cell(cell: Cell) -> str:
    if cell is None:
        return NO_CELL
    return LOST_CELL if math.isnan(cell[0]) else _pair(*cell)


def _bold(text: list[list[str]], figures: Sequence[Sequence[float | None]]) -> list[list[str]]:
    """Lines with the largest figure of each column, as printed, in bold, unless all are alike."""
    text = [list(line) for line in text]
    for column, values in enumerate(zip(*figures, strict=True), start=1):
        printed = [math.nan if value is None else round(value, 2) for value in values]
        known = {value for value in printed if not math.isnan(value)}
        for line, value in zip(text, printed, strict=True):
            if len(known) > 1 and value == max(known):
                line[column] = f"**{line[column]}**"
    return text


def markdown_table(columns: Sequence[str], text: Iterable[Sequence[str]]) -> str:
    """Lines of cells below their columns' names, all but the first aligned to the right."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    lines = [[cell.replace("|", r"\|") for cell in line] for line in (columns, rule, *text)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
