"""The paper's own tables: a five-layered CNN on the official CIFAR-10, three seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

Cell = tuple[float, float] | None
"""Mean and standard deviation in per cent; None where the paper writes "/"."""
ILLEGIBLE = (math.nan, math.nan)
"""A cell that the paper has and our copy of its text has lost."""
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01)


@dataclasses.dataclass(frozen=True)
class Published:
    """A table of the paper.

    Attributes:
        caption: its number, and what it measures.
        rates: the initial (table 5: peak) learning rates, a column each.
        rows: by the name of our own row, a cell for each rate and then the average. An average's
            deviation is as printed: the mean of the cells' deviations in some rows, the root of
            their summed squares over their number in others, and never that of our tables.
    """

    caption: str
    rates: tuple[float, ...]
    rows: Mapping[str, tuple[Cell, ...]]


def _rows(text: str) -> dict[str, tuple[Cell, ...]]:
    lines = [[part.strip() for part in line.split("|")] for line in text.strip().splitlines()]
    return {name: tuple(map(_cell, cells)) for name, *cells in lines}


def _cell(text: str) -> Cell:
    if text == "/":
        return None
    if text == "?":
        return ILLEGIBLE
    mean, deviation = map(float, text.split("±"))
    return mean, deviation


_TABLE1 = """
constant       | 71.99 ± 0.38 | 71.33 ± 0.20 | 71.95 ± 0.43  | 73.25 ± 0.73 | 62.34 ± 0.45 | 70.17 ± 0.2
linear         | 71.27 ± 0.58 | 72.51 ± 0.52 | 72.77 ± 0.13  | 73.19 ± 0.39 | 69.87 ± 0.72 | 71.92 ± 0.23
exponential    | 69.67 ± 0.59 | 72.99 ± 0.52 | 72.55 ± 0.24  | 72.47 ± 0.54 | 68.97 ± 0.74 | 71.33 ± 0.25
sgdr           | 70.72 ± 0.28 | 72.90 ± 0.36 | 73.79 ± 0.50  | 74.83 ± 0.09 | 71.36 ± 2.44 | 72.72 ± 0.51
LAMB           | 62.43 ± 0.38 | 69.65 ± 0.18 | 71.5 ± 0.15   | 72.58 ± 0.13 | 75.48 ± 0.33 | 70.33 ± 0.11
VeLO, λ = 0.1  | /            | /            | /             | /            | /            | 10.00 ± 0.00
Lion, λ = 0.1  | 71.53 ± 0.28 | 73.82 ± 0.14 | 55.34 ± 17.27 | 10.00 ± 0.00 | 10.00 ± 0.00 | 44.14 ± 3.54
VeLO, λ = 0.01 | /            | /            | /             | /            | /            | 76.16 ± 0.25
Lion, λ = 0.01 | 71.46 ± 0.13 | 73.25 ± 0.12 | 44.90 ± 8.44  | 10.00 ± 0.00 | 10.00 ± 0.00 | 41.96 ± 1.74
GANNO          | 72.93 ± 0.21 | 72.88 ± 0.80 | 74.32 ± 0.16  | 73.79 ± 0.26 | 67.12 ± 2.05 | 72.21 ± 0.70
"""  # noqa: E501

_TABLE2 = """
constant    | 71.99 ± 0.38 | 71.33 ± 0.20 | 71.95 ± 0.43 | 73.25 ± 0.73 | 62.34 ± 0.45 | 70.17 ± 0.21
linear      | 71.27 ± 0.58 | 72.51 ± 0.52 | 72.77 ± 0.13 | 73.19 ± 0.39 | 69.87 ± 0.72 | 71.92 ± 0.23
quadratic   | 69.71 ± 0.50 | 73.12 ± 0.50 | 72.07 ± 0.83 | 72.63 ± 0.26 | 69.58 ± 1.42 | 71.42 ± 0.36
cosine      | 70.85 ± 0.41 | 72.83 ± 0.35 | 73.26 ± 0.23 | 73.74 ± 0.69 | 69.82 ± 0.72 | 72.10 ± 0.23
exponential | 69.67 ± 0.59 | 72.99 ± 0.52 | 72.55 ± 0.24 | 72.47 ± 0.54 | 68.97 ± 0.74 | 71.33 ± 0.25
piecewise   | 69.83 ± 0.44 | 73.56 ± 0.42 | 73.14 ± 0.24 | 73.42 ± 0.09 | 69.96 ± 0.71 | 71.98 ± 0.19
sgdr        | 70.72 ± 0.28 | 72.90 ± 0.36 | 73.79 ± 0.50 | 74.83 ± 0.09 | 71.36 ± 2.44 | 72.72 ± 0.51
GANNO       | 72.14 ± 0.77 | 73.44 ± 0.86 | 72.99 ± 1.37 | 73.08 ± 0.21 | 68.15 ± 2.35 | 71.96 ± 1.11
"""  # noqa: E501

_TABLE3 = """
constant    | 70.72 ± 0.55 | 70.08 ± 0.81 | 69.95 ± 0.81  | 66.60 ± 0.26 | 57.88 ± 1.30 | 67.05 ± 0.37
linear      | 70.43 ± 0.52 | 70.35 ± 0.37 | 72.33 ± 0.09  | 69.90 ± 0.79 | 59.67 ± 2.68 | 68.54 ± 0.57
quadratic   | 69.67 ± 0.57 | 71.90 ± 0.95 | 71.97 ± 0.25  | 70.94 ± 0.74 | 59.40 ± 1.33 | 68.78 ± 0.38
cosine      | 70.50 ± 0.38 | 70.70 ± 0.38 | 72.51 ± 0.22  | 70.29 ± 0.38 | 58.33 ± 2.24 | 68.47 ± 0.47
exponential | 69.33 ± 0.41 | 70.73 ± 0.34 | 72.10 ± 0.53  | 70.93 ± 0.14 | 57.98 ± 1.51 | 68.21 ± 0.34
piecewise   | 69.85 ± 0.59 | 71.97 ± 0.44 | 72.08 ± 0.27  | 70.28 ± 0.54 | 60.04 ± 1.86 | 68.84 ± 0.42
sgdr        | 70.55 ± 0.41 | 70.91 ± 0.40 | 72.78 ± 0.43  | 70.54 ± 0.36 | 61.48 ± 1.48 | 69.25 ± 0.34
VeLO        | /            | /            | /             | /            | /            | 74.86 ± 0.31
Lion        | 71.49 ± 0.23 | 73.16 ± 0.27 | 36.02 ± 11.00 | 10.00 ± 0.00 | 10.00 ± 0.00 | 40.13 ± 2.30
GANNO       | 72.45 ± 0.32 | 71.14 ± 0.49 | 72.09 ± 0.65  | 71.08 ± 0.83 | 62.61 ± 1.25 | 69.87 ± 0.35
"""  # noqa: E501

_TABLE4 = """
GANNO, learning rate only | 35.80 ± 0.69  | 62.85 ± 0.55 | 70.13 ± 0.30 | 64.64 ± 0.91 | 74.27 ± 0.65 | 63.48 ± 2.83 | 61.54 ± 0.65
GANNO, time step only     | 57.81 ± 15.29 | 68.99 ± 4.51 | 73.04 ± 2.11 | 72.37 ± 3.88 | 74.39 ± 0.97 | 63.69 ± 2.48 | 68.38 ± 6.84
GANNO, single agent       | 9.74 ± 0.11   | 51.32 ± 0.46 | 60.37 ± 0.74 | 69.24 ± 0.30 | 73.63 ± 0.37 | 64.10 ± 1.29 | 54.73 ± 0.54
GANNO                     | 69.38 ± 1.47  | 72.93 ± 0.21 | 72.88 ± 0.80 | 74.32 ± 0.16 | 73.79 ± 0.26 | 67.12 ± 2.05 | 71.74 ± 0.83
"""  # noqa: E501

# The text of the paper has two cells of the warm-ups left, both in the third column.
_TABLE5 = """
warmup_cosine | ? | ? | 73.61 ± 0.06 | ? | ? | ?
one_cycle     | ? | ? | 73.29 ± 0.11 | ? | ? | ?
GANNO from 0  | / | / | /            | / | / | 69.38 ± 1.47
"""

PUBLISHED: Mapping[str, Published] = {
    "table1": Published(
        caption="Table 1: test accuracy (%) by initial learning rate, λ = 0.1 unless a row says "
        "otherwise; GANNO trained with a two-layered CNN on Fashion-MNIST.",
        rates=RATES,
        rows=_rows(_TABLE1),
    ),
    "table2": Published(
        caption="Table 2: test accuracy (%) by initial learning rate, λ = 0.1.",
        rates=RATES,
        rows=_rows(_TABLE2),
    ),
    "table3": Published(
        caption="Table 3: test accuracy (%) by initial learning rate, λ = 0.0001.",
        rates=RATES,
        rows=_rows(_TABLE3),
    ),
    "table4": Published(
        caption="Table 4: test accuracy (%) by initial learning rate, of agents that see less and "
        "of one agent for all layers.",
        rates=(0.0, *RATES),
        rows=_rows(_TABLE4),
    ),
    "table5": Published(
        caption='Table 5: test accuracy (%) by peak learning rate; "?" is illegible in our copy.',
        rates=RATES,
        rows=_rows(_TABLE5),
    ),
}
"""By the name of the experiment that makes ours."""
