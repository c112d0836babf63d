"""What every member of every registry must do; a new one is covered by being registered."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env import optimisers
from ganno_env.controls import CONTROLS, Control
from ganno_env.controls.base import scale_layers
from ganno_env.networks import NETWORKS, build
from ganno_env.observations import FEATURE_SETS, FEATURES
from ganno_env.optimisers import OPTIMISERS
from ganno_env.rewards import REWARDS
from ganno_env.schedules import SCHEDULES
from ganno_env.tasks.measures import cross_entropy
from ganno_env.types import LAYER_KINDS, Metrics
from systems.ppo.registry import SYSTEMS
from tests.inputs import input_spec_for, random_inputs, slow_if_large
from tests.small import OPTIONAL, compiled, shared_env, small_env, some_states


def finite(tree):
    return jax.tree.all(jax.tree.map(lambda x: bool(jnp.all(jnp.isfinite(x))), tree))


@pytest.fixture(scope="module", params=slow_if_large(NETWORKS))
def network(request):
    return build(request.param, input_spec_for(request.param), 10, {"width": 0.0625})


@pytest.fixture(scope="module")
def begun(network):
    return jax.jit(network.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def inputs(network):
    return random_inputs(input_spec_for(network.name), 4)


def test_networks_layers_hold_all_that_is_learned(network, begun):
    params, state = begun
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    assert set(params) == set(names)
    assert all(jax.tree.leaves(params[name]) for name in names)
    assert {layer.kind for layer in network.layers} <= set(LAYER_KINDS)
    assert set(state) <= set(names)
    assert finite((params, state))
    leaves = jax.tree.leaves((params, state))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
    assert not any(leaf.weak_type for leaf in leaves)


def test_networks_are_pure_and_differentiable(network, begun, inputs):
    params, state = begun

    def loss(params):
        logits, new_state = network.apply(params, state, inputs, True)
        labels = jnp.arange(logits[..., 0].size).reshape(logits.shape[:-1]) % 10
        return cross_entropy(logits, labels).mean(), (logits, new_state)

    (_, (logits, new_state)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    per_token = input_spec_for(network.name).num_tokens is not None
    assert logits.shape == (4, *inputs.shape[1 : 1 + per_token], 10)
    assert finite((logits, gradient))
    assert jax.tree.map(jax.typeof, new_state) == jax.tree.map(jax.typeof, state)
    for layer in network.layers:
        norms = [jnp.abs(leaf).max() for leaf in jax.tree.leaves(gradient[layer.name])]
        assert max(norms) > 0, f"{layer.name} learns nothing"
    evaluate = jax.jit(lambda x: network.apply(params, state, x, False))
    whole, kept = evaluate(inputs)
    jax.tree.map(np.testing.assert_array_equal, kept, state)
    # Evaluated one by one, examples don't see each other.
    alone = jnp.concatenate([evaluate(one[None])[0] for one in inputs])
    np.testing.assert_allclose(alone, whole, rtol=1e-3, atol=1e-4)


def test_networks_lowerings_agree(network, begun, inputs):
    def logits(lowering):
        options = {"width": 0.0625, "lowering": lowering}
        lowered = build(network.name, input_spec_for(network.name), 10, options)
        return jax.jit(lambda params, state: lowered.apply(params, state, inputs, True)[0])(*begun)

    np.testing.assert_allclose(logits("matmul"), logits("convolution"), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def states():
    """At resets, after steps, of networks that diverged, and of ones of which all measures fail."""
    sound, diverged = some_states()

    def measured(state, number):
        measures = {"metrics": state.metrics, "statistics": state.statistics}
        return dataclasses.replace(
            state, **jax.tree.map(lambda x: jnp.full_like(x, number), measures)
        )

    failed = [
        jax.vmap(measured, (0, None))(sound, number) for number in (jnp.nan, jnp.inf, -jnp.inf)
    ]
    return jax.tree.map(lambda *x: jnp.concatenate(x), sound, diverged, *failed)


@pytest.mark.parametrize("features", [*FEATURE_SETS, *((name,) for name in FEATURES)])
def test_features_are_finite_named_and_within_their_limits(features, states):
    env = small_env(features=features, initial_controls=OPTIONAL)
    view = jax.jit(jax.vmap(env.observe))(states).observation.agents_view
    assert view.shape[1:] == (env.num_agents, len(env.feature_names))
    assert view.dtype == np.float32
    assert jnp.isfinite(view).all()
    assert len(set(env.feature_names)) == len(env.normalised_features) == view.shape[-1]
    for column, name in enumerate(env.feature_names):
        least, greatest = FEATURES[name.split("=")[0]].limits
        assert (view[..., column] >= np.float32(least)).all(), name
        assert (view[..., column] <= np.float32(greatest)).all(), name


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_train(name):
    """What was finite stays so. A plateau's lowest loss, for one, is none before there is any."""
    env = small_env(
        optimiser=name, learning_rate=1e-3, weight_decay=0.0, features="learning_rate_only",
        reward="accuracy_gain",
    )  # fmt: skip

    @jax.jit
    def train(key):
        begun = env.reset(key)
        return begun, env.step(begun[0], jnp.zeros((env.num_agents,), jnp.int32))

    (before, first), (after, timestep) = train(jax.random.PRNGKey(0))
    kept = jax.tree.map(
        lambda a, b: bool(jnp.all(jnp.isfinite(b) | ~jnp.isfinite(a))), before.inner, after.inner
    )
    assert jax.tree.all(kept)
    assert finite(timestep)
    assert timestep.extras["train_loss"] != first.extras["train_loss"]
    moved = jax.tree.map(
        lambda a, b: bool(jnp.any(a != b)), before.inner.params, after.inner.params
    )
    assert all(any(jax.tree.leaves(layer)) for layer in moved.values())


