"""Every optimiser against optax's own, where gradients are so small that epsilons show."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.controls import WEIGHT_DECAY, scale_layers
from ganno_env.inner.loss import evaluate
from ganno_env.optimisers import OPTIMISERS, Optimiser, build, own_state, update_direction
from tests.small import compiled, small_env

RATE, DECAY = 0.1, 0.2
PLAIN = {
    "adam": optax.adamw(RATE, weight_decay=DECAY),
    "lamb": optax.lamb(RATE, weight_decay=DECAY),
    "lion": optax.lion(RATE, weight_decay=DECAY),
    "sgd": optax.chain(
        optax.trace(0.9), optax.add_decayed_weights(DECAY), optax.scale_by_learning_rate(RATE)
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_equals_optax(name):
    decays = {"weight_decay": {"layer": jnp.float32(DECAY)}}
    direction = update_direction(build(name), [WEIGHT_DECAY], decays)
    ours = optax.chain(direction, optax.scale_by_learning_rate(RATE))
    kernel = jnp.array([[0.5, -2.0], [1.0, 3.0]])
    params = {"layer": {"kernel": kernel, "bias": jnp.array([1e-3, 0.1])}}
    states = [optimiser.init(params) for optimiser in (ours, PLAIN[name])]
    both = [params, params]
    for scale in (1e-8, 1e-6, 1e-7, 1.0, 1e-6):
        gradient = jax.tree.map(lambda x, scale=scale: scale * (x - 1.5), params)
        for i, optimiser in enumerate((ours, PLAIN[name])):
            with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
                updates, states[i] = optimiser.update(gradient, states[i], both[i])
            both[i] = optax.apply_updates(both[i], updates)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *both)


def moved(optimiser, hyperparameters, *, layers=("first", "last")):
    """Where some updates at a constant rate lead, from the same gradients."""
    transformation = update_direction(optimiser, [WEIGHT_DECAY], hyperparameters)
    params = {name: {"kernel": jnp.array([0.5, -2.0, 1.0])} for name in layers}
    state = transformation.init(params)
    for scale in (1.0, 1.0, -0.05, 0.9):
        gradient = jax.tree.map(lambda x, scale=scale: scale * (x - 1.5), params)
        with jax.numpy_dtype_promotion("standard"):
            direction, state = transformation.update(gradient, state, params)
        params = jax.tree.map(lambda p, d: p - RATE * d, params, direction)
    return params


DECAYS = {"weight_decay": dict.fromkeys(("first", "last"), jnp.float32(DECAY))}
OPTION = {"adam": "b1", "lamb": "b1", "lion": "b1", "sgd": "momentum"}


@pytest.mark.parametrize("name", OPTION)
def test_momentum_as_a_control_is_the_optimisers_constant_for_each_layer(name):
    momentum = {"first": jnp.float32(0.5), "last": jnp.float32(0.9)}
    both = moved(build(name), DECAYS | {"momentum": momentum})
    for layer, value in momentum.items():
        alone = moved(build({"name": name, OPTION[name]: float(value)}), DECAYS)
        np.testing.assert_allclose(both[layer]["kernel"], alone[layer]["kernel"], rtol=1e-5)
    assert not np.allclose(both["first"]["kernel"], both["last"]["kernel"], rtol=1e-3)


def test_equal_options_are_one_optimiser():
    assert build("adam") is build({"name": "adam"})
    assert build({"name": "sgd", "momentum": 0.5}) is build({"name": "sgd", "momentum": 0.5})
    assert build({"name": "sgd", "momentum": 0.5}) is not build("sgd")


def averaged():
    """A test's own optimiser: SGD, evaluated at the average of its parameters."""

    def build_it(hyperparameters):
        def init(params):
            return params, jnp.float32(1)

        def update(gradient, state, params):
            average, count = state
            average = jax.tree.map(lambda a, p: a + (p - a) / (count + 1), average, params)
            return gradient, (average, count + 1)

        return optax.GradientTransformation(init, update)

    return Optimiser(build_it, evaluation_params=lambda state, params: state[0])


def test_networks_are_evaluated_with_the_parameters_that_the_optimiser_says():
    env = small_env(network="mlp", optimiser=averaged(), learning_rate=0.5)
    reset, step = compiled(env)
    state, _ = reset(jax.random.PRNGKey(0))
    state, timestep = step(state, jnp.zeros((3,), jnp.int32))
    validation = env.task.data.validation
    average, _ = own_state(env.optimiser, env.inner.controls, state.inner.optimiser_state)
    losses = [
        evaluate(params, env.network, {}, env.task, validation)[0]
        for params in (average, state.inner.params)
    ]
    np.testing.assert_allclose(timestep.extras["validation_loss"], losses[0], rtol=1e-5)
    assert abs(losses[0] - losses[1]) > 1e-3


def test_an_optimiser_that_takes_the_learning_rate_makes_whole_steps():
    """Its steps are what its rate says, and no rate is applied to them again."""

    def build_it(hyperparameters):
        rates = hyperparameters["learning_rate"]
        return optax.stateless(lambda gradient, params: scale_layers(gradient, rates))

    changes = {"network": "mlp", "learning_rate": 0.1, "weight_decay": 0.0, "updates_per_step": 2}
    ends = []
    for optimiser in (Optimiser(build_it, takes={"learning_rate"}), {"name": "sgd", "momentum": 0}):
        env = small_env(optimiser=optimiser, **changes)
        reset, step = compiled(env)
        state, _ = reset(jax.random.PRNGKey(0))
        ends.append(step(state, jnp.zeros((3,), jnp.int32))[0].inner.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *ends)
