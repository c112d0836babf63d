from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from PIL import Image

from ganno_env import make_env
from ganno_env.viewer import Episode, draw_schedule
from tests.viewer.made_up import (
    STEPS,
    record,
    texts,
    viewer,
)


@pytest.fixture(scope="module")
def env():
    return make_env(
        "digits", "mlp", train_size=256, validation_size=64, batch_size=32, epochs=2,
        updates_per_step=4, learning_rate=0.0, weight_decay=0.0, reward="accuracy_gain",
    )  # fmt: skip


@pytest.fixture(scope="module")
def states(env):
    step = jax.jit(env.step)
    history = [jax.jit(env.reset)(jax.random.key(0))[0]]
    for action in range(env.time_limit):
        history.append(step(history[-1], jnp.full((env.num_agents,), 5 + action % 3))[0])
    return history


def test_an_episode_holds_what_the_states_do(env, states):
    episode = Episode.from_states(states)
    np.testing.assert_array_equal(episode.updates, 4 * np.arange(env.time_limit + 1))
    np.testing.assert_array_equal(episode.edges, [0, *episode.updates])
    for number, state in enumerate(states):
        np.testing.assert_array_equal(
            episode.controls["learning_rate"][number], state.controls["learning_rate"]
        )
        np.testing.assert_array_equal(episode.actions[number], state.previous_action)
        assert episode.losses["validation"][number] == state.metrics.validation_loss
        assert episode.accuracies["train"][number] == state.metrics.train_accuracy


def test_stacked_states_are_a_sequence(states):
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *states)
    jax.tree.map(
        np.testing.assert_array_equal, Episode.from_states(stacked), Episode.from_states(states)
    )


def test_a_record_is_an_episode():
    episode = Episode.from_record(record(3), updates_per_step=100)
    np.testing.assert_array_equal(episode.updates, 100 * np.arange(1, STEPS + 1))
    np.testing.assert_array_equal(episode.edges, 100 * np.arange(STEPS + 1))
    assert set(episode.accuracies) == {"train", "validation", "test"}


@pytest.mark.parametrize("order", [[0, 1, 0], [2, 1], [0, 0]])
def test_states_of_several_episodes_are_refused(states, order):
    with pytest.raises(ValueError, match="must be of one episode"):
        Episode.from_states([states[number] for number in order])


def test_no_states_are_refused():
    with pytest.raises(ValueError, match="no states"):
        Episode.from_states([])


def test_a_control_that_states_do_not_have_is_refused(states):
    with pytest.raises(ValueError, match="no control 'momentum' to draw; there are"):
        Episode.from_states(states, ["momentum"])


def test_rates_and_actions_are_drawn_where_they_held(env, states):
    figure = env.render(states)
    rates, actions = figure.axes[0], figure.axes[2]
    lines = rates.get_lines()
    assert [line.get_label() for line in lines] == list(env.inner.layer_names)
    for layer, line in enumerate(lines):
        updates, values = line.get_data()
        # A rate's value is at the end of the step in which it held, and the line runs up to it.
        assert line.get_drawstyle() == "steps-pre"
        for update, value in zip(updates[1:], values[1:], strict=True):
            state = states[int(update) // 4]
            assert value == state.controls["learning_rate"][layer]
    assert rates.get_xlim() == actions.get_xlim() == (0, 4 * env.time_limit)
    shown = actions.collections[0].get_array()
    assert np.ma.getmaskarray(shown)[:, 0].all()
    assert len(np.unique(shown[:, 1:])) == 3


@pytest.mark.parametrize("chosen", [[0], [2], slice(None)], ids=["reset", "one", "all"])
def test_the_environment_renders_as_jumanjis_do(env, states, chosen, tmp_path):
    shown = [states[0]] if chosen == [0] else [states[2]] if chosen == [2] else states
    path = tmp_path / "new" / "episode.png"
    figure = env.render(shown[0] if len(shown) == 1 else shown, str(path))
    assert isinstance(figure, Figure)
    with Image.open(path) as picture:
        assert picture.size[0] > 1000
    assert "mlp on digits" in texts(figure)
    assert ("no action yet" in texts(figure)) == (chosen == [0])
    assert list(path.parent.iterdir()) == [path]


def test_the_environment_animates_as_jumanjis_do(env, states, tmp_path):
    path = tmp_path / "episode.gif"
    animation = env.animate(states[:3], interval=200, save_path=str(path))
    assert isinstance(animation, FuncAnimation)
    with Image.open(path) as gif:
        assert gif.n_frames == 3
        assert gif.info["duration"] == 200
        frames = []
        for number in range(3):
            gif.seek(number)
            frames.append(np.asarray(gif.convert("L"), float))
    # More and more is uncovered: each frame has more ink in it than the one before.
    ink = [np.sum(255 - frame) for frame in frames]
    assert ink == sorted(ink)
    assert ink[0] < ink[-1]


def test_long_animations_skip_steps_evenly(monkeypatch):
    monkeypatch.setattr("ganno_env.viewer.figures.MOST_FRAMES", 4)
    animation = viewer(2).animate(Episode.from_record(record(2), 100))
    animation._draw_was_started = True
    assert list(animation.new_frame_seq()) == [0, 10, 19, 29]


def test_pictures_need_no_display_and_leave_no_figure_open():
    """In a process of its own: with a backend that can't be had, pyplot would fail."""
    program = (
        "import numpy as np\n"
        "from ganno_env.viewer import draw_schedule\n"
        "draw_schedule(np.ones((3, 2)), np.ones(3), layer_names=['a', 'b'], updates_per_step=1)\n"
        "import matplotlib.pyplot\n"
        "assert not matplotlib.pyplot.get_fignums()\n"
    )
    environment = {"PATH": "/usr/bin", "MPLBACKEND": "agg", "DISPLAY": "", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)


@pytest.mark.parametrize("num_layers", [2, 18])
def test_a_schedule_is_drawn_beside_the_loss(num_layers, tmp_path):
    run = record(num_layers)
    names = [f"layer{i}" for i in range(num_layers)]
    path = tmp_path / "figure1.pdf"
    figure = draw_schedule(
        run.controls["learning_rate"], run.train_loss, run.validation_loss,
        layer_names=names, updates_per_step=50, path=path, title="GANNO",
    )  # fmt: skip
    assert path.read_bytes().startswith(b"%PDF")
    assert {*names, "GANNO", "train", "validation"} <= set(texts(figure))
    left, _, right = figure.axes[:3]
    assert left.get_xlim() == right.get_xlim() == (0, 50 * STEPS)
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), run.train_loss)
