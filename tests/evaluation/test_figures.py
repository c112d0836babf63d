"""What is drawn of made-up runs: curves where they should be."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ganno_env.evaluation import figures
from ganno_env.evaluation.styles import styles
from ganno_env.schedules import SCHEDULES
from ganno_env.viewer import save
from tests.evaluation.made_up import (
    CURVES,
    DIVERGED,
    EQUAL,
    INITIAL,
    METHODS,
    ROWS,
    STEPS,
    accuracies,
    accuracy,
    beside,
    compared,
    losses,
    names,
    record,
    seeds,
)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_schedules_are_drawn_update_by_update():
    figure = figures.schedules(CURVES, "title")
    axes = [axis for axis in figure.axes if axis.get_lines()]
    for axis, (name, curve) in zip(axes, CURVES.items(), strict=True):
        assert axis.get_title() == name
        (line,) = axis.get_lines()
        np.testing.assert_array_equal(line.get_xdata(), np.arange(300))
        np.testing.assert_array_equal(line.get_ydata(), curve)


def test_losses_are_below_the_rates_that_made_them():
    runs = record(), record(**EQUAL)
    above, below = losses(2, *runs).axes
    colours = [line.get_color() for line in below.get_lines()]
    assert len(set(colours)) == 2
    for run, colour, line in zip(runs, colours, below.get_lines(), strict=True):
        rates = run.controls["learning_rate"]
        np.testing.assert_array_equal(line.get_ydata(), run.train_loss)
        np.testing.assert_array_equal(line.get_xdata(), 100 * np.arange(1, STEPS + 1))
        *layers, mean = [line for line in above.get_lines() if line.get_color() == colour]
        for layer, line in enumerate(layers):
            np.testing.assert_array_equal(line.get_ydata()[2:], rates[:, layer])
        np.testing.assert_allclose(mean.get_ydata()[2:], rates.mean(1))
        assert list(mean.get_xdata()[:3]) == [-100, 0, 100]
        np.testing.assert_allclose(mean.get_ydata()[:2], INITIAL)
        assert mean.get_drawstyle() == "steps-pre"


def test_a_run_that_diverged_says_where():
    figure = losses(2, record(), record(**DIVERGED))
    assert "episode 40 (diverged)" in texts(figure)
    cross = figure.axes[1].get_lines()[-1]
    assert (cross.get_xdata(), cross.get_ydata()) == ([1200], [1.0])


def test_accuracy_is_under_the_rates_on_their_axis_of_time():
    run = record()
    figure = accuracy(2, run)
    above, below = figure.axes[0], figure.axes[2]
    assert above.get_xlim() == below.get_xlim() == (-100, 100 * STEPS)
    np.testing.assert_allclose(below.get_lines()[0].get_ydata(), 100 * run.test_accuracy)
    assert [line.get_label() for line in above.get_lines()] == names(2)


def test_a_curve_is_a_mean_over_seeds_in_a_band():
    runs = [record(tests=10), record(tests=10, seed=1)]
    (axis,) = figures.accuracy_curves({"": {"GANNO": runs}}, 5, "title").axes
    (line,) = axis.get_lines()
    accuracies = 100 * np.array([run.test_accuracy for run in runs])
    np.testing.assert_allclose(line.get_xdata(), np.arange(1, 11) / 2)
    np.testing.assert_allclose(line.get_ydata(), accuracies.mean(0))
    corners = axis.collections[0].get_paths()[0].vertices
    for time, mean, sd in zip(line.get_xdata(), accuracies.mean(0), accuracies.std(0), strict=True):
        band = corners[np.isclose(corners[:, 0], time), 1]
        np.testing.assert_allclose([band.min(), band.max()], [mean - sd, mean + sd])


def test_each_method_is_explained_once_and_agents_in_bold():
    figure = accuracies(seeds(record()), {**seeds(record()), "sgdr": [record()]})
    (legend,) = figure.legends
    weights = {text.get_text(): text.get_fontweight() for text in legend.get_texts()}
    assert weights == {"random": "normal", "VeLO": "normal", "GANNO": "bold", "sgdr": "normal"}


def test_the_reference_is_behind_every_schedule():
    figure = beside(2, record(), record(**EQUAL))
    first, *others = figure.axes[:3]
    assert first.get_title() == "one_cycle"
    for axis in (first, *others):
        np.testing.assert_array_equal(axis.get_lines()[0].get_ydata(), CURVES["one_cycle"])
        assert axis.get_lines()[0].get_xdata()[-1] == 100 * STEPS
        assert axis.get_ylim() == first.get_ylim()
    assert {*names(2), "one_cycle", "GANNO, seed 0"} <= set(texts(figure))


def test_a_comparison_has_each_cell_and_a_line_for_a_method_without():
    axis = compared(ROWS, 5).axes[0]
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    for row in ROWS:
        handle = handles[f"{row.method} ({row.average:.1f})"]
        if row.spread is None:
            np.testing.assert_array_equal(handle.get_ydata(), [row.average] * 2)
            assert handle.get_linestyle() == "--" or handle.is_dashed()
            continue
        np.testing.assert_array_equal(handle[0].get_ydata(), row.means)
        assert np.abs(handle[0].get_xdata() - np.arange(5)).max() < 0.5


def test_runs_that_diverged_do_not_flatten_the_rest():
    axis = compared(ROWS, 5).axes[0]
    axis.figure.canvas.draw()
    heights = axis.transAxes.inverted().transform(
        axis.transData.transform([(0, value) for value in (10, 60, 76)])
    )[:, 1]
    assert heights[2] - heights[1] > 0.5
    assert heights[1] - heights[0] > 0.1
    assert "scale compressed" in texts(axis.figure)
    assert "scale compressed" not in texts(compared(ROWS[:3], 5))


def test_a_method_looks_the_same_everywhere_and_like_no_other():
    together = styles(METHODS)
    assert all(styles([name])[name].colour == look.colour for name, look in together.items())
    looks = {(to_rgba(look.colour), look.marker, look.fill) for look in together.values()}
    assert len(looks) == len(METHODS)
    families = {name.split(",")[0] for name in METHODS}
    assert len({look.colour for look in together.values()}) == len(families)
    others = styles(["GANNO", *(f"episode {i}" for i in range(12))])
    assert others["GANNO"].colour not in {others[f"episode {i}"].colour for i in range(12)}


def test_each_schedule_has_a_colour_of_its_own():
    assert len({look.colour for look in styles(SCHEDULES).values()}) == len(SCHEDULES)


def test_a_figure_is_written(tmp_path):
    path = save(compared(ROWS, 5, record(5)), tmp_path / "new" / "a.png")
    assert path.stat().st_size > 10_000
