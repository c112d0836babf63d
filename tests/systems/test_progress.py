import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from systems.utils import progress
from systems.utils.progress import ProgressReporter, TimeLeft, Unit


class Clock:
    """Tells whatever time it is set to."""

    now = 1000.0

    def __call__(self):
        return self.now


@st.composite
def grids(draw):
    """Batches of a grid's groups, with what a step of each takes and its programs' compilation."""
    groups = draw(st.integers(1, 5))
    batches = draw(st.integers(5, 8))
    steps = draw(st.integers(4, 8))
    at_once = draw(st.integers(1, 4))
    costs = draw(st.lists(st.floats(0.1, 10.0), min_size=groups, max_size=groups))
    compilation = draw(st.lists(st.floats(0.0, 300.0), min_size=groups, max_size=groups))
    last = draw(st.integers(1, at_once))
    order = [(group, at_once) for group in range(groups)]
    order += [(group, at_once) for group in range(groups) for _ in range(batches - 2)]
    order += [(group, last) for group in range(groups)]
    return order, steps, costs, compilation, draw(st.floats(0.0, 3.0))


@given(grids())
def test_the_estimate_is_within_a_half_from_the_second_tenth_on(grid):
    """Groups differ in cost, compile as they begin, end with a test and with fewer runs."""
    order, steps, costs, compilation, test = grid
    units, took, runs = [], [], []
    for number, (group, size) in enumerate(order):
        work = size * costs[group]
        is_first = group not in [before for before, _ in order[:number]]
        units += [Unit(group, size, is_first), *[Unit(group, size)] * (steps - 1)]
        took += [work + compilation[group] * is_first, *[work] * (steps - 2), work * (1 + test)]
        runs += [*[0] * (steps - 1), size]
    clock = Clock()
    left = TimeLeft(units, clock)
    assert left.seconds() is None
    rest, ended = sum(took), 0
    one_step = max(size * costs[group] * (1 + test) for group, size in order)
    for unit_took, ending in zip(took, runs, strict=True):
        clock.now += unit_took
        left.done()
        rest -= unit_took
        ended += ending
        if ended >= sum(runs) / 5:
            assert rest / 1.5 - one_step <= left.seconds() <= rest * 1.5 + 1e-6
    assert left.seconds() == 0.0
    assert str(left) == "0:00:00"


def test_a_first_unit_that_compiles_for_long_is_not_taken_for_the_others():
    clock = Clock()
    left = TimeLeft([Unit("schedules", compiles=True)] + [Unit("schedules")] * 30, clock)
    clock.now += 200.0
    left.done()
    assert str(left) == "?"
    clock.now += 2.0
    left.done()
    assert left.seconds() == pytest.approx(58.0)
    clock.now += 1.0
    assert left.seconds() == pytest.approx(57.0)
    clock.now += 100.0
    assert left.seconds() == 0.0, "late is not negative"


def test_nothing_is_left_after_the_only_unit():
    """As where a training is resumed before its last update, which compiles."""
    clock = Clock()
    left = TimeLeft([Unit("update", compiles=True)], clock)
    assert left.seconds() is None
    clock.now += 20
    left.done()
    assert left.seconds() == 0
    assert str(left) == "0:00:00"


def test_larger_units_take_longer():
    clock = Clock()
    units = [Unit("a", 10, True), Unit("a", 10), Unit("b", 20, True), Unit("b", 20)]
    left = TimeLeft(units, clock)
    clock.now += 55.0
    left.done()
    clock.now += 5.0
    left.done()
    assert left.seconds() == pytest.approx(50.0 + 20.0)


def test_what_is_not_known_of_a_kind_is_as_with_the_others():
    clock = Clock()
    units = [Unit("a", 1, True), *[Unit("a")] * 3, Unit("b", 2, True), Unit("b", 2)]
    left = TimeLeft(units, clock)
    for seconds in (35.0, 5.0):
        clock.now += seconds
        left.done()
    assert left.seconds() == pytest.approx(2 * 5.0 + 30.0 + 4 * 5.0)


def test_workers_share_what_is_left():
    clock = Clock()
    left = TimeLeft([Unit("a", 2)] * 10, clock, workers=2, compilations=2)
    for _ in range(2):  # two workers, side by side: compilation, then work
        left.took(Unit("a", 2, compiles=True), 30.0)
    clock.now += 30.0
    assert left.seconds() is None
    left.took(Unit("a", 2), 4.0)
    left.took(Unit("a", 2), 4.0)
    assert left.seconds() == pytest.approx(6 * 4.0 / 2)


def told(units, took, runs, **options):
    """What is printed, line by line, if so many runs end with each unit."""
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, width=120, **options)
    with ProgressReporter(console, units, sum(runs), clock) as reporter:
        for unit, seconds, ending in zip(units, took, runs, strict=True):
            clock.now += seconds
            reporter.unit_took(unit, seconds)
            for _ in range(ending):
                reporter.run_done(f"row {unit.kind}")
    return out.getvalue().splitlines()


def test_an_estimate_does_not_wait_for_the_first_run():
    units = [Unit("a", 4, True), *[Unit("a", 4)] * 3, Unit("b", 4, True), Unit("b", 4)]
    assert told(units, [100.0, 20.0, 20.0, 20.0, 100.0, 20.0], [0, 0, 0, 4, 0, 4]) == [
        "0 of 8 runs",
        "0 of 8 runs, about 160 s left",
        "0 of 8 runs, about 140 s left",
        "0 of 8 runs, about 120 s left",
        "4 of 8 runs (row a), about 20 s left",
        "4 of 8 runs (row a), about 0 s left",
        "8 of 8 runs (row b), about 0 s left",
    ]


def test_lines_are_not_printed_more_often_than_is_read():
    units = [Unit("a")] * 100
    lines = told(units, [1.0] * 100, [1] * 100)
    assert len(lines) <= 100 / progress.SECONDS_BETWEEN_LINES + 1
    assert lines[-1].startswith("100 of 100 runs")


def test_a_terminal_has_a_bar_and_names_are_not_markup():
    shown = "".join(told([Unit("[/x]", 2)] * 2, [5.0, 5.0], [2, 2], force_terminal=True))
    assert "4/4" in shown
    assert "row [/x]" in shown
    assert told([], [], []) == []
