from __future__ import annotations

import itertools
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.animation import FuncAnimation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ganno_env import make_env
from ganno_env.actions import PAPER_ACTIONS
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode, TrainingViewer, draw_schedule, panels

STEPS = 30


def record(num_layers: int, num_agents: int | None = None, tests: int = 1) -> RunRecord:
    rng = np.random.default_rng(0)
    loss = 2.3 * np.exp(-np.arange(STEPS) / 10)
    return RunRecord(
        learning_rates=10 ** rng.uniform(-4, -2, (STEPS, num_layers)),
        actions=rng.integers(0, len(PAPER_ACTIONS), (STEPS, num_agents or num_layers)),
        train_loss=loss,
        train_accuracy=1 - loss / 2.5,
        validation_loss=loss + 0.1,
        validation_accuracy=0.95 - loss / 2.5,
        test_accuracy=np.full((tests,), 0.9),
        seconds=np.float32(1.0),
    )


def viewer(num_layers: int) -> TrainingViewer:
    return TrainingViewer([f"block{i}_conv" for i in range(num_layers)], PAPER_ACTIONS, "a title")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


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
            episode.learning_rates[number], state.controls["learning_rate"]
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
    colours = actions.collections[0].get_array()
    assert np.ma.getmaskarray(colours)[:, 0].all()
    assert len(np.unique(colours[:, 1:])) == 3


@pytest.mark.parametrize("chosen", [[0], [2], slice(None)], ids=["reset", "one", "all"])
def test_the_environment_renders_as_jumanjis_do(env, states, chosen, tmp_path):
    shown = [states[0]] if chosen == [0] else [states[2]] if chosen == [2] else states
    path = tmp_path / "new" / "episode.png"
    figure = env.render(shown[0] if len(shown) == 1 else shown, str(path))
    assert isinstance(figure, Figure)
    assert Image.open(path).size[0] > 1000
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


@pytest.mark.parametrize("num_layers", [1, 2, 7, 8, 18, 60])
@pytest.mark.parametrize("zeros", [False, True])
def test_nothing_overlaps(num_layers, zeros, monkeypatch):
    run = record(num_layers, tests=STEPS)
    if zeros:
        run = run.replace(
            learning_rates=np.where(run.learning_rates < 0.001, 0, run.learning_rates)
        )
    figure = viewer(num_layers).render(Episode.from_record(run, 100))
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
    assert len(shown) > num_layers
    for name, box in shown:
        assert box.x0 >= -1, name
        assert box.x1 <= width + 1, name
        assert box.y0 >= -1, name
        assert box.y1 <= height + 1, name
    for (name, box), (other, other_box) in itertools.combinations(shown, 2):
        apart = (
            min(box.x1, other_box.x1) - max(box.x0, other_box.x0) < 1
            or min(box.y1, other_box.y1) - max(box.y0, other_box.y0) < 1.5
        )
        assert apart, (name, other, box, other_box)


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
    run = record(num_layers).replace(learning_rates=np.full((STEPS, num_layers), rates))
    figure = viewer(num_layers).render(Episode.from_record(run, 100))
    figure.canvas.draw()
    assert "0" in texts(figure) or rates


def test_a_rate_of_zero_is_marked_as_such():
    run = record(2)
    rates = np.array(run.learning_rates)
    rates[3:6, 0] = 0
    axis = viewer(2).render(Episode.from_record(run.replace(learning_rates=rates), 100)).axes[0]
    bottom, top = axis.get_ylim()
    assert bottom < 0 < rates.max() < top
    assert axis.get_yscale() == "symlog"
    assert 0 in axis.get_yticks()


