"""Episodes of one small environment, whose steps are compiled once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jumanji.types import StepType

from ganno_env.inner import example_indices
from tests import small
from tests.env.acting import actions_of


@pytest.fixture(scope="module")
def env():
    return small.shared_env()


@pytest.fixture(scope="module")
def compiled(env):
    return small.compiled(env)


def assert_identical(a, b):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


@pytest.mark.parametrize("others", [(99, -5), (9, 9), (-1, -9), (2**31 - 1, -(2**31))])
def test_what_is_no_action_is_the_no_op(env, compiled, others):
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(3))
    moved, _ = step(state, actions_of(env, 7, 8))
    assert_identical(step(moved, actions_of(env, *others)), step(moved, actions_of(env, 0, 0)))


@pytest.mark.parametrize("choices", [(7, 0), (0, 7), (2, 4)])
def test_the_reward_is_the_difference_of_two_runs(env, compiled, choices):
    """Recomputed from two runs of the inner loop, whose rates are worked out by hand."""
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(5))
    after, timestep = step(state, actions_of(env, *choices))
    rates = np.asarray(state.controls["learning_rate"])
    changed = {7: rates + 0.001, 0: rates, 2: rates * 1.1, 4: rates / 1.1}
    acted = np.array([changed[choice][layer] for layer, choice in enumerate(choices)])
    indices = example_indices(
        state.data_key,
        jnp.uint32(0),
        env.updates_per_step * env.batch_size,
        env.task.data.train.size,
    ).reshape(env.updates_per_step, env.batch_size)
    accuracies = []
    for values in (acted, rates):
        held = {
            "learning_rate": jnp.tile(jnp.asarray(values, jnp.float32), (1, 5, 1)),
            "weight_decay": jnp.tile(state.controls["weight_decay"], (1, 5, 1)),
        }
        _, metrics, _ = env.inner.step(state.inner, held, indices)
        accuracies.append(float(metrics.validation_accuracy[0]))
    np.testing.assert_allclose(timestep.reward, accuracies[0] - accuracies[1], atol=1e-6)
    np.testing.assert_allclose(after.controls["learning_rate"], acted, rtol=1e-6)


def test_an_agent_changes_its_own_layer_alone(env, compiled):
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(1))
    for layer in range(env.num_layers):
        action = jnp.zeros((env.num_agents,), jnp.int32).at[layer].set(7)
        after, _ = step(state, action)
        moved = np.asarray(after.controls["learning_rate"] != state.controls["learning_rate"])
        np.testing.assert_array_equal(moved, np.arange(env.num_layers) == layer)


def test_the_same_key_gives_the_same_episode(env, compiled):
    reset, step = compiled

    def episode():
        state, timestep = reset(jax.random.PRNGKey(3))
        history = [timestep]
        for i in range(env.time_limit):
            state, timestep = step(state, actions_of(env, i % 9, (2 * i) % 9))
            history.append(timestep)
        return state, history

    assert_identical(episode(), episode())


def test_other_keys_give_other_episodes(compiled):
    reset, _ = compiled
    one, other = (reset(jax.random.PRNGKey(seed))[0] for seed in (0, 1))
    assert one.controls["learning_rate"][0] != other.controls["learning_rate"][0]
    assert one.controls["weight_decay"][0] != other.controls["weight_decay"][0]
    first = [s.inner.params["linear"]["kernel"][0, 0] for s in (one, other)]
    assert first[0] != first[1]


@pytest.mark.slow
def test_jit_vmap_and_scan_change_nothing(env, compiled):
    reset, step = compiled
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    plan = jnp.array([[1, 2], [7, 0], [4, 8]], jnp.int32)

    def episode(key):
        state, _ = env.reset(key)
        return jax.lax.scan(env.step, state, plan)

    one_by_one = []
    for key in keys:
        state, _ = reset(key)
        history = []
        for action in plan:
            state, timestep = step(state, action)
            history.append(timestep)
        one_by_one.append((state, jax.tree.map(lambda *x: jnp.stack(x), *history)))
    expected = jax.tree.map(lambda *x: jnp.stack(x), *one_by_one)
    batched = jax.jit(jax.vmap(episode))(keys)
    with jax.disable_jit(False):
        plain_state, plain = env.step(env.reset(keys[0])[0], plan[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
                 jax.device_get(batched), jax.device_get(expected))  # fmt: skip
    np.testing.assert_allclose(plain.reward, expected[1].reward[0, 0], atol=1e-6)
    assert int(plain_state.step_count) == 1


def test_one_trace_serves_every_step(env, compiled):
    reset, _ = compiled
    traces = []

    def step(state, action):
        traces.append(1)
        return env.step(state, action)

    stepped = jax.jit(step)
    state, _ = reset(jax.random.PRNGKey(0))
    for _ in range(env.time_limit):
        state, timestep = stepped(state, actions_of(env, 1, 2))
        state, timestep = jax.device_put((state, timestep))
    assert len(traces) == 1
    fresh, first = reset(jax.random.PRNGKey(1))
    stepped(fresh, actions_of(env, 0, 0))
    assert len(traces) == 1
    assert jax.tree.map(jax.typeof, first) == jax.tree.map(jax.typeof, timestep)


def test_an_episode_ends_as_a_termination(env, compiled):
    reset, step = compiled
    state, timestep = reset(jax.random.PRNGKey(0))
    assert timestep.step_type == StepType.FIRST
    np.testing.assert_array_equal(timestep.discount, 1.0)
    for number in range(1, env.time_limit + 1):
        state, timestep = step(state, actions_of(env, 0, 0))
        last = number == env.time_limit
        assert timestep.step_type == (StepType.LAST if last else StepType.MID)
        np.testing.assert_array_equal(timestep.discount, 0.0 if last else 1.0)
        np.testing.assert_array_equal(timestep.observation.step_count, number)
        assert int(state.inner.num_updates) == number * env.updates_per_step


def test_following_constant_rates_is_doing_nothing(env, compiled):
    reset, step = compiled
    state, _ = reset(jax.random.PRNGKey(2))
    rates = jnp.tile(state.controls["learning_rate"], (env.updates_per_step, 1))
    followed, timestep = jax.jit(env.step_with_controls)(state, {"learning_rate": rates})
    stepped, other = step(state, actions_of(env, 0, 0))
    # Two programs, of one branch and of two, may round differently in the last place.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), followed, stepped
    )
    np.testing.assert_array_equal(timestep.reward, 0.0)
    assert jax.tree.structure(timestep) == jax.tree.structure(other)


def test_runs_with_one_key_are_paired(env):
    initial = {"weight_decay": jnp.float32(0.1)}
    reset_from = jax.jit(env.reset_from)
    one, other = (
        reset_from(jax.random.PRNGKey(0), initial | {"learning_rate": jnp.float32(rate)})[0]
        for rate in (0.0, 0.01)
    )
    assert_identical(one.inner, other.inner)
    np.testing.assert_array_equal(
        jax.random.key_data(one.data_key), jax.random.key_data(other.data_key)
    )
