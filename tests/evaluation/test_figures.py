"""What is drawn of made-up runs: curves where they should be, every text legible."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ganno_env.evaluation import figures
from ganno_env.evaluation.styles import styles
from ganno_env.evaluation.tables import Row
from ganno_env.schedules import SCHEDULES
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode, save

STEPS = 30
INITIAL = 0.0002
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01)
METHODS = (
    "constant", "linear", "exponential", "sgdr", "LAMB", "VeLO, λ = 0.1", "Lion, λ = 0.1",
    "VeLO, λ = 0.01", "Lion, λ = 0.01", "GANNO", "VeLO, λ = 1e-06", "cosine", "warmup_cosine",
    "one_cycle", "random",
)  # fmt: skip


def record(
    layers: int = 2, steps: int = STEPS, tests: int | None = None, seed: int = 0, **changes
) -> RunRecord:
    rng = np.random.default_rng(seed)
    loss = 2.3 * np.exp(-np.arange(steps) / 10)
    tests = steps if tests is None else tests
    values = {
        "controls": {"learning_rate": 10 ** rng.uniform(-4, -2, (steps, layers))},
        "actions": rng.integers(0, 9, (steps, layers)),
        "train_loss": loss,
        "train_accuracy": 1 - loss / 2.5,
        "validation_loss": loss + 0.1,
        "validation_accuracy": 0.95 - loss / 2.5,
        "others": {},
        "test_accuracy": np.linspace(0.1, 0.7, tests) + 0.02 * rng.random(tests),
        "seconds": np.array(1, np.float32),
    }
    return RunRecord(**values | changes)


def names(layers: int) -> list[str]:
    return [f"block{number}_conv" for number in range(layers)]


def made_up(method: str, number: int) -> Row:
    rng = np.random.default_rng(number)
    means = rng.uniform(60, 76, len(RATES))
    if method.startswith("Lion"):
        means[3:] = 10.0
    rated = not method.startswith("VeLO")
    none = (None,) * len(RATES)
    return Row(
        method=method,
        means=tuple(means) if rated else none,
        deviations=tuple(rng.uniform(0, 2, len(RATES))) if rated else none,
        average=float(means.mean()),
        average_deviation=0.5,
        spread=float(np.ptp(means)) if rated else None,
        iqm=70.0,
        iqm_low=69.0,
        iqm_high=71.0,
        is_agents=method == "GANNO",
    )


ROWS = [made_up(method, number) for number, method in enumerate(METHODS)]
# Optax's own arithmetic mixes types.
with jax.numpy_dtype_promotion("standard"):
    CURVES = {
        name: np.asarray(jax.vmap(builder(0.001, 300))(jnp.arange(300)))
        for name, builder in SCHEDULES.items()
    }
ZEROS = {"controls": {"learning_rate": np.zeros((STEPS, 2))}}
EQUAL = {"controls": {"learning_rate": np.full((STEPS, 2), 0.003)}}
LOST = np.where(np.arange(STEPS) < 12, 1.0, np.nan)
DIVERGED = {"train_loss": LOST, "validation_loss": LOST, "test_accuracy": 0.1 * LOST}
NEVER = {name: np.full_like(LOST, np.nan) for name in DIVERGED}


def drawn(run: RunRecord) -> Episode:
    return Episode.from_record(run, 100, {"learning_rate": INITIAL})


def compared(rows, layers, *runs) -> Figure:
    return figures.comparison(
        rows, RATES, {f"GANNO from {i}": drawn(run) for i, run in enumerate(runs)}, names(layers),
        "A title that says what all of this is about, λ = 0.1",
    )  # fmt: skip


def beside(layers, *runs) -> Figure:
    return figures.schedules_beside(
        CURVES["one_cycle"], {f"GANNO, seed {i}": drawn(run) for i, run in enumerate(runs)},
        names(layers), "title",
    )  # fmt: skip


def losses(layers, *runs) -> Figure:
    return figures.rates_and_losses(
        {f"episode {40 * i}": drawn(run) for i, run in enumerate(runs)}, names(layers), "title"
    )


def accuracies(*panels) -> Figure:
    shown = {f"λ = {10**-i:g}": panel for i, panel in enumerate(panels)}
    return figures.accuracy_curves(shown, 30, "title", agents={"GANNO"})


def accuracy(layers, run) -> Figure:
    return figures.rates_and_accuracy(drawn(run), names(layers), "title")


def seeds(*runs) -> dict[str, list[RunRecord]]:
    return {"random": [record()], "VeLO": [record(seed=3), record(seed=4)], "GANNO": [*runs]}


ALL = {
    "schedules": lambda: figures.schedules(CURVES, "title"),
    "two schedules": lambda: figures.schedules(dict(itertools.islice(CURVES.items(), 2)), "title"),
    "losses": lambda: losses(2, record(), record(seed=1)),
    "losses of many layers": lambda: losses(18, record(18)),
    "losses at zero": lambda: losses(2, record(**ZEROS), record(**ZEROS)),
    "losses diverged": lambda: losses(2, record(), record(**DIVERGED), record(**NEVER)),
    "losses of one step": lambda: losses(1, record(1, steps=1)),
    "accuracy": lambda: accuracy(2, record()),
    "accuracy of many layers": lambda: accuracy(18, record(18)),
    "accuracy at zero": lambda: accuracy(2, record(**ZEROS)),
    "accuracy diverged": lambda: accuracy(2, record(**DIVERGED)),
    "accuracy never": lambda: accuracy(2, record(**NEVER)),
    "accuracy at the end": lambda: accuracy(2, record(tests=1)),
    "curves": lambda: accuracies(seeds(record(seed=5), record(seed=6)), seeds(record(seed=7))),
    "a curve": lambda: accuracies(seeds(record(tests=1))),
    "curves diverged": lambda: accuracies(
        seeds(record(), record(**DIVERGED)), seeds(record(**NEVER)), {}, seeds(record())
    ),
    "beside": lambda: beside(5, *(record(5, seed=seed) for seed in range(3))),
    "beside many layers": lambda: beside(18, record(18), record(18)),
    "beside zero": lambda: beside(2, record(**ZEROS)),
    "comparison": lambda: compared(ROWS, 5, record(5), record(5)),
    "comparison of few": lambda: compared(ROWS[:3], 5),
    "comparison without rates": lambda: compared(ROWS[5:6], 5),
    "comparison of many layers": lambda: compared(ROWS[:6], 18, *[record(18)] * 3),
    "comparison of many runs": lambda: compared(
        ROWS, 2, record(), *[record(**ZEROS)] * 6, record()
    ),
    "comparison without a number": lambda: compared(
        [ROWS[0], ROWS[1].__class__(**vars(ROWS[1]) | {"means": (np.nan,) * 5})], 2
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_every_text_is_legible(name, monkeypatch):
    figure = ALL[name]()
    figure.canvas.draw()
    # Matplotlib keeps labels of ticks outside an axis; they are not drawn.
    drawn = {}
    draw = matplotlib.text.Text.draw

    def note(text, renderer):
        if text.get_text() and text.get_visible():
            drawn[text] = text.get_window_extent(renderer)
        draw(text, renderer)

    monkeypatch.setattr(matplotlib.text.Text, "draw", note)
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    shown = [(text.get_text(), box) for text, box in drawn.items()]
    assert len(shown) > 5
    for text, box in shown:
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= height + 1, text
    for (text, box), (other, other_box) in itertools.combinations(shown, 2):
        apart = (
            min(box.x1, other_box.x1) - max(box.x0, other_box.x0) < 1
            or min(box.y1, other_box.y1) - max(box.y0, other_box.y0) < 1.5
        )
        assert apart, (text, other, box, other_box)


@pytest.mark.parametrize("name", ALL)
def test_every_point_is_inside_its_panel(name):
    figure = ALL[name]()
    figure.canvas.draw()
    for axis in figure.axes:
        low, high = axis.get_ylim()
        for line in axis.get_lines():
            values = np.asarray(line.get_ydata(), float)
            values = values[np.isfinite(values)]
            assert ((values >= low) & (values <= high)).all()


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
