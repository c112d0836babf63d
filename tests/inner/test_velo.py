"""VeLO: what is said without its library, and with it, plain runs of the library itself.

The second kind skips where the library is not installed (`requirements-velo.txt`).
"""

from __future__ import annotations

import importlib.util
import logging
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import serialization

from ganno_env.inner import example_indices
from ganno_env.optimisers import velo
from tests.inner.test_oracle import BATCH, StockCnn2, assert_close
from tests.small import small_env

STEPS, TAU = 4, 5
DECAYS = (0.0, 0.1)
KEY = jax.random.PRNGKey(0)


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("nothing_installed")
def test_without_the_library_one_line_says_how_to_get_it():
    reason = velo.unavailable(None)
    assert reason.startswith("not available: ")
    assert "pip install --no-deps -r requirements-velo.txt" in reason
    assert "\n" not in reason
    assert (Path(__file__).parents[2] / reason.split()[-1]).is_file()


@pytest.fixture
def plausible(tmp_path):
    """A file that can be told from VeLO's weights with its library alone."""
    path = tmp_path / "theta.state"
    path.write_bytes(serialization.to_bytes({part: {} for part in velo.PARTS}))
    return path


@pytest.mark.usefixtures("nothing_installed")
def test_without_the_library_good_weights_are_refused_with_that_line(plausible):
    with pytest.raises(ValueError, match=r"VeLO is not available: .*requirements-velo\.txt"):
        velo.velo(plausible, 100)


def test_a_library_that_cannot_be_imported_is_one_error(plausible, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "learned_optimization", None)
    monkeypatch.setitem(sys.modules, "learned_optimization.optimizers", None)
    arguments = list(sys.argv)
    with pytest.raises(ValueError, match=r"cannot be imported: .*requirements-velo\.txt"):
        velo.velo(plausible, 100)
    assert sys.argv == arguments
    assert not logging.root.manager.disable


@pytest.mark.parametrize("weights", [None, "nowhere/params", "gs://bucket/params"])
def test_without_weights_one_line_says_how_to_get_them(monkeypatch, weights):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    reason = velo.unavailable(weights)
    assert reason.startswith("not available: ")
    assert "velo_weights=PATH" in reason
    assert "\n" not in reason
    assert weights is None or weights in reason


