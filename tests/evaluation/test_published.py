"""The paper's tables: what is printed must agree with itself, where the paper does."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from ganno_env.evaluation.published import ILLEGIBLE, PUBLISHED

ROWS = [
    (table, name)
    for table, published in PUBLISHED.items()
    for name, row in published.rows.items()
    if None not in row and ILLEGIBLE not in row
]
# The paper's own mistakes: its averages are not those of its cells (41.92, 61.86).
OTHER_MEANS = {("table1", "Lion, λ = 0.01"), ("table4", "GANNO, learning rate only")}
OTHER_DEVIATIONS = {
    ("table4", "GANNO, learning rate only"),
    ("table4", "GANNO, time step only"),
}


def test_every_row_has_a_cell_for_each_rate_and_its_average():
    assert list(PUBLISHED) == [f"table{number}" for number in range(1, 6)]
    for published in PUBLISHED.values():
        assert list(published.rates) == sorted(published.rates)
        for row in published.rows.values():
            assert len(row) == len(published.rates) + 1
            assert row[-1] is not None


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_an_average_is_that_of_its_cells(table, name):
    *cells, average = PUBLISHED[table].rows[name]
    mean = np.mean([cell[0] for cell in cells])
    agrees = abs(mean - average[0]) <= 0.01
    assert agrees == ((table, name) not in OTHER_MEANS), mean


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_the_deviation_of_an_average_is_one_of_two(table, name):
    """That of independent cells, or the mean of theirs: no digit is mistaken without notice."""
    *cells, average = PUBLISHED[table].rows[name]
    deviations = np.array([cell[1] for cell in cells])
    candidates = np.array([np.sqrt(np.sum(deviations**2)) / len(cells), deviations.mean()])
    agrees = np.abs(candidates - average[1]).min() <= 0.011
    assert agrees == ((table, name) not in OTHER_DEVIATIONS), candidates


def test_what_is_printed_twice_is_the_same():
    tables = [published.rows for published in PUBLISHED.values()]
    for name in ("constant", "linear", "exponential", "sgdr"):
        assert tables[0][name][:-1] == tables[1][name][:-1]
    assert tables[0]["GANNO"][:-1] == tables[3]["GANNO"][1:-1]
    assert tables[4]["GANNO from 0"][-1] == tables[3]["GANNO"][0]


def test_only_table_5_is_illegible():
    lost = {
        table
        for table, published in PUBLISHED.items()
        for row in published.rows.values()
        if any(cell is not None and math.isnan(cell[0]) for cell in row)
    }
    assert lost == {"table5"}


PAPER = Path(__file__).parents[3] / "shared" / "paper" / "ganno.md"


@pytest.mark.skipif(not PAPER.exists(), reason="the paper's text is not beside this checkout")
def test_every_cell_is_in_the_paper_as_often_as_here():
    pairs = re.findall(r"(\d+\.\d+)\}? *(?:±|\\pm) *(?:\\textbf\{)?(\d+\.\d+)", PAPER.read_text())
    ours = [
        cell
        for published in PUBLISHED.values()
        for row in published.rows.values()
        for cell in row
        if cell not in (None, ILLEGIBLE)
    ]
    assert sorted(ours) == sorted((float(mean), float(deviation)) for mean, deviation in pairs)
