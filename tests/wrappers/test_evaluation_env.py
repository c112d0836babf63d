from __future__ import annotations

import dataclasses
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env import datasets, networks, tasks, wrappers
from ganno_env.inner import loop
from ganno_env.inner.loss import evaluate
from ganno_env.types import InputSpec
from ganno_env.wrappers import EvaluationEnv, evaluation_env
from tests.small import compiled
from tests.wrappers.conftest import small_env


@pytest.fixture(scope="module")
def last_only(env) -> EvaluationEnv:
    return evaluation_env(env)


@pytest.fixture(scope="module")
def every_step(env) -> EvaluationEnv:
    return evaluation_env(env, every_step=True)


def play(env, key, act=lambda step: 0):
    """States and timesteps of one episode, the reset first."""
    reset, step = compiled(env)
    history = [reset(key)]
    for number in range(env.time_limit):
        action = jnp.full((env.num_agents,), act(number), jnp.int32)
        history.append(step(history[-1][0], action))
    return history


def accuracies_by_hand(env, states):
    """With NumPy and the network's own logits, on the whole test split at once."""
    data = env.task.data
    pixels = np.asarray(data.train.inputs) / 255.0
    images = np.asarray(data.test.inputs) / 255.0
    images = (images - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2))
    images = jnp.asarray(images, jnp.float32)
    apply = jax.jit(
        lambda inner: env.network.apply(inner.params, inner.network_state, images, False)
    )
    logits = [apply(state.inner)[0] for state in states]
    return [np.mean(np.argmax(x, axis=-1) == np.asarray(data.test.targets)) for x in logits]


def test_it_is_the_accuracy_on_the_official_test_split(every_step, last_only):
    key = jax.random.key(1)
    states, timesteps = zip(*play(every_step, key), strict=True)
    expected = accuracies_by_hand(every_step, states)
    measured = [float(ts.extras["test_accuracy"]) for ts in timesteps]
    at_the_end = [float(ts.extras["test_accuracy"]) for _, ts in play(last_only, key)]
    np.testing.assert_allclose(measured, expected, atol=1e-6)
    np.testing.assert_allclose(at_the_end[-1], expected[-1], atol=1e-6)
    assert not any(at_the_end[:-1])
    assert expected[-1] > expected[0]


def test_all_else_is_the_inner_environments(env, last_only):
    inner = env.replace(reward=wrappers.SINGLE_BRANCH_REWARD)
    histories = (play(e, jax.random.key(2), lambda n: n) for e in (inner, last_only))
    for (state, timestep), (own_state, own) in zip(*histories, strict=True):
        assert set(own.extras) == set(timestep.extras) | {"test_accuracy"}
        rest = {k: v for k, v in own.extras.items() if k != "test_accuracy"}
        jax.tree.map(
            np.testing.assert_array_equal,
            (own_state.inner.params, dataclasses.replace(own, extras=rest)),
            (state.inner.params, timestep),
        )


def test_evaluation_has_no_second_branch(env, last_only):
    assert env.reward.needs_no_op
    assert not last_only.reward.needs_no_op
    history = play(last_only, jax.random.key(0))
    rewards = [float(timestep.reward[0]) for _, timestep in history[1:]]
    gained = [float(history[n][1].extras["validation_accuracy"]) for n in (0, -1)]
    np.testing.assert_allclose(sum(rewards), gained[1] - gained[0], atol=1e-6)


def test_vmap_and_scan_change_nothing(last_only):
    keys = jax.random.split(jax.random.key(3), 2)
    action = jnp.zeros((last_only.num_agents,), jnp.int32)

    def episode(key):
        def step(state, _):
            state, timestep = last_only.step(state, action)
            return state, timestep.extras["test_accuracy"]

        state, timestep = last_only.reset(key)
        _, accuracies = jax.lax.scan(step, state, None, length=last_only.time_limit)
        return timestep.extras["test_accuracy"], accuracies

    first, accuracies = jax.jit(jax.vmap(episode))(keys)
    alone = [play(last_only, key)[-1][1].extras["test_accuracy"] for key in keys]
    np.testing.assert_allclose(accuracies[:, -1], alone, atol=1e-6)
    assert not np.any(first)
    assert not np.any(accuracies[:, :-1])


