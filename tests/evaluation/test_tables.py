"""Rows, and how they are written; the oracles are NumPy, SciPy and rliable's own functions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rliable.library import get_interval_estimates
from rliable.metrics import aggregate_iqm

from ganno_env.evaluation import Result, markdown, summarise, tables
from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.published import PUBLISHED, Published
from ganno_env.evaluation.statistics import interquartile_mean

RESULTS = [
    Result(method, rate, seed, base + 100 * rate + seed)
    for method, base in (("a", 50.0), ("b", 60.0))
    for rate in (0.001, 0.01)
    for seed in (0, 1, 2)
]
UNRATED = [Result("VeLO", None, seed, 70.0 + seed) for seed in (0, 1)]


def lines(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def row(text: str, method: str) -> list[str]:
    return next(cells for cells in lines(text) if cells[0] == method)


def test_tables_are_means_over_seeds():
    a, b = summarise(RESULTS)
    np.testing.assert_allclose(a.means, (51.1, 52.0))
    np.testing.assert_allclose(a.deviations, np.std([0, 1, 2]))
    np.testing.assert_allclose((a.average, a.average_deviation), (51.55, np.std([0, 1, 2])))
    np.testing.assert_allclose(b.spread, 0.9)
    text = markdown(RESULTS)
    columns = ["Method", "0.001", "0.01", "Average", "Spread", "IQM [95 % interval]"]
    assert lines(text)[0] == columns == tables.header(RESULTS)
    assert "| b | **61.10 ± 0.82** |" in text


def test_a_table_lacks_nothing():
    with pytest.raises(ValueError, match=r"'b' lacks runs.*\(0.01, 2\)"):
        summarise(RESULTS[:-1])


def test_a_method_without_a_rate_needs_its_own_seeds_alone():
    *_, velo = summarise(RESULTS + UNRATED)
    assert velo.means == velo.deviations == (None, None)
    assert velo.spread is None
    assert (velo.average, velo.average_deviation, velo.iqm) == (70.5, 0.5, 70.5)
    text = markdown(RESULTS + UNRATED)
    assert row(text, "VeLO")[:5] == ["VeLO", "/", "/", "**70.50 ± 0.50**", "/"]
    alone = markdown(UNRATED)
    assert lines(alone)[0] == ["Method", "Average", "Spread", "IQM [95 % interval]"]


def test_a_method_has_rates_or_has_none():
    with pytest.raises(ValueError, match="'VeLO' has runs with an initial rate and runs without"):
        summarise([*RESULTS, *UNRATED, Result("VeLO", 0.01, 0, 1.0)])


grids = hnp.arrays(
    float,
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    elements=st.floats(0, 100, width=32),
)


@settings(max_examples=15, deadline=None)
@given(grids)
def test_a_row_is_what_numpy_makes_of_its_runs(grid):
    results = [
        Result("a", 10.0**-rate, seed, value) for (rate, seed), value in np.ndenumerate(grid)
    ]
    (summary,) = summarise(results[::-1])
    grid = grid[::-1]  # the smallest rate is the first column
    np.testing.assert_allclose(summary.means, grid.mean(1))
    np.testing.assert_allclose(summary.deviations, grid.std(1), atol=1e-12)
    np.testing.assert_allclose(summary.average, grid.mean())
    np.testing.assert_allclose(summary.average_deviation, np.std(grid.mean(0)), atol=1e-12)
    np.testing.assert_allclose(summary.spread, grid.mean(1).max() - grid.mean(1).min())
    assert grid.min() - 1e-9 <= summary.iqm_low <= summary.iqm_high <= grid.max() + 1e-9


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    scores = np.array([[1.0, 2.0, 30.0, 4.0], [500.0, 6.0, -70.0, 8.0]])
    assert interquartile_mean(scores).estimate == np.mean([2.0, 4.0, 6.0, 8.0])


@settings(max_examples=15, deadline=None)
@given(grids)
def test_the_interquartile_mean_is_rliables(grid):
    np.testing.assert_allclose(interquartile_mean(grid).estimate, aggregate_iqm(grid), rtol=1e-9)


def test_the_interval_is_rliables():
    """With another state of chance, and so to within that of the bootstrap itself."""
    scores = np.random.default_rng(0).normal(70, 5, (3, 5))
    ours = interquartile_mean(scores)
    _, bounds = get_interval_estimates(
        {"a": scores}, lambda x: np.array([aggregate_iqm(x)]), reps=2000
    )
    np.testing.assert_allclose((ours.low, ours.high), bounds["a"][:, 0], atol=0.4)
    assert ours.low < ours.estimate < ours.high


def test_an_interval_is_of_seeds_within_a_rate():
    """Two seeds and one rate: the mean of two draws of two is an end a quarter of the time each."""
    assert interquartile_mean(np.array([[0.0], [8.0]])) == (4.0, 0.0, 8.0)
    # What rates differ by is no uncertainty.
    assert interquartile_mean(np.array([[0.0, 8.0], [0.0, 8.0]])) == (4.0, 4.0, 4.0)


def test_an_interval_is_the_same_every_time_and_disturbs_no_other_chance():
    scores = np.random.default_rng(0).normal(70, 5, (3, 5))
    before = np.random.get_state()  # noqa: NPY002
    first = interquartile_mean(scores)
    np.testing.assert_equal(np.random.get_state(), before)  # noqa: NPY002
    np.random.random()  # noqa: NPY002
    assert interquartile_mean(scores) == first


def test_one_seed_has_an_empty_interval():
    scores = np.array([[10.0, 20.0, 30.0, 40.0]])
    assert interquartile_mean(scores) == (25.0, 25.0, 25.0)
    assert markdown(RESULTS[::3]).count("[") == 3


def test_the_best_of_each_column_is_bold():
    text = markdown(RESULTS + UNRATED)
    bold = [[cell.startswith("**") for cell in line[1:]] for line in lines(text)[2:]]
    # Of the spreads both are the same.
    assert bold == [
        [False, False, False, False, False],
        [True, True, False, False, False],
        [False, False, True, False, True],
    ]
    steadier = [dataclasses.replace(r, accuracy=55.0) for r in RESULTS if r.method == "a"]
    text = markdown(steadier + RESULTS[6:])
    assert row(text, "a")[4] == "**0.00**"
    assert row(text, "b")[4] == "0.90"


def test_equals_are_all_bold():
    results = RESULTS + [dataclasses.replace(r, method="c") for r in RESULTS[6:]]
    text = markdown(results)
    assert row(text, "b")[1:] == row(text, "c")[1:]
    assert row(text, "c")[1].startswith("**")


def test_a_run_without_a_number_is_not_the_best():
    results = [*RESULTS, *(Result("c", r.learning_rate, r.seed, np.nan) for r in RESULTS[:6])]
    text = markdown(results)
    assert row(text, "c")[1] == "nan ± nan"
    assert row(text, "c")[-1] == "nan [nan, nan]"
    assert row(text, "b")[1].startswith("**")


def test_rows_are_in_the_order_that_is_asked_for():
    reasons = {"Lion": "not available: a | b", "a": "never shown, because it has runs"}
    text = markdown(RESULTS, order=["b", "Lion", "a"], unavailable=reasons)
    assert [line[0] for line in lines(text)[2:]] == ["b", "Lion", "a"]
    assert r"| Lion | / | / | not available: a \| b | / | / |" in text
    assert [line[0] for line in lines(markdown(RESULTS, unavailable=reasons))[2:]] == [
        "a", "b", "Lion",
    ]  # fmt: skip
    nothing = markdown([], unavailable={"VeLO": "not available"})
    assert row(nothing, "VeLO") == ["VeLO", "not available", "/", "/"]


@pytest.mark.parametrize("order", [["a"], ["a", "b", "c"], ["a", "b", "b"]])
def test_an_order_names_each_row_once(order):
    with pytest.raises(ValueError, match="cannot be in the order"):
        markdown(RESULTS, order=order)


def test_beside_a_row_stands_what_it_did_with_the_rate_and_below_what_words_mean():
    listed = {
        "a": Listed("a", rate="given"),
        "b": Listed("b", is_agents=True, rate="trained"),
        "VeLO": Listed("VeLO", rate="free"),
    }
    text = markdown(RESULTS + UNRATED, listed=listed, unavailable={"Lion": "not available"})
    assert lines(text)[0][-1] == "Rate"
    assert [row(text, name)[-1] for name in ("a", "b", "VeLO", "Lion")] == [
        "given", "trained", "free", "/",
    ]  # fmt: skip
    assert len({len(line) for line in lines(text)}) == 1
    for explained in ("λ: weight decay", "Spread: ", "IQM: interquartile mean", "over 3 seeds"):
        assert explained in text
    assert "Rate given: " in text
    assert "average is over given rates, good and bad" in text
    assert "Rate start: " not in text


def test_the_papers_own_values_are_a_second_table():
    published = Published(
        caption="Table 9: of nothing.",
        rates=(0.001, 0.01),
        rows={
            "b": ((1.0, 0.5), (2.0, 0.25), (1.5, 0.1)),
            "a": ((3.0, 0.5), (float("nan"),) * 2, (1.25, 0.1)),
            "VeLO": (None, None, (9.0, 0.0)),
            "elsewhere": ((1.0, 1.0),) * 3,
        },
    )
    text = markdown(RESULTS, published=published, unavailable={"VeLO": "not available"})
    ours, theirs = text.split("The paper's own values")
    assert ours.startswith(markdown(RESULTS, unavailable={"VeLO": "not available"}))
    assert "official CIFAR-10" in theirs
    assert "Table 9: of nothing." in theirs
    assert lines(theirs) == [
        ["Method", "0.001", "0.01", "Average"],
        ["---", "---:", "---:", "---:"],
        ["a", "**3.00 ± 0.50**", "?", "1.25 ± 0.10"],
        ["b", "1.00 ± 0.50", "2.00 ± 0.25", "1.50 ± 0.10"],
        ["VeLO", "/", "/", "**9.00 ± 0.00**"],
    ]
    assert "own values" not in markdown(RESULTS, published=dataclasses.replace(published, rows={}))


def test_the_papers_table_has_its_bold_figures():
    """Of table 1, as printed: the boldface of the paper is the largest value in a column."""
    published = PUBLISHED["table1"]
    results = [
        Result(name, rate, 0, 1.0)
        for name in published.rows
        for rate in ((None,) if name.startswith("VeLO") else published.rates)
    ]
    text = markdown(results, published=published).split("own values")[1]
    best = {line[0]: [i for i, x in enumerate(line) if x[0] == "*"] for line in lines(text)}
    assert {name: columns for name, columns in best.items() if columns} == {
        "GANNO": [1, 3],
        "Lion, λ = 0.1": [2],
        "sgdr": [4],
        "LAMB": [5],
        "VeLO, λ = 0.01": [6],
    }
