"""Regret, spread and profiles over a suite, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ganno_env.evaluation.methods import Listed
from ganno_env.evaluation.suite import Best, Cell, TaskResults, best_cells, profile, standings

LISTED = {
    row.name: row
    for row in (
        Listed("constant", memory=2.0),
        Listed("Prodigy", rate="free"),
        Listed("GANNO", rate="trained", is_agents=True),
        Listed("random", rate="start"),
        Listed("VeLO", rate="free", is_learned=True),
    )
}


def task(constant, prodigy, **others):
    """Two rates, one decay, two seeds for constant; one cell for others."""
    low, high, own = Cell(0.001, 0.1), Cell(0.01, 0.1), Cell(None, 0.1)
    accuracies = {
        "constant": {low: np.array(constant[0]), high: np.array(constant[1])},
        "Prodigy": {own: np.array(prodigy)},
        **{name: {own: np.array(values)} for name, values in others.items()},
    }
    return TaskResults(accuracies, {name: 3.0 if name == "GANNO" else 2.0 for name in accuracies})


SUITE = {
    "easy": task(([80.0, 82.0], [90.0, 92.0]), [88.0, 90.0], GANNO=[93.0, 93.0],
                 random=[70.0, 99.0]),
    "hard": task(([40.0, 42.0], [20.0, 24.0]), [45.0, 47.0], GANNO=[40.0, 44.0],
                 random=[99.0, 99.0], VeLO=[60.0, 60.0]),
}  # fmt: skip


def test_the_best_cell_is_a_hand_made_methods():
    """Not agents', a learned optimiser's or chance's, however good they are."""
    assert best_cells(SUITE, LISTED) == {
        "easy": Best("constant", Cell(0.01, 0.1), 91.0),
        "hard": Best("Prodigy", Cell(None, 0.1), 46.0),
    }


def test_regret_is_what_a_method_loses_if_it_is_not_tuned():
    by_name = {standing.listed.name: standing for standing in standings(SUITE, LISTED)}
    constant = by_name["constant"]
    assert constant.regrets == {"easy": 91.0 - 86.0, "hard": 46.0 - 31.5}
    assert constant.mean.estimate == pytest.approx((5.0 + 14.5) / 2)
    assert constant.worst == (14.5, "hard")
    assert constant.spread == pytest.approx((10.0 + 19.0) / 2)
    assert by_name["GANNO"].regrets == {"easy": -2.0, "hard": 4.0}
    assert by_name["GANNO"].spread == 0.0
    assert by_name["GANNO"].time == pytest.approx(1.5)
    assert by_name["Prodigy"].time == pytest.approx(1.0)


def test_the_interval_is_over_seeds_within_each_task():
    by_name = {standing.listed.name: standing for standing in standings(SUITE, LISTED)}
    estimate, low, high = by_name["GANNO"].mean
    assert (estimate, low, high) == (1.0, 0.0, 2.0)  # only the hard task's seeds differ, by 4


def test_methods_are_in_the_order_of_their_mean_regret_and_partial_ones_last():
    names = [standing.listed.name for standing in standings(SUITE, LISTED)]
    assert names == ["random", "Prodigy", "GANNO", "constant", "VeLO"]


def test_a_task_without_a_hand_made_method_is_refused():
    only = {"easy": TaskResults({"GANNO": SUITE["easy"].accuracies["GANNO"]}, {})}
    with pytest.raises(ValueError, match="'easy' has no runs of a hand-made method"):
        best_cells(only, LISTED)


def test_a_profile_counts_runs_and_each_task_alike():
    best = best_cells(SUITE, LISTED)
    points = np.array([-10.0, 1.0, 5.0, 11.0, 30.0])
    found = profile("constant", SUITE, best, points)
    regrets = {"easy": [11, 9, 1, -1], "hard": [6, 4, 26, 22]}
    expected = [
        np.mean([np.mean(np.array(values) <= point) for values in regrets.values()])
        for point in points
    ]
    np.testing.assert_allclose(found, expected)
    assert found[0] == 0 and found[-1] == 1  # noqa: PT018