def test_under_vmap_the_test_split_waits_for_the_last_step(env, monkeypatch):
    """A `select` would measure it on every step of every environment."""
    measured = []

    def counting(params, network, network_state, task, split):
        if split is task.data.test:
            jax.debug.callback(lambda: measured.append(1))
        return evaluate(params, network, network_state, task, split)

    monkeypatch.setattr(loop, "evaluate", counting)
    wrapped = evaluation_env(env)
    state, _ = jax.jit(jax.vmap(wrapped.reset))(jax.random.split(jax.random.key(0), 2))
    step = jax.jit(jax.vmap(wrapped.step))
    counts = []
    for _ in range(wrapped.time_limit):
        state, _ = step(state, jnp.zeros((2, wrapped.num_agents), jnp.int32))
        jax.effects_barrier()
        counts.append(len(measured))
    assert counts == [0] * (wrapped.time_limit - 1) + [2]


def test_shapes_and_dtypes_are_the_same_at_reset_and_step(every_step, last_only):
    for env in (every_step, last_only):
        _, first = jax.eval_shape(env.reset, jax.random.key(0))
        state, _ = jax.eval_shape(env.reset, jax.random.key(0))
        _, later = jax.eval_shape(env.step, state, jnp.zeros((env.num_agents,), jnp.int32))
        assert jax.tree.structure(first) == jax.tree.structure(later)
        of_first, of_later = (
            [(x.shape, x.dtype) for x in jax.tree.leaves(timestep)] for timestep in (first, later)
        )
        assert of_first == of_later


def test_schedules_and_given_initial_conditions_are_measured_too(every_step):
    initial = {"learning_rate": jnp.float32(0.01), "weight_decay": jnp.float32(0.0)}
    state, first = jax.jit(every_step.reset_from)(jax.random.key(0), initial)
    rates = jnp.full((every_step.updates_per_step, every_step.num_layers), 0.01)
    state, timestep = jax.jit(every_step.step_with_controls)(state, {"learning_rate": rates})
    assert float(first.extras["test_accuracy"]) > 0
    (expected,) = accuracies_by_hand(every_step, [state])
    np.testing.assert_allclose(timestep.extras["test_accuracy"], expected, atol=1e-6)


def test_a_diverged_network_still_has_a_number():
    env = evaluation_env(small_env(optimiser="sgd"), learning_rate=1.0, every_step=True)
    for _, timestep in play(env, jax.random.key(0)):
        assert np.isfinite(timestep.extras["test_accuracy"])


def test_it_evaluates_another_problem(env):
    data = datasets.load("digits", train_size=128, validation_size=64, test_size=50)
    task = tasks.build(data)
    network = networks.build("cnn3", task.input_spec, task.num_outputs, {"width": 0.25})
    other = evaluation_env(
        env, task=task, network=network, learning_rate=0.0, weight_decay=(1e-4, 1e-3)
    )
    assert (other.num_agents, other.task.data.test.size) == (3, 50)
    state, timestep = jax.jit(other.reset)(jax.random.key(0))
    np.testing.assert_array_equal(state.controls["learning_rate"], np.zeros(3))
    assert 1e-4 <= float(state.initial_controls["weight_decay"]) <= 1e-3
    other.observation_spec.validate(timestep.observation)
    assert env.initial_ranges["learning_rate"] == (0.003, 0.003)


def test_replace_keeps_the_wrapper(every_step):
    replaced = every_step.replace(learning_rate=0.5)
    assert isinstance(replaced, EvaluationEnv)
    assert replaced.every_step
    assert replaced.initial_ranges["learning_rate"] == (0.5, 0.5)


@pytest.mark.parametrize(
    ("images", "classes", "message"),
    [
        ((28, 28, 1), 10, r"does not take inputs of \[8, 8, 1\] numbers"),
        ((8, 8, 1), 7, r"outputs of \[7\] for an example and digits needs \[10\]"),
    ],
)
def test_a_network_for_another_dataset_is_refused(env, images, classes, message):
    network = networks.build("mlp", InputSpec(images), classes)
    with pytest.raises(ValueError, match=message):
        evaluation_env(env, network=network)


def test_a_rate_out_of_range_is_refused(env):
    with pytest.raises(ValueError, match="beyond its bounds"):
        evaluation_env(env, learning_rate=2.0)


def test_no_step_is_traced_twice(env):
    with mock.patch.object(loop, "evaluate", wraps=evaluate) as traces:
        wrapped = evaluation_env(env)
        step = jax.jit(wrapped.step)
        state, _ = jax.jit(wrapped.reset)(jax.random.key(0))
        action = jnp.zeros((wrapped.num_agents,), jnp.int32)
        state, _ = step(state, action)
        traced = traces.call_count
        step(state, action)
        assert traces.call_count == traced