def test_with_library_and_weights_it_can_be_run(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert velo.unavailable(__file__) is None


class Bomb:
    """Pickled code, which would leave a file where it is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


WHOLE = serialization.to_bytes({"params": {part: np.ones(100) for part in velo.PARTS}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"not msgpack", "damaged"),
        (WHOLE[:-50], "damaged"),
        (WHOLE.replace(b"float64", b"nothing"), "damaged"),
        (serialization.to_bytes({"a": np.ones(3)}), "does not hold VeLO's weights"),
        (serialization.to_bytes({"params": np.ones(3)}), "does not hold VeLO's weights"),
        (serialization.msgpack_serialize([1, 2]), "does not hold VeLO's weights"),
    ],
)
def test_a_damaged_or_other_file_is_one_error(tmp_path, content, message):
    path = tmp_path / "params"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        velo.velo(path, 100)
    assert str(path) in str(caught.value)
    assert "velo_weights=PATH" in str(caught.value)


def test_pickled_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "params"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ValueError, match="damaged"):
        velo.velo(path, 100)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        velo.velo(tmp_path / "params", 100)


@pytest.mark.parametrize("num_updates", [0, 150_001])
def test_runs_that_velo_was_not_made_for_are_refused(tmp_path, num_updates):
    with pytest.raises(ValueError, match=f"{num_updates} updates"):
        velo.velo(tmp_path / "params", num_updates)


def test_decay_joins_the_gradient_and_the_loss_that_the_library_is_given():
    """By a library of our own in its place, which takes half of the gradient as its update."""
    seen = []

    def update(gradient, state, params, *, extra_args):
        seen.append(extra_args)
        return jax.tree.map(lambda leaf: 0.5 * leaf, gradient), state + 1

    library = optax.GradientTransformationExtraArgs(lambda params: 7, update)
    decay = 0.1
    decayed = velo._with_decay(library, {"a": jnp.float32(decay)})
    params = {"a": {"w": jnp.array([1.0, -2.0, 3.0])}}
    gradient = {"a": {"w": jnp.array([0.5, 0.25, -1.0])}}
    state = decayed.init(params)
    direction, state = decayed.update(gradient, state, params, value=jnp.float32(2.0))
    w, g = (np.asarray(tree["a"]["w"]) for tree in (params, gradient))
    np.testing.assert_allclose(direction["a"]["w"], -0.5 * (g + decay * w), rtol=1e-6)
    np.testing.assert_allclose(seen[0]["loss"], 2.0 + decay * (w**2).sum(), rtol=1e-6)
    assert state == 8


def test_weights_are_compared_with_the_models_shapes(tmp_path):
    model = SimpleNamespace(init=lambda key: {"a": jnp.zeros((3, 2)), "b": jnp.zeros(4)})
    right = {"a": np.ones((3, 2)), "b": np.arange(4.0)}
    assert_close(velo._checked(right, model, tmp_path), right, 0.0)
    for wrong, message in (
        ({"a": np.ones((3, 2))}, r"\['b'\] is absent, not \(4,\)"),
        ({"a": np.ones((2, 3)), "b": np.ones(4)}, r"\['a'\] is \(2, 3\), not \(3, 2\)"),
        (right | {"c": np.ones(1)}, r"\['c'\] is \(1,\), not absent"),
    ):
        with pytest.raises(ValueError, match=message):
            velo._checked(wrong, model, tmp_path)


@pytest.fixture(scope="module")
def model():
    if reason := velo.unavailable(__file__):
        pytest.skip(reason)
    hyper_v2, _ = velo._library()
    return hyper_v2.HyperV2(**velo.MODEL)


@pytest.fixture(scope="module")
def theta(model):
    """Random weights, whose step size makes of 20 updates a change that can be seen."""
    theta = model.init(KEY)
    step_size = theta["rnn_params"]["step_size"]
    theta["rnn_params"]["step_size"] = step_size | {"b": step_size["b"] + 30.0}
    return theta


@pytest.fixture(scope="module")
def weights(theta, tmp_path_factory):
    """The weights in a file, as the library publishes them."""
    from learned_optimization import checkpoints
    from learned_optimization.outer_trainers.gradient_learner import ParameterCheckpoint

    path = tmp_path_factory.mktemp("velo") / "params"
    checkpoints.save_state(str(path), ParameterCheckpoint(theta, "", 0))
    return path


@pytest.fixture(scope="module")
def env(weights):
    return small_env(optimiser=velo.velo(weights, STEPS * TAU))


@pytest.fixture(scope="module")
def states(env):
    """Two beginnings, without weight decay and with a lot of it."""
    begin = jax.jit(env.reset_from)
    initials = [{"learning_rate": jnp.float32(1), "weight_decay": jnp.float32(d)} for d in DECAYS]
    return [begin(jax.random.PRNGKey(i), initial)[0] for i, initial in enumerate(initials)]


@pytest.fixture(scope="module")
def runs(env, states):
    """What whole episodes at rate 1 make of these, and the losses on the way."""
    follow = jax.jit(env.step_with_controls)
    rates = {"learning_rate": jnp.ones((TAU, env.num_layers))}
    runs = []
    for state in states:
        losses = []
        for _ in range(STEPS):
            state, _ = follow(state, rates)
            losses.append(float(state.metrics.train_loss))
        runs.append((state.inner.params, losses))
    return runs


def plain_run(env, state, optimiser):
    """The library's optimiser in a loop of its own, as the library is used, on a stock network."""
    data, params = env.task.data, state.inner.params
    module = StockCnn2(params["convolution_0"]["bias"].shape[0])
    count = STEPS * TAU * BATCH
    indices = example_indices(state.data_key, jnp.uint32(0), count, data.train.size)

    def loss(params, images, labels):
        pixels = (images / 255.0 - np.array(data.mean)) / np.array(data.std)
        logits = module.apply({"params": params}, pixels.astype(jnp.float32))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def update(state, batch):
        images, labels = data.train.inputs[batch], data.train.targets[batch]
        value, gradient = jax.value_and_grad(loss)(optimiser.get_params(state), images, labels)
        return optimiser.update(state, gradient, loss=value, key=KEY), value

    state, losses = optimiser.init(params, num_steps=STEPS * TAU, key=KEY), []
    for batch in indices.reshape(STEPS * TAU, BATCH):
        state, value = update(state, batch)
        losses.append(float(value))
    return optimiser.get_params(state), np.reshape(losses, (STEPS, TAU)).mean(axis=1)


def assert_same_way(start, actual, expected, tolerance):
    """Each leaf has gone the same way, to a fraction of its length."""

    def check(start, actual, expected):
        length = float(jnp.abs(expected - start).max())
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * length)

    jax.tree.map(check, dict(start), dict(actual), dict(expected))


@pytest.mark.slow
@pytest.mark.parametrize("run", range(len(DECAYS)))
def test_a_run_equals_the_librarys_own(model, theta, env, states, runs, run):
    from learned_optimization.optimizers.optimizer_wrappers import WeightDecayWrapper

    plain = model.opt_fn(theta)
    if DECAYS[run]:
        plain = WeightDecayWrapper(plain, DECAYS[run])
    start, (params, losses) = states[run].inner.params, runs[run]
    expected, expected_losses = plain_run(env, states[run], plain)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    assert_same_way(start, params, expected, 5e-4)
    moved = jnp.abs(params["linear"]["kernel"] - start["linear"]["kernel"])
    assert moved.max() > 0.01  # so that equality means something


@pytest.mark.slow
def test_vmap_changes_nothing(env, states, runs):
    batched = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    follow = jax.jit(jax.vmap(env.step_with_controls, in_axes=(0, None)))
    for _ in range(STEPS):
        batched, _ = follow(batched, jnp.ones((TAU, env.num_layers)))
    for i, (state, (params, _)) in enumerate(zip(states, runs, strict=True)):
        mine = jax.tree.map(lambda x, i=i: x[i], batched.inner.params)
        assert_same_way(state.inner.params, mine, params, 1e-3)


def test_weights_alone_are_read_as_well_and_once(weights, theta, tmp_path):
    from learned_optimization import checkpoints

    path = tmp_path / "theta.state"
    checkpoints.save_state(str(path), theta)
    alone = velo._checked(velo._read(path), velo._library()[0].HyperV2(**velo.MODEL), path)
    assert jax.tree.structure(alone) == jax.tree.structure(theta)
    assert_close(alone, theta, 0.0)
    assert velo.velo(weights, 100) is velo.velo(weights, 100)
    assert velo.velo(weights, 100) is not velo.velo(weights, 101)


def test_weights_of_another_model_are_refused(model, tmp_path):
    from learned_optimization import checkpoints

    other = type(model)(lstm_hidden_size=16, param_inits=8)
    path = tmp_path / "params"
    checkpoints.save_state(str(path), other.init(KEY))
    with pytest.raises(ValueError, match=r"another model.* is \(8, .*, not \(256, "):
        velo.velo(path, 100)