@pytest.mark.parametrize("num_layers", [2, 5])
def test_a_rate_that_falls_to_zero_says_that_it_was_clipped(num_layers):
    rates = np.full((STEPS, num_layers), 0.001)
    rates[3:6, 0] = rates[8, 1] = 0
    run = record(num_layers).replace(learning_rates=rates)
    figure = viewer(num_layers).render(Episode.from_record(run, 100))
    assert "clipped to 0" in texts(figure)
    if num_layers == 2:  # a mark for each fall, where it happened
        marks = figure.axes[0].collections[0].get_offsets()
        np.testing.assert_array_equal(marks, [[300, 0], [800, 0]])
    never = run.replace(learning_rates=np.zeros_like(rates))
    never = viewer(num_layers).render(Episode.from_record(never, 100, initial_rate=0.0))
    assert "clipped to 0" not in texts(never)


@pytest.mark.parametrize("num_layers", [2, 5])
def test_a_run_begins_at_its_initial_rate_and_not_after_the_first_action(num_layers):
    run = record(num_layers)
    figure = viewer(num_layers).render(Episode.from_record(run, 100, initial_rate=0.0007))
    axis = figure.axes[0]
    assert axis.get_xlim() == (-100, 100 * STEPS)
    assert "gradient updates (before 0: the initial rate)" in texts(figure)
    if num_layers == 2:
        for layer, line in enumerate(axis.get_lines()):
            np.testing.assert_array_equal(line.get_xdata()[:3], [-100, 0, 100])
            np.testing.assert_allclose(
                line.get_ydata()[:3], [0.0007, 0.0007, run.learning_rates[0, layer]]
            )
    else:
        shown = np.asarray(axis.collections[0].get_array())
        np.testing.assert_allclose(shown[:, 0], 0.0007)
        np.testing.assert_allclose(shown[:, 1:], run.learning_rates.T)


def test_no_split_has_the_colour_of_a_layer():
    layers = set(panels.COLOURS[: panels.MOST_LINES])
    splits = [colour for colour, _ in panels.STYLES.values()]
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
    order = sorted(names, key=panels._effect)
    assert order == ["-0.1", "*0.5", "/1.10", "noop", "*1.10", "/0.5", "+0.1"]
    colours = panels._action_colours([panels._effect(name)[0] for name in order])
    assert colours[3] == panels.NOTHING
    assert len(set(colours)) == len(names)
    red, blue = ([int(c[i : i + 2], 16) for c in colours] for i in (1, 5))
    assert all(r < b for r, b in zip(red[:3], blue[:3], strict=True))
    assert all(r > b for r, b in zip(red[4:], blue[4:], strict=True))


def test_actions_that_set_a_rate_are_ordered_by_it():
    names = ["noop", "=0.01", "*2", "=0.0001", "=0.003"]
    order = sorted(names, key=panels._effect)
    assert order == ["noop", "*2", "=0.0001", "=0.003", "=0.01"]
    colours = panels._action_colours([panels._effect(name)[0] for name in order])
    assert colours[0] == panels.NOTHING
    light = [int(colour[1:3], 16) for colour in colours[2:]]
    assert light == sorted(light, reverse=True)
    assert len(set(colours)) == len(names)


@pytest.mark.parametrize("num_layers", [2, 18])
def test_a_schedule_is_drawn_beside_the_loss(num_layers, tmp_path):
    run = record(num_layers)
    names = [f"layer{i}" for i in range(num_layers)]
    path = tmp_path / "figure1.pdf"
    figure = draw_schedule(
        run.learning_rates, run.train_loss, run.validation_loss,
        layer_names=names, updates_per_step=50, path=path, title="GANNO",
    )  # fmt: skip
    assert path.read_bytes().startswith(b"%PDF")
    assert {*names, "GANNO", "train", "validation"} <= set(texts(figure))
    left, _, right = figure.axes[:3]
    assert left.get_xlim() == right.get_xlim() == (0, 50 * STEPS)
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), run.train_loss)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_decades_have_labels_beside_0(dtype):
    figure = Figure()
    axis = figure.subplots()
    rates = np.array([[0, 3e-4], [2e-3, 1.2e-2]], dtype)
    axis.plot(rates)
    panels.scale_rates(axis, rates)
    FigureCanvasAgg(figure).draw()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert [re.sub(r"[^\d^-]", "", label) for label in labels] == ["0", "10^-3", "10^-2"]
