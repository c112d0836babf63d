import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.vector import VectorEnv
from tests.toys import Recall

ENVS, STEPS = 3, 11


def play(env, vector_env):
    keys = jax.random.split(jax.random.PRNGKey(0), ENVS)
    shape = (STEPS, ENVS, env.num_agents)
    actions = jax.random.randint(jax.random.PRNGKey(1), shape, 0, env.action_dim, jnp.int32)
    state, first = jax.jit(vector_env.reset)(keys)
    _, timesteps = jax.jit(lambda s, a: jax.lax.scan(vector_env.step, s, a))(state, actions)
    return keys, actions, first, timesteps


@pytest.mark.parametrize("times_out", [False, True])
def test_equals_stepping_and_resetting_each_environment_by_hand(times_out):
    env = Recall(time_limit=4, times_out=times_out)
    keys, actions, first, timesteps = play(env, VectorEnv(env))
    for e in range(ENVS):
        state, timestep = env.reset(keys[e])
        np.testing.assert_array_equal(first.observation.agents_view[e], timestep.observation[0])
        episode_return, length = 0.0, 0
        for t in range(STEPS):
            state, timestep = env.step(state, actions[t, e])
            got = jax.tree.map(lambda x, t=t, e=e: x[t, e], timesteps)
            episode_return, length = episode_return + float(timestep.reward.mean()), length + 1
            for a, b in zip(got.next_observation, timestep.observation, strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_allclose(got.reward, timestep.reward)
            np.testing.assert_array_equal(got.discount, timestep.discount)
            assert got.last == (length == 4)
            assert got.discount.max() == (0.0 if got.last and not times_out else 1.0)
            np.testing.assert_allclose(got.episode_return, episode_return, rtol=1e-6)
            assert got.episode_length == length
            np.testing.assert_allclose(got.extras["right"], timestep.extras["right"])
            if got.last:
                key, _ = jax.random.split(state.key)
                state, timestep = env.reset(key)
                episode_return, length = 0.0, 0
            for a, b in zip(got.observation, timestep.observation, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_reset_is_computed_only_on_steps_that_end_an_episode():
    resets = []

    class Counting(Recall):
        def reset(self, key):
            jax.debug.callback(lambda: resets.append(1))
            return super().reset(key)

    env = Counting(time_limit=4)
    vector_env = VectorEnv(env)
    step = jax.jit(vector_env.step)
    state, _ = jax.jit(vector_env.reset)(jax.random.split(jax.random.PRNGKey(0), ENVS))
    counts = []
    for _ in range(5):
        state, _ = step(state, jnp.zeros((ENVS, env.num_agents), jnp.int32))
        jax.effects_barrier()
        counts.append(len(resets))
    assert counts[0] == counts[1] == counts[2] > 0
    assert counts[3] > counts[2]
    assert counts[4] == counts[3]


def test_refuses_a_reward_that_is_not_one_for_each_agent():
    class Scalar(Recall):
        def step(self, state, action):
            state, timestep = super().step(state, action)
            return state, timestep.replace(reward=timestep.reward.mean())

    env = Scalar(num_agents=4)
    vector_env = VectorEnv(env)
    # As many environments as agents: it would be broadcast without a word.
    state, _ = vector_env.reset(jax.random.split(jax.random.PRNGKey(0), 4))
    with pytest.raises(ValueError, match=r"reward has shape \(\); it must be one for each"):
        jax.eval_shape(vector_env.step, state, jnp.zeros((4, 4), jnp.int32))
