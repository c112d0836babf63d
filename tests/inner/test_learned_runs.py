"""Learned optimisers with their libraries: runs of the environment against the libraries' own.

They skip where a library is not installed (`requirements-velo.txt`, `requirements-celo.txt`), and
those of Celo's public weights where GANNO_CELO_WEIGHTS does not name their file.
"""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.inner import example_indices
from ganno_env.optimisers import learned
from ganno_env.optimisers.celo import CELO
from ganno_env.optimisers.velo import VELO
from tests.inner.test_oracle import BATCH, StockCnn2, assert_close
from tests.small import small_env

STEPS, TAU = 4, 5
DECAYS = (0.0, 0.1)
KEY = jax.random.PRNGKey(0)
LARGER_STEPS = {VELO: 30.0, CELO: 5.0}
"""Added to the logarithm that each takes of its step size, VeLO in hundredths: then 20 updates of
random weights change what can be seen."""


PUBLIC = "GANNO_CELO_WEIGHTS"


@pytest.fixture(scope="module", params=["VeLO", "Celo", PUBLIC])
def source(request):
    """Whose weights: random ones of an optimiser, or the public ones."""
    return request.param


@pytest.fixture(scope="module")
def optimiser(source):
    optimiser = VELO if source == "VeLO" else CELO
    if reason := learned.unavailable(optimiser, __file__):
        pytest.skip(reason)
    return optimiser


@pytest.fixture(scope="module")
def model(optimiser):
    model_class, _ = learned.import_library(optimiser)
    return model_class(**optimiser.options)


@pytest.fixture(scope="module")
def theta(source, optimiser, model):
    """Random weights, with larger steps; or the public ones, as their authors read them."""
    from learned_optimization import checkpoints

    with jax.numpy_dtype_promotion("standard"):
        theta = model.init(KEY)
    if source == PUBLIC:
        if PUBLIC not in os.environ:
            pytest.skip(f"{PUBLIC} does not name a file; {optimiser.get_weights}")
        return checkpoints.load_state(os.environ[PUBLIC], theta)
    step_size = theta["rnn_params"]["step_size"]
    larger = step_size | {"b": step_size["b"] + LARGER_STEPS[optimiser]}
    return theta | {"rnn_params": theta["rnn_params"] | {"step_size": larger}}


@pytest.fixture(scope="module")
def weights(source, theta, tmp_path_factory):
    """The file of the weights: random ones as VeLO's library publishes its own."""
    from learned_optimization import checkpoints
    from learned_optimization.outer_trainers.gradient_learner import ParameterCheckpoint

    if source == PUBLIC:
        return os.environ[PUBLIC]
    path = tmp_path_factory.mktemp("learned") / "params"
    checkpoints.save_state(str(path), ParameterCheckpoint(theta, "", 0))
    return path


@pytest.fixture(scope="module")
def env(optimiser, weights):
    return small_env(optimiser=learned.load(optimiser, weights, STEPS * TAU))


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
    pixels = np.asarray(data.train.inputs, np.float32) / 255.0
    standardised = jnp.asarray((pixels - pixels.mean()) / pixels.std())

    def loss(params, images, labels):
        logits = module.apply({"params": params}, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def update(state, batch):
        images, labels = standardised[batch], data.train.targets[batch]
        value, gradient = jax.value_and_grad(loss)(optimiser.get_params(state), images, labels)
        with jax.numpy_dtype_promotion("standard"):  # the library's own arithmetic mixes types
            return optimiser.update(state, gradient, loss=value, key=KEY), value

    with jax.numpy_dtype_promotion("standard"):
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
    rates = {"learning_rate": jnp.ones((TAU, env.num_layers))}
    for _ in range(STEPS):
        batched, _ = follow(batched, rates)
    for i, (state, (params, _)) in enumerate(zip(states, runs, strict=True)):
        mine = jax.tree.map(lambda x, i=i: x[i], batched.inner.params)
        assert_same_way(state.inner.params, mine, params, 1e-3)


def test_weights_alone_are_read_as_well(optimiser, model, theta, tmp_path):
    from learned_optimization import checkpoints

    path = tmp_path / "theta.state"
    checkpoints.save_state(str(path), theta)
    alone = learned._checked(optimiser, learned._read(optimiser, path), model, path)
    assert jax.tree.structure(alone) == jax.tree.structure(theta)
    assert_close(alone, theta, 0.0)


def test_weights_of_another_model_are_refused(optimiser, model, tmp_path):
    from learned_optimization import checkpoints

    other = type(model)(lstm_hidden_size=16, param_inits=8)
    path = tmp_path / "params"
    with jax.numpy_dtype_promotion("standard"):
        checkpoints.save_state(str(path), other.init(KEY))
    with pytest.raises(ValueError, match=r"another model.* is \(8, .*, not \((1|256), "):
        learned.load(optimiser, path, 100)