@pytest.mark.parametrize("name", REWARDS)
def test_rewards_are_finite_whatever_is_measured(name):
    reward = REWARDS[name]
    values = [0.0, 0.5, 1.0, 1e30, jnp.inf, jnp.nan]
    for loss in values:
        metrics = [
            Metrics(
                train_loss=jnp.float32(x),
                train_accuracy=jnp.float32(0.5),
                validation_loss=jnp.float32(x),
                validation_accuracy=jnp.float32(0.5),
            )
            for x in (loss, 1.0, loss)
        ]
        for order in (metrics, metrics[1:] + metrics[:1]):
            value = reward.function(*order)
            assert value.shape == ()
            assert jnp.isfinite(value)
    same = reward.function(metrics[1], metrics[1], metrics[1])
    if reward.needs_no_op:
        assert same == 0.0


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_are_in_their_bounds(name):
    control = CONTROLS[name]
    low, high = control.bounds
    assert low <= control.initial_range[0] <= control.initial_range[1] <= high
    assert control.check_initial(low) == (low, low)
    values = {"a": jnp.float32(0.5)}
    updates, params = {"a": {"x": jnp.ones(2)}}, {"a": {"x": jnp.full(2, 3.0)}}
    if control.stage is None:
        assert any(name in optimisers.build(optimiser).takes for optimiser in OPTIMISERS)
        return
    stage = control.stage(values)
    new_updates, _ = stage.update(updates, stage.init(params), params)
    assert jax.tree.structure(new_updates) == jax.tree.structure(updates)


@pytest.fixture
def gradient_norm(monkeypatch):
    """A control that is there for a test alone: each layer's largest gradient norm."""

    def clip(values):
        def update(gradient, params):
            scales = {
                name: jnp.minimum(1.0, values[name] / jnp.maximum(optax.tree.norm(layer), 1e-9))
                for name, layer in gradient.items()
            }
            return scale_layers(gradient, scales)

        return optax.stateless(update)

    control = Control("largest_gradient_norm", (0.0, 1e3), (0.1, 10.0), clip, "gradient")
    monkeypatch.setitem(CONTROLS._members, control.name, control)
    return control


def test_a_control_is_in_every_environment_once_it_is_registered(gradient_norm):
    """It starts where it is told to, or in its own range, and does what its stage does."""
    plain = {"network": "mlp", "optimiser": "sgd", "learning_rate": 0.1, "weight_decay": 0.0}
    key, moved = jax.random.PRNGKey(0), {}
    for value in (0.0, 1e3):
        env = small_env(**plain, initial_controls={gradient_norm.name: value})
        reset, step = compiled(env)
        state, _ = reset(key)
        after, timestep = step(state, jnp.zeros((env.num_agents,), jnp.int32))
        np.testing.assert_array_equal(after.controls[gradient_norm.name], value)
        np.testing.assert_array_equal(timestep.reward, 0.0)
        distance = jax.tree.map(
            lambda a, b: jnp.abs(a - b).max(), after.inner.params, state.inner.params
        )
        moved[value] = max(jax.tree.leaves(distance))
    assert moved[0.0] == 0.0
    assert moved[1e3] > 0.0
    env = small_env(network="mlp")
    sampled = jax.jit(env.reset)(key)[0]
    given = jax.jit(env.reset_from)(key, {"learning_rate": 0.1, "weight_decay": 0.0})[0]
    for state in (sampled, given):
        low, high = gradient_norm.initial_range
        assert low <= state.initial_controls[gradient_norm.name] <= high
    np.testing.assert_allclose(given.controls["learning_rate"], 0.1)


def test_controls_that_are_refused(gradient_norm):
    for controls, message in (
        ({"largest_gradient_nrm": 1.0}, "did you mean 'largest_gradient_norm'"),
        ({gradient_norm.name: -1.0}, "beyond its bounds"),
        ({"learning_rate": 0.1}, "give learning_rate=0.1 instead"),
    ):
        with pytest.raises(ValueError, match=message):
            small_env(initial_controls=controls)
    env = small_env()
    with pytest.raises(ValueError, match=r"unknown controls \['rate'\]; known: weight_decay"):
        env.reset_from(jax.random.PRNGKey(0), {"rate": 0.9})


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("num_updates", [20, 500])
def test_schedules_stay_between_nothing_and_their_peak(name, num_updates):
    with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
        rates, scaled = (
            np.asarray(jax.vmap(SCHEDULES[name](rate, num_updates))(jnp.arange(num_updates)))
            for rate in (0.01, 0.02)
        )
    assert rates.shape == (num_updates,)
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    np.testing.assert_allclose(rates.max(), 0.01, rtol=0.02)
    np.testing.assert_allclose(scaled, 2 * rates, rtol=1e-4, atol=1e-9)


def test_names_are_taken_once():
    for registry in (NETWORKS, FEATURES, OPTIMISERS, REWARDS, CONTROLS, SCHEDULES, SYSTEMS):
        name = next(iter(registry))
        with pytest.raises(ValueError, match="registered already"):
            registry.add(name, registry[name])


def test_states_are_frozen():
    state, _ = compiled(shared_env())[0](jax.random.PRNGKey(0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step_count = 3
