"""VeLO with its library: runs of the environment against plain runs of the library itself.

They skip where the library is not installed (`requirements-velo.txt`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.inner import example_indices
from ganno_env.optimisers import velo
from tests.inner.test_oracle import BATCH, StockCnn2, assert_close
from tests.small import small_env

STEPS, TAU = 4, 5
DECAYS = (0.0, 0.1)
KEY = jax.random.PRNGKey(0)


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
