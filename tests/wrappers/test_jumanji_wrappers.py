"""Jumanji's own wrappers take every registered environment, under JAX's transformations."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jumanji
import numpy as np
import pytest
from jumanji.wrappers import (
    AutoResetWrapper,
    JumanjiToDMEnvWrapper,
    JumanjiToGymWrapper,
    MultiToSingleWrapper,
    VmapAutoResetWrapper,
    VmapWrapper,
)

import ganno_env
from ganno_env.inner import loop, replicas
from ganno_env.wrappers import MavaWrapper, evaluation_env
from tests.compilation import FUSED_AS_USUAL
from tests.ids import TINY, made_up_images  # noqa: F401
from tests.inputs import slow_if_large

pytestmark = pytest.mark.usefixtures("made_up_images")

NUM_ENVS = 2
SMALLEST = "Ganno-Digits-Cnn2-v0"
QUICK = TINY | {"network": "mlp"}
"""What is compiled or transformed in many ways; the tests of every id have each its own network."""

SINGLE = {
    "none": lambda env: env,
    "auto_reset": AutoResetWrapper,
    "auto_reset_with_next_observation": lambda env: AutoResetWrapper(env, next_obs_in_extras=True),
    "multi_to_single": MultiToSingleWrapper,
    "auto_reset_of_a_single_agent": lambda env: AutoResetWrapper(MultiToSingleWrapper(env)),
    "auto_reset_for_mava": lambda env: AutoResetWrapper(MavaWrapper(env, add_global_state=True)),
    "auto_reset_of_an_evaluation": lambda env: AutoResetWrapper(evaluation_env(env)),
}
BATCHED = {
    "vmap": VmapWrapper,
    "vmap_auto_reset": VmapAutoResetWrapper,
    "vmap_of_auto_reset": lambda env: VmapWrapper(AutoResetWrapper(env)),
    "vmap_of_multi_to_single": lambda env: VmapWrapper(MultiToSingleWrapper(env)),
}


@pytest.fixture(scope="module")
def traced_once():
    """Environments by name, whose own functions are traced once for whatever is around them."""

    @functools.cache
    def make(name, **changes):
        env = jumanji.make(name, **(TINY | changes))
        env.reset, env.step = jax.jit(env.reset), jax.jit(env.step)
        return env

    return make


def scanned(env, state, action):
    return jax.lax.scan(lambda now, _: env.step(now, action), state, length=2)


def step_where(env, wanted, state, timestep, action):
    """As in an auto-reset: `vmap` makes of this `cond` a `select` over both of its branches."""
    return jax.lax.cond(
        wanted, lambda now, _: env.step(now, action), lambda *now: now, state, timestep
    )


def reset_where(env, wanted, state, timestep):
    return jax.lax.cond(
        wanted, lambda now, _: env.reset(now.key), lambda *now: now, state, timestep
    )


def play(env, keys, actions):
    """Everything at once, on environments side by side."""
    vmap = jax.vmap
    states, first = vmap(env.reset)(keys)
    wanted = jnp.arange(len(keys)) > 0
    stepped = vmap(env.step)(states, actions)
    return (
        stepped,
        vmap(lambda *args: scanned(env, *args))(states, actions),
        vmap(lambda *args: step_where(env, *args))(wanted, states, first, actions),
        vmap(lambda *args: reset_where(env, *args))(wanted, states, first),
    )


def arguments(env, *batch):
    keys = jnp.broadcast_to(jax.random.PRNGKey(0), (*batch, 2))
    return keys, jnp.zeros((*batch, env.num_agents), jnp.int32)


@pytest.mark.parametrize("name", SINGLE)
def test_wrappers_can_be_transformed(name, traced_once):
    env = SINGLE[name](traced_once(SMALLEST, network="mlp"))
    jax.eval_shape(lambda *args: play(env, *args), *arguments(env, NUM_ENVS))


@pytest.mark.parametrize("name", BATCHED)
def test_wrappers_that_batch_can_be_transformed(name, traced_once):
    """Once more by `vmap`, as Mava's `update_batch_size` does."""
    env = BATCHED[name](traced_once(SMALLEST, network="mlp"))
    jax.eval_shape(lambda *args: play(env, *args), *arguments(env, 2, NUM_ENVS))


