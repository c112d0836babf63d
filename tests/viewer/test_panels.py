from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganno_env.controls import PAPER_ACTIONS
from ganno_env.viewer import Episode, colours, panels, scales
from tests.pictures import check_legible
from tests.viewer.made_up import (
    STEPS,
    record,
    texts,
    viewer,
    with_rates,
)


@pytest.mark.parametrize("num_layers", [1, 2, 7, 8, 18, 60])
@pytest.mark.parametrize("zeros", [False, True])
def test_nothing_overlaps(num_layers, zeros, monkeypatch):
    run = record(num_layers, tests=STEPS)
    if zeros:
        rates = run.controls["learning_rate"]
        run = with_rates(run, np.where(rates < 0.001, 0, rates))
    figure = viewer(num_layers).render(Episode.from_record(run, 100))
    check_legible(figure, num_layers, monkeypatch)


def test_every_layer_and_action_is_named():
    for num_layers in (2, 18):
        shown = texts(viewer(num_layers).render(Episode.from_record(record(num_layers), 100)))
        assert {f"block{i}_conv" for i in range(num_layers)} <= set(shown)
        assert set(PAPER_ACTIONS) <= set(shown)


def test_a_single_agent_is_all_layers():
    assert "all layers" in texts(viewer(3).render(Episode.from_record(record(3, 1), 100)))


@pytest.mark.parametrize("num_layers", [2, 18])
@pytest.mark.parametrize("rates", [0.0, 0.003])
def test_constant_rates_have_an_axis(num_layers, rates):
    run = with_rates(record(num_layers), np.full((STEPS, num_layers), rates))
    figure = viewer(num_layers).render(Episode.from_record(run, 100))
    figure.canvas.draw()
    assert "0" in texts(figure) or rates


def test_a_rate_of_zero_is_marked_as_such():
    run = record(2)
    rates = np.array(run.controls["learning_rate"])
    rates[3:6, 0] = 0
    axis = viewer(2).render(Episode.from_record(with_rates(run, rates), 100)).axes[0]
    bottom, top = axis.get_ylim()
    assert bottom < 0 < rates.max() < top
    assert axis.get_yscale() == "symlog"
    assert 0 in axis.get_yticks()


@pytest.mark.parametrize("num_layers", [2, 5])
def test_a_rate_that_falls_to_zero_says_that_it_was_clipped(num_layers):
    rates = np.full((STEPS, num_layers), 0.001)
    rates[3:6, 0] = rates[8, 1] = 0
    run = with_rates(record(num_layers), rates)
    figure = viewer(num_layers).render(Episode.from_record(run, 100))
    assert "clipped to 0" in texts(figure)
    if num_layers == 2:  # a mark for each fall, where it happened
        marks = figure.axes[0].collections[0].get_offsets()
        np.testing.assert_array_equal(marks, [[300, 0], [800, 0]])
    never = with_rates(run, np.zeros_like(rates))
    never = viewer(num_layers).render(Episode.from_record(never, 100, {"learning_rate": 0.0}))
    assert "clipped to 0" not in texts(never)


@pytest.mark.parametrize("num_layers", [2, 5])
def test_a_run_begins_at_its_initial_rate_and_not_after_the_first_action(num_layers):
    run = record(num_layers)
    figure = viewer(num_layers).render(Episode.from_record(run, 100, {"learning_rate": 0.0007}))
    rates = run.controls["learning_rate"]
    axis = figure.axes[0]
    assert axis.get_xlim() == (-100, 100 * STEPS)
    assert "gradient updates (before 0: the initial rate)" in texts(figure)
    if num_layers == 2:
        for layer, line in enumerate(axis.get_lines()):
            np.testing.assert_array_equal(line.get_xdata()[:3], [-100, 0, 100])
            np.testing.assert_allclose(line.get_ydata()[:3], [0.0007, 0.0007, rates[0, layer]])
    else:
        shown = np.asarray(axis.collections[0].get_array())
        np.testing.assert_allclose(shown[:, 0], 0.0007)
        np.testing.assert_allclose(shown[:, 1:], rates.T)


def test_no_split_has_the_colour_of_a_layer():
    layers = set(colours.COLOURS[: panels.MOST_LINES])
    splits = [colour for colour, _ in colours.STYLES.values()]
    assert len(set(splits)) == 3
    assert layers.isdisjoint(splits)


def test_more_layers_than_can_be_told_apart_are_a_map():
    axis = viewer(5).render(Episode.from_record(record(5), 100)).axes[0]
    assert not axis.get_lines()
    rows = [label.get_text() for label in axis.get_yticklabels()]
    assert rows == [f"block{i}_conv" for i in range(5)]


def test_divergence_is_hatched_and_the_rest_stays_legible():
    run = record(2)
    loss = np.array(run.train_loss)
    loss[10:] = np.nan
    loss[20:] = np.inf
    figure = viewer(2).render(Episode.from_record(run.replace(train_loss=loss), 100))
    axis = figure.axes[4]
    assert "diverged" in texts(figure)
    assert np.all(np.isfinite(axis.get_ylim()))
    hatched = axis.collections[0].get_paths()[0].get_extents()
    assert (hatched.x0, hatched.x1) == (1000, 3000)


def test_a_run_that_never_had_a_number_is_drawn():
    nothing = np.full((STEPS,), np.nan)
    run = record(2).replace(train_loss=nothing, validation_loss=nothing)
    viewer(2).render(Episode.from_record(run, 100)).canvas.draw()


def test_actions_are_coloured_by_what_they_do():
    """From the darkest blue to the darkest orange; in any action set, the no-op is in between."""
    names = ["noop", "*0.5", "+0.1", "/0.5", "*1.10", "-0.1", "/1.10"]
    order = sorted(names, key=colours.effect)
    assert order == ["-0.1", "*0.5", "/1.10", "noop", "*1.10", "/0.5", "+0.1"]
    shades = colours.action_colours([colours.effect(name)[0] for name in order])
    assert shades[3] == colours.NOTHING
    assert len(set(shades)) == len(names)
    red, blue = ([int(c[i : i + 2], 16) for c in shades] for i in (1, 5))
    assert all(r < b for r, b in zip(red[:3], blue[:3], strict=True))
    assert all(r > b for r, b in zip(red[4:], blue[4:], strict=True))


def test_actions_that_set_a_rate_are_ordered_by_it():
    names = ["noop", "=0.01", "*2", "=0.0001", "=0.003"]
    order = sorted(names, key=colours.effect)
    assert order == ["noop", "*2", "=0.0001", "=0.003", "=0.01"]
    shades = colours.action_colours([colours.effect(name)[0] for name in order])
    assert shades[0] == colours.NOTHING
    light = [int(colour[1:3], 16) for colour in shades[2:]]
    assert light == sorted(light, reverse=True)
    assert len(set(shades)) == len(names)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_decades_have_labels_beside_0(dtype):
    figure = Figure()
    axis = figure.subplots()
    rates = np.array([[0, 3e-4], [2e-3, 1.2e-2]], dtype)
    axis.plot(rates)
    scales.scale_rates(axis, rates)
    FigureCanvasAgg(figure).draw()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert [re.sub(r"[^\d^-]", "", label) for label in labels] == ["0", "10^-3", "10^-2"]
