"""The benchmark of grids, on a clock that counts what is done."""

import pytest

from benchmarks import grid


def test_ratios_are_of_the_updates_alone():
    took = {"seconds": 100.0, "compilation": 20.0, "groups": 2}
    found = grid.ratios(took, updates=1600, num_runs=grid.TABLE_1_RUNS // 5, rate=20.0)
    assert found["ratio"] == pytest.approx(100 / 80)
    assert found["ratio_without_compilation"] == pytest.approx(1.0)
    assert found["ratio_of_table_1"] == pytest.approx((80 * 5 + 30) / 400)
