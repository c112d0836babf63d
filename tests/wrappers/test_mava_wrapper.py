"""The contract that Mava asks of an environment, without Mava."""

from __future__ import annotations

import copy
import pickle
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jumanji import specs
from jumanji.testing.env_not_smoke import check_env_does_not_smoke, check_env_specs_does_not_smoke
from jumanji.types import StepType

from ganno_env.types import Observation
from ganno_env.wrappers import GlobalObservation, MavaWrapper
from tests.toys import Recall

SPECS = ("observation_spec", "action_spec", "reward_spec", "discount_spec")


@pytest.fixture(scope="module", params=[False, True], ids=["independent", "centralised"])
def wrapped(request, env) -> MavaWrapper:
    return MavaWrapper(env, add_global_state=request.param)


@pytest.fixture(scope="module")
def episode(wrapped):
    step = jax.jit(wrapped.step)
    history = [jax.jit(wrapped.reset)(jax.random.key(0))]
    for _ in range(wrapped.time_limit):
        history.append(step(history[-1][0], jnp.ones((wrapped.num_agents,), jnp.int32)))
    return history


@pytest.mark.parametrize("name", SPECS)
def test_specs_are_attributes_and_callable(wrapped, name):
    spec = getattr(wrapped, name)
    assert spec() is spec
    assert isinstance(spec, specs.Spec)
    assert repr(spec()) == repr(spec)


def test_a_discrete_head_is_chosen(wrapped):
    """Mava looks at the class of the action spec."""
    assert isinstance(wrapped.action_spec(), specs.MultiDiscreteArray)
    assert wrapped.action_dim == int(wrapped.action_spec().num_values[0]) == 9
    assert (wrapped.num_agents, wrapped.time_limit) == (3, 3)
    assert all(type(n) is int for n in (wrapped.num_agents, wrapped.time_limit, wrapped.action_dim))


def test_the_spec_generates_what_is_observed(wrapped, episode):
    """Mava makes the networks' first inputs from the spec."""
    generated = wrapped.observation_spec().generate_value()
    for _, timestep in episode:
        wrapped.observation_spec().validate(timestep.observation)
        assert type(timestep.observation) is type(generated)
        jax.tree.map(
            lambda a, b: np.testing.assert_equal((a.shape, a.dtype), (b.shape, b.dtype)),
            timestep.observation,
            generated,
        )


def test_shapes_and_dtypes(wrapped, episode):
    agents = (wrapped.num_agents,)
    for number, (state, timestep) in enumerate(episode):
        assert timestep.reward.shape == timestep.discount.shape == agents
        assert timestep.reward.dtype == timestep.discount.dtype == jnp.float32
        assert (timestep.step_type.shape, timestep.step_type.dtype) == ((), jnp.int8)
        view, mask, count = (getattr(timestep.observation, name) for name in Observation._fields)
        assert (view.ndim, view.dtype) == (2, jnp.float32)
        assert (mask.shape, mask.dtype) == ((*agents, wrapped.action_dim), jnp.bool_)
        np.testing.assert_array_equal(count, np.full(agents, number))
        assert state.key is not None


def test_an_episode_ends_once_at_its_time_limit(wrapped, episode):
    types = [int(timestep.step_type) for _, timestep in episode]
    assert types == [StepType.FIRST, *[StepType.MID] * (wrapped.time_limit - 1), StepType.LAST]
    np.testing.assert_array_equal(episode[-1][1].discount, np.zeros(wrapped.num_agents))


def test_extras_are_fresh_and_their_keys_stable(wrapped):
    state, first = jax.eval_shape(wrapped.reset, jax.random.key(0))
    action = jnp.zeros((wrapped.num_agents,), jnp.int32)
    _, later = jax.eval_shape(wrapped.step, state, action)
    _, again = jax.eval_shape(wrapped.step, state, action)
    assert set(first.extras) == set(later.extras) == set(again.extras)
    later.extras["episode_metrics"] = {}
    assert "episode_metrics" not in again.extras
    assert "episode_metrics" not in first.extras


