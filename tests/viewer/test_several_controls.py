"""Pictures of agents that set several controls."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ganno_env import make_env
from ganno_env.controls import CONTROLS
from ganno_env.viewer import Episode, scales
from tests.pictures import check_legible
from tests.viewer.made_up import (
    STEPS,
    THREE,
    joint,
    record,
    record_of,
    texts,
    viewer,
)


@pytest.mark.parametrize("num_layers", [1, 2, 7, 12, 18, 60])
def test_nothing_overlaps_with_several_controls(num_layers, monkeypatch):
    run = record_of(num_layers, *THREE)
    episode = Episode.from_record(run, 100, {"learning_rate": 0.001})
    check_legible(viewer(num_layers, *THREE).render(episode), num_layers, monkeypatch)


def panel_colours(axis) -> np.ndarray:
    """What an action panel shows, [T, agents, 4]."""
    (mesh,) = axis.collections
    mesh.update_scalarmappable()
    steps, agents = mesh.get_array().shape[::-1]
    return mesh.get_facecolors().reshape(agents, steps, 4).swapaxes(0, 1)


@pytest.mark.parametrize("num_agents", [1, 3])
def test_each_acted_control_has_a_panel_of_values_and_one_of_actions(num_agents):
    names = ("learning_rate", "weight_decay")
    run = record_of(3, *names, num_agents=num_agents)
    figure = viewer(3, *names).render(Episode.from_record(run, 100))
    axes, keys = figure.axes[0::2], figure.axes[1::2]
    labels = [axis.get_ylabel() for axis in axes]
    assert labels == ["learning rate", "", "weight decay", "", "loss", "accuracy (%)"]
    titles = [key.get_legend().get_title().get_text() for key in keys]
    actions_titles = ["action on learning rate", "action on weight decay"]
    assert titles == ["layer", actions_titles[0], "layer", actions_titles[1], "", ""]
    assert all(axis.get_xlim() == (0, 100 * STEPS) for axis in axes)
    indices = np.unravel_index(run.actions, joint(*names).sizes)
    for name, axis, below, key, index in zip(
        names, axes[:4:2], axes[1:4:2], keys[1:4:2], indices, strict=True
    ):
        for layer, line in enumerate(axis.get_lines()):
            np.testing.assert_array_equal(line.get_ydata()[1:], run.controls[name][:, layer])
        explained = {
            text.get_text(): patch.get_facecolor()
            for text, patch in zip(
                key.get_legend().get_texts(), key.get_legend().get_patches(), strict=True
            )
        }
        assert set(explained) == set(CONTROLS[name].actions)
        expected = np.array([explained[action] for action in CONTROLS[name].actions])[index]
        np.testing.assert_allclose(panel_colours(below), expected)


def test_an_environment_with_two_acted_controls_draws_both(tmp_path):
    env = make_env(
        "digits", "mlp", train_size=256, validation_size=64, batch_size=32, epochs=1,
        updates_per_step=4, controls=["weight_decay", "momentum"], weight_decay=0.01,
        reward="accuracy_gain",
    )  # fmt: skip
    step = jax.jit(env.step)
    history = [jax.jit(env.reset)(jax.random.key(0))[0]]
    while len(history) <= env.time_limit:
        action = jnp.arange(env.num_agents) + len(history)
        history.append(step(history[-1], action)[0])
    path = tmp_path / "episode.png"
    figure = env.render(history, str(path))
    with Image.open(path) as picture:
        assert picture.size[0] > 1000
    assert {"action on weight decay", "action on momentum"} <= set(texts(figure))
    assert "action on learning rate" not in texts(figure)
    shown = Episode.from_states(history, env.interface.controls)
    assert list(shown.controls) == ["learning_rate", "weight_decay", "momentum"]
    for name, values in shown.controls.items():
        np.testing.assert_array_equal(values, [state.controls[name] for state in history])
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *history)
    again = Episode.from_states(stacked, env.interface.controls)
    jax.tree.map(np.testing.assert_array_equal, again, shown)
    env.animate(history, save_path=str(tmp_path / "episode.gif"))
    assert "no action yet" in texts(env.render(history[0]))


@pytest.mark.parametrize("num_layers", [2, 5])
def test_the_learning_rate_is_drawn_though_it_is_not_acted_on(num_layers):
    run = record_of(num_layers, "learning_rate", "momentum")
    run = run.replace(actions=run.actions % len(joint("momentum")))
    shown = texts(viewer(num_layers, "momentum").render(Episode.from_record(run, 100)))
    assert {"learning rate", "momentum", "action on momentum"} <= set(shown)
    assert "action on learning rate" not in shown


@pytest.mark.parametrize(
    ("name", "low", "high", "logarithmic"),
    [
        ("learning_rate", 0.001, 0.002, True),
        ("weight_decay", 1e-5, 1e-2, True),
        ("weight_decay", 1e-3, 2e-3, False),
        ("momentum", 0.85, 0.95, False),
        ("momentum", 0.0, 0.95, False),
        ("momentum", 1e-8, 0.95, False),
        ("momentum", 0.9, 0.9, False),
        ("momentum", 0.0, 0.0, False),
    ],
)
def test_values_are_drawn_by_decades_where_they_span_some(name, low, high, logarithmic):
    values = np.full((STEPS, 2), high)
    values[3:6, 0] = low
    run = record(2)
    episode = Episode.from_record(run.replace(controls=run.controls | {name: values}), 100)
    axis = Figure().subplots()
    axis.plot(values)
    scales.scale_values(axis, values, name)
    FigureCanvasAgg(axis.figure).draw()
    assert axis.get_yscale() == ("log" if logarithmic else "linear")
    bottom, top = axis.get_ylim()
    assert bottom < max(low, 1e-9)
    assert top > high
    norm = scales.value_norm([episode], name)
    assert isinstance(norm, matplotlib.colors.LogNorm) == logarithmic
    ticks = scales.value_ticks(norm.vmin, norm.vmax, logarithmic)
    assert all(norm.vmin <= tick <= norm.vmax for tick in ticks)
    assert len(ticks) >= (1 if low == high else 2)


@pytest.mark.parametrize("num_layers", [2, 5])
def test_initial_values_are_drawn_of_controls_for_which_they_are_known(num_layers):
    names = "learning_rate", "weight_decay"
    initial = {"learning_rate": 0.0007, "momentum": 0.9}
    episode = Episode.from_record(record_of(num_layers, *names), 100, initial)
    assert list(episode.initial_controls) == ["learning_rate"]
    assert episode.span == (-100, 100 * STEPS)
    edges, values = episode.values("learning_rate")
    np.testing.assert_array_equal(edges[:2], [-100, 0])
    np.testing.assert_array_equal(values[0], np.full(num_layers, 0.0007))
    edges, values = episode.values("weight_decay")
    assert edges[0] == 0
    assert values.shape == (STEPS, num_layers)
    figure = viewer(num_layers, *names).render(episode)
    assert "gradient updates (before 0: initial values)" in texts(figure)
    assert {axis.get_xlim() for axis in figure.axes[0:12:2]} == {(-100, 100 * STEPS)}


def test_a_control_that_a_record_does_not_have_is_refused():
    episode = Episode.from_record(record(2), 100)
    with pytest.raises(ValueError, match="no control 'momentum' to draw; there are learning_rate"):
        viewer(2, "momentum").render(episode)
