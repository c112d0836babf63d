"""Agents as a gradient transformation: what it composes with, keeps and refuses."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import ganno
from ganno.optax import AgentsState, history, schedule_by_agents
from tests.ganno.policies import observing

RATE, STEPS = 1e-3, 31 * 2
SIZES = {"dense_0": (4, 6), "dense_1": (6, 2)}
NAMES = tuple(SIZES)
PARAMS = {
    name: {"kernel": jax.random.normal(jax.random.key(0), size) / 2, "bias": jnp.ones(size[1])}
    for name, size in SIZES.items()
}


def gradients(count):
    """Random ones, which say nothing of a loss: none is needed here."""
    keys = jax.random.split(jax.random.key(7), count)
    return [
        jax.tree.map(lambda x, key=key: jax.random.normal(key, x.shape), PARAMS) for key in keys
    ]


GRADIENTS = gradients(STEPS + 4)


@functools.cache
def compiled(optimiser):
    """An update by an optimiser."""

    @jax.jit
    def step(params, state, gradient, extra):
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
            updates, state = optimiser.update(gradient, state, params, **extra)
        return optax.apply_updates(params, updates), state

    return step


def run(optimiser, params, state, numbers, **extra):
    """The parameters and the state after updates."""
    step = compiled(optimiser)
    for i in numbers:
        told = {name: jnp.float32(function(i)) for name, function in extra.items()}
        params, state = step(params, state, GRADIENTS[i], told)
    return params, state


def chain(**changes):
    options = {"total_steps": STEPS, "learning_rate": RATE}
    return optax.chain(optax.scale_by_adam(), schedule_by_agents(**(options | changes)))


def agents(state) -> AgentsState:
    return state[-1]


def test_each_layer_moves_by_its_own_rate():
    optimiser = optax.chain(schedule_by_agents(total_steps=STEPS, learning_rate=RATE))
    params, state = run(optimiser, PARAMS, optimiser.init(PARAMS), range(1))
    rates = agents(state).learning_rate
    for name in NAMES:
        for part, before in PARAMS[name].items():
            moved = before - rates[name] * GRADIENTS[0][name][part]
            np.testing.assert_allclose(params[name][part], moved, rtol=1e-6)


def test_agents_in_numpy_decide_alike():
    """From norms in NumPy of parameters and updates, before and after two decisions."""
    optimiser = chain()
    agent = ganno.Agent("pretrained", ["linear"] * 2, RATE)
    adam = optax.scale_by_adam()
    params, state, inner = PARAMS, optimiser.init(PARAMS), adam.init(PARAMS)
    norm = lambda tree: [optax.tree.norm(tree[name]) for name in NAMES]  # noqa: E731
    update = None
    for i in range(5):
        with jax.numpy_dtype_promotion("standard"):
            direction, inner = adam.update(GRADIENTS[i], inner)
        if i % 2 == 0:  # what the last update was; before any, what the first will be
            seen = norm(update or direction)
            agent.decide(i / STEPS, weight_norm=norm(params), update_norm=seen)
        params, state = run(optimiser, params, state, [i])
        update = direction
    found = history(state, params)
    np.testing.assert_allclose(found.features, agent.history.features, atol=1e-5)
    np.testing.assert_array_equal(found.rates, agent.history.rates)
    np.testing.assert_allclose(found.progress, [0, 2 / STEPS, 4 / STEPS])


def test_losses_are_means_since_the_last_decision():
    policy = observing("train_loss", "validation_loss")
    optimiser = chain(policy=policy, every=3)
    extra = {"value": lambda i: i + 1.0, "validation_loss": lambda i: 0.5 + i}
    params, state = run(optimiser, PARAMS, optimiser.init(PARAMS), range(7), **extra)
    seen = history(state, params, policy).features[:3, 0]
    np.testing.assert_allclose(seen, [[1.0, 0.5], [2.0, 3.5], [5.0, 6.5]])
    with pytest.raises(ValueError, match=r"observes train_loss, .* pass it to update: value="):
        run(optimiser, PARAMS, optimiser.init(PARAMS), range(1))


def test_gradients_are_observed_where_they_are_given():
    policy = observing("gradient_norm", "weight_mean", "weight_variance")
    optimiser = schedule_by_agents(policy, total_steps=STEPS)
    with pytest.raises(ValueError, match="observes gradient_norm"):
        optimiser.update(GRADIENTS[0], optimiser.init(PARAMS), PARAMS)
    _, state = optimiser.update(
        GRADIENTS[0], optimiser.init(PARAMS), PARAMS, grad=GRADIENTS[1], value=None
    )
    for i, name in enumerate(NAMES):
        weights, slopes = (
            np.concatenate([np.ravel(x) for x in tree[name].values()])
            for tree in (PARAMS, GRADIENTS[1])
        )
        expected = np.linalg.norm(slopes), weights.mean(), weights.var()
        np.testing.assert_allclose(state.features[0, i], expected, rtol=1e-5)


def test_rates_end_where_they_are():
    """Beyond the last update that was announced, and whatever is seen."""
    optimiser = chain(policy=observing("update_norm", action_names=("noop", "*100", "=0.9")))
    params, state = run(optimiser, PARAMS, optimiser.init(PARAMS), range(STEPS))
    after = run(optimiser, params, state, range(STEPS, STEPS + 4))[1]
    assert agents(after).learning_rate == agents(state).learning_rate
    rates = agents(state).rates
    assert rates.min() >= np.float32(1e-4)
    assert rates.max() <= np.float32(1e-2)


def test_what_is_not_finite_lowers_rates():
    optimiser = schedule_by_agents(total_steps=STEPS, every=1, bounds=(1e-5, 1.0))
    broken = jax.tree.map(lambda x: x * jnp.nan, GRADIENTS[0])
    _, state = optimiser.update(broken, optimiser.init(PARAMS), PARAMS)
    np.testing.assert_allclose(list(state.learning_rate.values()), 1e-4)
    np.testing.assert_array_equal(state.actions[0], -1)


@pytest.mark.parametrize("greedy", [True, False])
def test_a_restored_run_goes_on_as_if_never_stopped(tmp_path, greedy):
    """By Orbax, in the midst of the updates between two decisions; bit for bit."""
    optimiser = chain(greedy=greedy, every=4)
    start = optimiser.init(PARAMS)
    whole = run(optimiser, PARAMS, start, range(21))
    half = run(optimiser, PARAMS, start, range(10))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "half", half)
        checkpointer.wait_until_finished()
        like = jax.tree.map(jnp.zeros_like, (PARAMS, start))
        restored = checkpointer.restore(tmp_path / "half", like)
    resumed = run(optimiser, *restored, range(10, 21))
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    assert isinstance(agents(resumed[1]), AgentsState)


def test_actions_are_replayed():
    first = run(chain(greedy=False, seed=3), PARAMS, chain().init(PARAMS), range(9))
    again = chain(replay=history(first[1], PARAMS))
    second = run(again, PARAMS, again.init(PARAMS), range(9))
    np.testing.assert_array_equal(agents(second[1]).rates, agents(first[1]).rates)


WRAPPED = {
    "multi_steps": lambda inner: optax.MultiSteps(inner, 2).gradient_transformation(),
    "finite": lambda inner: optax.apply_if_finite(inner, 3),
    "masked": lambda inner: optax.chain(optax.masked(optax.clip(1.0), True), inner),
    "flatten": lambda inner: optax.chain(optax.flatten(optax.clip_by_global_norm(1e3)), inner),
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_it_works_with_what_optax_has(wrapper):
    optimiser = WRAPPED[wrapper](chain())
    params, state = run(optimiser, PARAMS, optimiser.init(PARAMS), range(6))
    rates = optax.tree_utils.tree_get(state, "learning_rate")
    assert set(rates) == set(NAMES)
    number = len(history(state, params))
    assert number == (2 if wrapper == "multi_steps" else 3)


def test_parameters_may_be_on_several_devices():
    mesh = Mesh(np.array(jax.devices()[:2]), ("x",))
    spread = NamedSharding(mesh, PartitionSpec(None))
    over = NamedSharding(mesh, PartitionSpec("x"))
    params = jax.tree.map(
        lambda x: jax.device_put(x, over if x.shape[0] % 2 == 0 else spread), PARAMS
    )
    optimiser = chain()
    sharded = run(optimiser, params, jax.jit(optimiser.init)(params), range(5))
    plain = run(optimiser, PARAMS, optimiser.init(PARAMS), range(5))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), sharded, plain
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "pretraned"}, "did you mean 'pretrained'"),
        ({"total_steps": 30}, "fewer than 31 decisions"),
        ({"learning_rate": -1.0}, "of at least 0"),
        ({"policy": observing("wibble")}, "unknown feature 'wibble'"),
    ],
)
def test_what_cannot_be_is_refused_as_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        schedule_by_agents(**({"total_steps": STEPS} | options))


def test_the_state_of_another_model_is_refused():
    optimiser = schedule_by_agents(total_steps=STEPS)
    one = {"dense_0": PARAMS["dense_0"]}
    with pytest.raises(
        ValueError, match="is of the layers dense_0, and the parameters have dense_0, "
    ):
        optimiser.update(GRADIENTS[0], optimiser.init(one), PARAMS)


def test_parameters_are_needed():
    optimiser = schedule_by_agents(total_steps=STEPS)
    with pytest.raises(ValueError, match="give params to update"):
        optimiser.update(GRADIENTS[0], optimiser.init(PARAMS))
    with pytest.raises(ValueError, match="there are no layers"):
        optax.flatten(chain()).init(PARAMS)
