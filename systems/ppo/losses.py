"""PPO's two losses (Schulman et al., 2017), on any number of leading axes."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def clipped_policy_loss(
    log_probability: Float[Array, "*B"],
    old_log_probability: Float[Array, "*B"],
    advantage: Float[Array, "*B"],
    clip_range: float,
) -> Float[Array, ""]:
    """The mean of PPO's clipped surrogate, negated.

    Args:
        log_probability: of the rollout's actions under the policy being updated.
        old_log_probability: the same under the policy that took them.
        advantage: already normalised if it is to be.
        clip_range: how far the ratio of the two may leave 1 and still gain.
    """
    ratio = jnp.exp(log_probability - old_log_probability)
    clipped = jnp.clip(ratio, 1.0 - clip_range, 1.0 + clip_range)
    return -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


def clipped_value_loss(
    value: Float[Array, "*B"],
    old_value: Float[Array, "*B"],
    target: Float[Array, "*B"],
    clip_range: float | None,
) -> Float[Array, ""]:
    """The mean squared error, the larger of that with `value` held near `old_value` or not.

    All in the same units. No range, no clipping.
    """
    error = jnp.square(value - target)
    if clip_range is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_range, clip_range)
        error = jnp.maximum(error, jnp.square(clipped - target))
    return jnp.mean(error)


def normalise_advantages(advantage: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Zero mean and unit standard deviation over the whole minibatch."""
    return (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