class SharedExtras(Recall):
    """An environment that hands out one and the same dictionary, or none."""

    shared: dict | None = None

    def reset(self, key):
        state, timestep = super().reset(key)
        return state, timestep.replace(extras=self.shared)


@pytest.mark.parametrize("shared", [{"right": 0.0}, None])
def test_writing_into_the_extras_touches_nothing_else(shared):
    env = SharedExtras()
    env.shared = shared
    _, timestep = MavaWrapper(env).reset(jax.random.key(0))
    timestep.extras["episode_metrics"] = {}
    assert env.shared == ({"right": 0.0} if shared else None)


def test_reset_and_step_can_be_a_scans_carry(wrapped):
    """As in an auto-reset's `cond`: the two have one structure, the extras' keys included."""
    state, first = jax.eval_shape(wrapped.reset, jax.random.key(0))
    action = jnp.zeros((wrapped.num_agents,), jnp.int32)
    stepped, later = jax.eval_shape(wrapped.step, state, action)
    assert jax.tree.structure((state, first)) == jax.tree.structure((stepped, later))
    jax.tree.map(
        lambda a, b: np.testing.assert_equal((a.shape, a.dtype), (b.shape, b.dtype)),
        (state, first),
        (stepped, later),
    )


def test_every_agent_gets_all_views(env, episode, wrapped):
    for _, timestep in episode:
        seen = timestep.observation
        if not wrapped.add_global_state:
            assert isinstance(seen, Observation)
            continue
        assert isinstance(seen, GlobalObservation)
        assert seen._fields == ("agents_view", "action_mask", "global_state", "step_count")
        for row in seen.global_state:
            np.testing.assert_array_equal(row, np.concatenate(list(seen.agents_view)))


def test_observations_can_be_of_mavas_own_type():
    """Its centralised critics ask for an instance of it."""

    class ObservationGlobalState(NamedTuple):
        agents_view: Array
        action_mask: Array
        global_state: Array
        step_count: Array

    wrapped = MavaWrapper(Recall(), True, ObservationGlobalState)
    _, timestep = wrapped.reset(jax.random.key(0))
    assert type(timestep.observation) is ObservationGlobalState
    assert type(wrapped.observation_spec().generate_value()) is ObservationGlobalState


def test_what_was_observed_and_paid_is_the_environments(env, episode):
    step = jax.jit(env.step)
    inner = [jax.jit(env.reset)(jax.random.key(0))]
    for _ in range(env.time_limit):
        inner.append(step(inner[-1][0], jnp.ones((env.num_agents,), jnp.int32)))
    for (_, own), (_, timestep) in zip(episode, inner, strict=True):
        for name in Observation._fields:
            np.testing.assert_array_equal(
                getattr(own.observation, name), getattr(timestep.observation, name)
            )
        np.testing.assert_array_equal(own.reward, timestep.reward)


def test_jumanjis_own_checks():
    for add_global_state in (False, True):
        wrapped = MavaWrapper(Recall(), add_global_state)
        check_env_does_not_smoke(wrapped)
        check_env_specs_does_not_smoke(wrapped)


class ScalarReward(Recall):
    """What must not reach a system: a reward that broadcasts where E equals N."""

    reward_spec = specs.Array((), jnp.float32, "reward")


def test_scalar_rewards_are_refused():
    with pytest.raises(ValueError, match=r"reward of .* has shape \(\); Mava needs one for each"):
        MavaWrapper(ScalarReward())


@pytest.mark.parametrize("name", SPECS)
def test_specs_are_copied_and_pickled(env, name):
    spec = getattr(MavaWrapper(env), name)
    assert copy.deepcopy(spec) == spec
    if name != "observation_spec":  # its constructor's children are closures, in Jumanji too
        assert pickle.loads(pickle.dumps(spec)) == spec
