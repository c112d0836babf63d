import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.ppo.gae import generalised_advantages, sequence_starts, to_sequences


def numpy_advantages(reward, discount, last, value, next_value, gamma, gae_lambda):
    """Sums of discounted one-step errors, each up to its episode's end: the definition."""
    steps = reward.shape[0]
    advantages = np.zeros_like(reward, np.float64)
    for e in range(reward.shape[1]):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                bootstrap = gamma * discount[k, e] * next_value[k, e]
                advantages[t, e] += weight * (reward[k, e] + bootstrap - value[k, e])
                weight = weight * gamma * gae_lambda
                if last[k, e]:
                    break
    return advantages


@pytest.mark.parametrize("gae_lambda", [0.0, 0.9, 1.0])
def test_advantages_match_their_definition(gae_lambda):
    random = np.random.default_rng(0)
    shape = (12, 3, 2)
    reward, value, next_value = random.normal(size=(3, *shape)).astype(np.float32)
    last = random.random(shape[:2]) < 0.3
    terminated = last & (random.random(shape[:2]) < 0.5)
    assert (last & ~terminated).any()
    assert terminated.any()
    discount = np.broadcast_to((~terminated)[..., None], shape).astype(np.float32)
    arrays = (reward, discount, last, value, next_value)
    factors = {"gamma": 0.97, "gae_lambda": gae_lambda}
    np.testing.assert_allclose(
        jax.jit(functools.partial(generalised_advantages, **factors))(*arrays),
        numpy_advantages(*arrays, **factors),
        atol=1e-5,
    )


def test_a_termination_has_no_future_and_a_time_out_has_one():
    one = jnp.ones((1, 1, 1))
    last = jnp.ones((1, 1), bool)
    terminated = generalised_advantages(one, 0 * one, last, 2 * one, 10 * one, 0.5, 0.9)
    timed_out = generalised_advantages(one, one, last, 2 * one, 10 * one, 0.5, 0.9)
    assert terminated.item() == 1 - 2
    assert timed_out.item() == 1 + 0.5 * 10 - 2


def test_sequences_are_contiguous_in_time_and_of_one_environment():
    steps, num_envs, length = 12, 3, 4
    time, env = jnp.meshgrid(jnp.arange(steps), jnp.arange(num_envs), indexing="ij")
    rollout = {"time": time, "env": env, "wide": jnp.stack([time, env], axis=-1)}
    sequences = to_sequences(rollout, length)
    assert sequences["wide"].shape == (length, steps // length * num_envs, 2)
    assert (np.diff(sequences["time"], axis=0) == 1).all()
    assert (np.diff(sequences["env"], axis=0) == 0).all()
    starts = {(int(t), int(e)) for t, e in sequence_starts(rollout["wide"], length)}
    assert starts == {(t, e) for t in (0, 4, 8) for e in range(num_envs)}
    np.testing.assert_array_equal(sequence_starts(time, length), sequences["time"][0])
