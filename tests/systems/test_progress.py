import io

import pytest
from hypothesis import assume, given
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
def works(draw):
    """Units, what each takes, and what the first of each kind waits for compilation."""
    kinds = draw(st.integers(1, 6))
    batches = draw(st.integers(1, 8))
    size = draw(st.integers(1, 9))
    seconds = draw(st.floats(0.1, 100.0))
    compilation = draw(st.floats(0.0, 1000.0))
    runs = [draw(st.integers(1, size)) if last else size for last in [False] * (batches - 1) + [1]]
    units = [Unit(kind, size, count) for kind in range(kinds) for count in runs]
    return units, seconds, compilation


@given(works())
def test_the_estimate_is_within_a_half_from_the_second_tenth_on(work):
    units, seconds, compilation = work
    assume(len(units) > 2)
    clock = Clock()
    left = TimeLeft(units, clock)
    took = [
        seconds + (compilation if unit.kind not in {u.kind for u in units[:i]} else 0.0)
        for i, unit in enumerate(units)
    ]
    assert left.seconds() is None
    for number, unit_took in enumerate(took, start=1):
        clock.now += unit_took
        left.done()
        rest = sum(took[number:])
        if number == 1:
            assert left.seconds() is None, "how much of it was compilation is not known"
        elif number >= len(units) / 10:
            assert rest / 1.5 - 1e-6 <= left.seconds() <= rest * 1.5 + 1e-6
    assert left.seconds() == 0.0
    assert str(left) == "0:00:00"


def test_a_first_unit_that_compiles_for_long_is_not_taken_for_the_others():
    clock = Clock()
    left = TimeLeft([Unit("schedules")] * 31, clock)
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


def test_larger_units_take_longer():
    clock = Clock()
    left = TimeLeft([Unit("a", 10), Unit("a", 10), Unit("b", 20), Unit("b", 20)], clock)
    clock.now += 55.0
    left.done()
    clock.now += 5.0
    left.done()
    assert left.seconds() == pytest.approx(50.0 + 20.0)


def told(units, took, **options):
    """What is printed, line by line."""
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, width=120, **options)
    with ProgressReporter(console, units, clock) as reporter:
        for number, unit in enumerate(units):
            clock.now += took[number]
            for _ in range(unit.runs):
                reporter.done(f"row {unit.kind}")
    return out.getvalue().splitlines()


def test_runs_that_end_together_are_told_of_once():
    units = [Unit("a", 4, 4), Unit("a", 4, 4), Unit("a", 4, 1), Unit("b", 4, 4)]
    assert told(units, [100.0, 20.0, 20.0, 100.0]) == [
        "4 of 13 runs (row a)",
        "8 of 13 runs (row a), about 120 s left",
        "9 of 13 runs (row a), about 100 s left",
        "13 of 13 runs (row b), about 0 s left",
    ]


def test_lines_are_not_printed_more_often_than_is_read():
    units = [Unit("a")] * 100
    lines = told(units, [1.0] * 100)
    assert len(lines) <= 100 / progress.SECONDS_BETWEEN_LINES + 1
    assert lines[-1].startswith("100 of 100 runs")


def test_a_terminal_has_a_bar_and_names_are_not_markup():
    shown = "".join(told([Unit("[/x]", 2, 2)] * 2, [5.0, 5.0], force_terminal=True))
    assert "4/4" in shown
    assert "row [/x]" in shown
    assert told([], []) == []
