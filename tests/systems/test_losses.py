import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.ppo import losses

RANDOM = np.random.default_rng(0)


def test_policy_loss_matches_numpy():
    new, old, advantage = RANDOM.normal(size=(3, 5, 4, 2)).astype(np.float32) * 0.3
    total = 0.0
    for n, o, a in zip(new.flat, old.flat, advantage.flat, strict=True):
        ratio = np.exp(np.float64(n) - o)
        total += min(ratio * a, np.clip(ratio, 0.8, 1.2) * a)
    expected = -total / new.size
    np.testing.assert_allclose(
        losses.clipped_policy_loss(*map(jnp.asarray, (new, old, advantage)), 0.2),
        expected,
        rtol=1e-5,
    )


@pytest.mark.parametrize("clip_range", [None, 0.2])
def test_value_loss_matches_numpy(clip_range):
    value, old, target = RANDOM.normal(size=(3, 5, 4, 2)).astype(np.float32)
    total = 0.0
    for v, o, t in zip(value.flat, old.flat, target.flat, strict=True):
        error = (v - t) ** 2
        if clip_range is not None:
            error = max(error, (min(max(v, o - clip_range), o + clip_range) - t) ** 2)
        total += error
    np.testing.assert_allclose(
        losses.clipped_value_loss(*map(jnp.asarray, (value, old, target)), clip_range),
        total / value.size,
        rtol=1e-5,
    )


def test_a_ratio_beyond_the_range_stops_the_gradient_where_it_would_gain():
    loss = functools.partial(losses.clipped_policy_loss, clip_range=0.2)
    gradient = jax.vmap(jax.grad(loss), in_axes=(0, None, 0))
    new = jnp.log(jnp.array([[1.5], [1.5], [0.5], [0.5]]))
    advantage = jnp.array([[1.0], [-1.0], [1.0], [-1.0]])
    moves = gradient(new, jnp.zeros((1,)), advantage).ravel() != 0
    assert moves.tolist() == [False, True, True, False]


def test_normalised_advantages():
    advantage = RANDOM.normal(3.0, 5.0, size=(8, 4)).astype(np.float32)
    normalised = np.asarray(losses.normalise_advantages(jnp.asarray(advantage)))
    np.testing.assert_allclose(normalised, (advantage - advantage.mean()) / advantage.std(), 1e-5)
    assert np.isfinite(losses.normalise_advantages(jnp.ones((3,)))).all()


def test_hardly_any_spread_in_advantages_is_not_blown_up():
    """The deviation has 1e-8 added: one of 1e-8 becomes half a unit, not a whole one."""
    advantage = jnp.array([0.0, 2e-8])
    np.testing.assert_allclose(losses.normalise_advantages(advantage), [-0.5, 0.5], rtol=1e-3)
