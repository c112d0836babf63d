"""Every optimiser against optax's own, where gradients are so small that epsilons show."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY, scale_layers
from ganno_env.inner.loss import evaluate
from ganno_env.optimisers import (
    OPTIMISERS,
    Optimiser,
    build,
    own_state,
    update_direction,
    update_step,
)
from tests.small import compiled, small_env

RATE, DECAY = 0.1, 0.2
MATRICES = optax.contrib.MuonDimensionNumbers(0, 1)
MUON = optax.contrib.muon(
    RATE,
    weight_decay=DECAY,
    adam_weight_decay=DECAY,
    consistent_rms=0.2,
    muon_weight_dimension_numbers={"layer": {"kernel": MATRICES, "bias": None}},
)
PLAIN = {
    "adam": optax.adamw(RATE, weight_decay=DECAY),
    "lamb": optax.lamb(RATE, weight_decay=DECAY),
    "lion": optax.lion(RATE, weight_decay=DECAY),
    "sgd": optax.chain(
        optax.trace(0.9), optax.add_decayed_weights(DECAY), optax.scale_by_learning_rate(RATE)
    ),
    "muon": MUON,
    "adam_plateau": optax.chain(
        optax.adamw(RATE, weight_decay=DECAY),
        optax.contrib.reduce_on_plateau(factor=0.5, patience=3, accumulation_size=100),
    ),
    "schedule_free": optax.contrib.schedule_free_adamw(RATE, weight_decay=DECAY),
    "prodigy": optax.contrib.prodigy(weight_decay=DECAY),
    "dadapt_adamw": optax.contrib.dadapt_adamw(weight_decay=DECAY),
    "momo_adam": optax.contrib.momo_adam(0.01, weight_decay=DECAY),
    "mechanic": optax.contrib.mechanize(optax.adamw(1.0, weight_decay=DECAY)),
    "cocob": optax.contrib.cocob(weight_decay=DECAY),
    "dog": optax.contrib.dog(weight_decay=DECAY),
    "dowg": optax.contrib.dowg(weight_decay=DECAY),
}
"""Of each optimiser that optax has whole. The others have tests of their own below."""
RATE_FREE = {"prodigy", "dadapt_adamw", "momo_adam", "mechanic", "cocob", "dog", "dowg"}
PARAMS = {"layer": {"kernel": jnp.array([[0.5, -2.0], [1.0, 3.0]]), "bias": jnp.array([1e-3, 0.1])}}
SCALES = (1e-8, 1e-6, 1e-7, 1.0, 1e-6)


def whole(optimiser, rate=RATE, decay=DECAY, layers=("layer",)):
    """An optimiser of ours as one of optax: from gradient to step."""
    values = {"learning_rate": rate, "weight_decay": decay}
    by_layer = {k: dict.fromkeys(layers, jnp.float32(x)) for k, x in values.items()}
    arguments = optimiser, [WEIGHT_DECAY, LEARNING_RATE], by_layer
    return optax.chain(update_direction(*arguments), update_step(*arguments))


def trained(optimiser, params=PARAMS, scales=SCALES):
    """The parameters after each update on the same few gradients, and the last state."""
    state, path = optimiser.init(params), [params]
    for number, scale in enumerate(scales):
        gradient = jax.tree.map(lambda x, scale=scale: scale * (x - 1.5), params)
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
            updates, state = optimiser.update(gradient, state, params, value=1.0 / (1 + number))
        params = optax.apply_updates(params, updates)
        path.append(params)
    return path, state


def assert_close(a, b, rtol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol), a, b)


@pytest.mark.parametrize("name", PLAIN)
def test_equals_optax(name):
    rate = 1.0 if name in RATE_FREE else RATE
    ours, _ = trained(whole(build(name), rate))
    plain, _ = trained(optax.with_extra_args_support(PLAIN[name]))
    assert_close(ours, plain, rtol=1e-5)
    assert not np.allclose(ours[-1]["layer"]["kernel"], PARAMS["layer"]["kernel"], rtol=1e-7)


def test_every_optimiser_has_an_oracle():
    assert set(OPTIMISERS) == {*PLAIN, "adam_relative", "adam_hypergradient"}


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