@pytest.mark.parametrize("name", slow_if_large(ganno_env.ENVIRONMENTS))
def test_every_id_can_be_vmapped_with_auto_reset(name, traced_once):
    env = traced_once(name)
    keys, actions = arguments(env, NUM_ENVS)

    def episode(keys, actions):
        vector = VmapAutoResetWrapper(env)
        return scanned(vector, vector.reset(keys)[0], actions)

    state, timestep = jax.eval_shape(episode, keys, actions)
    assert timestep.reward.shape == (2, NUM_ENVS, env.num_agents)
    assert state.step_count.shape == (NUM_ENVS,)


@pytest.mark.parametrize("name", slow_if_large(ganno_env.ENVIRONMENTS))
def test_every_id_is_a_gym_environment(name, traced_once):
    """Gym has one reward a step, so agents are made one first."""
    env = JumanjiToGymWrapper(MultiToSingleWrapper(traced_once(name)))
    assert env.action_space.sample().shape == (env.unwrapped.num_agents,)
    state, *_ = jax.eval_shape(env._reset, jax.random.PRNGKey(0))
    _, observation, *_ = jax.eval_shape(env._step, state, env.action_space.sample())
    for name, space in env.observation_space.items():
        seen = getattr(observation, name)
        assert (seen.shape, seen.dtype) == (space.shape, space.dtype)


def test_gym_and_deep_mind_environments_play():
    env = jumanji.make(SMALLEST, **QUICK)
    gym, deep_mind = JumanjiToGymWrapper(MultiToSingleWrapper(env)), JumanjiToDMEnvWrapper(env)
    observation, info = gym.reset(seed=0)
    deep_mind.reset()
    for ends in (False, False, True):
        assert gym.observation_space.contains(observation)
        action = gym.action_space.sample()
        observation, reward, terminated, truncated, info = gym.step(action)
        assert isinstance(reward, float)
        assert terminated == truncated == ends == deep_mind.step(action).last()
    assert info["validation_accuracy"] >= 0


@pytest.mark.slow
def test_auto_reset_under_vmap_is_stepping_and_resetting_by_hand():
    env = jumanji.make(SMALLEST, **QUICK, learning_rate=0.01)
    vector = VmapAutoResetWrapper(env)
    keys = jax.random.split(jax.random.PRNGKey(3), NUM_ENVS)
    plan = jax.random.randint(jax.random.PRNGKey(4), (5, NUM_ENVS, env.num_agents), 0, 9, jnp.int32)

    @jax.jit
    def together(keys, plan):
        state, _ = vector.reset(keys)
        # One is a step ahead, so that episodes do not end together.
        ahead = jax.vmap(env.step)(state, plan[0])[0]
        state = jax.tree.map(lambda a, b: jnp.stack([a[0], b[1]]), ahead, state)
        return jax.lax.scan(vector.step, state, plan)

    _, timesteps = together(keys, plan)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    for e in range(NUM_ENVS):
        state, _ = reset(keys[e])
        if e == 0:
            state, _ = step(state, plan[0, 0])
        for t in range(len(plan)):
            state, timestep = step(state, plan[t, e])
            if timestep.last():
                state, fresh = reset(jax.random.split(state.key)[0])
                timestep = timestep.replace(observation=fresh.observation)
            got = jax.tree.map(lambda x, t=t, e=e: x[t, e], timesteps)
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, timestep
            )
    assert sorted(map(tuple, np.argwhere(timesteps.last()))) == [(1, 0), (2, 1), (4, 0)]


@pytest.mark.parametrize("how", [replicas.in_turn, replicas.side_by_side])
def test_a_cond_under_vmap_copies_no_data(how, monkeypatch):
    monkeypatch.setattr(loop, "replicated", how)
    env = jumanji.make(SMALLEST, **QUICK)
    reset = jax.vmap(lambda *args: reset_where(env, *args))
    keys, _ = arguments(env, NUM_ENVS)
    begun = jax.eval_shape(jax.vmap(env.reset), keys)
    lowered = jax.jit(reset).lower(jnp.zeros(NUM_ENVS, bool), *begun)
    program = lowered.compile(FUSED_AS_USUAL).as_text()
    images = "u8[{},8,8,1]"
    assert images.format(QUICK["train_size"]) in program
    assert images.format(f"{NUM_ENVS},{QUICK['train_size']}") not in program
