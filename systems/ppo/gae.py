"""From a rollout's rewards to advantages, and from a rollout to training sequences."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

Tree = TypeVar("Tree")


def generalised_advantages(
    reward: Float[Array, "T E N"],
    discount: Float[Array, "T E N"],
    last: Bool[Array, "T E"],
    value: Float[Array, "T E N"],
    next_value: Float[Array, "T E N"],
    gamma: float,
    gae_lambda: float,
) -> Float[Array, "T E N"]:
    """Generalised advantage estimation (Schulman et al., 2016), in reward units.

    A termination (`discount` 0) has no future; a time-out (`last` with `discount` 1) has one, which
    `next_value` stands for, but the next step's advantage belongs to another episode either way.

    Args:
        reward: of each step.
        discount: of each step: 0 if it terminated the episode, else 1.
        last: whether the episode ended with the step.
        value: of the observation that was acted on.
        next_value: of the observation that the step led to, before any reset.
        gamma: the discount factor.
        gae_lambda: 0 for one-step advantages, 1 for Monte Carlo ones.

    Returns:
        Advantages; add `value` for the value targets.
    """
    delta = reward + gamma * discount * next_value - value
    decay = gamma * gae_lambda * discount * (1.0 - last.astype(jnp.float32))[..., None]

    def backwards(
        advantage: Float[Array, "E N"], step: tuple[Array, Array]
    ) -> tuple[Float[Array, "E N"], Float[Array, "E N"]]:
        delta_t, decay_t = step
        advantage = delta_t + decay_t * advantage
        return advantage, advantage

    _, advantages = jax.lax.scan(backwards, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)
    return advantages


def to_sequences(rollout: Tree, sequence_length: int) -> Tree:
    """Cuts leaves of shape [T, E, ...] into consecutive steps: [sequence_length, S, ...].

    S = T / sequence_length * E. Within a sequence time is contiguous and the environment is one:
    a plain reshape to [S, sequence_length] would take every E-th step of none of them.
    """

    def cut(x: Array) -> Array:
        steps, num_envs, *rest = x.shape
        chunks = x.reshape(steps // sequence_length, sequence_length, num_envs, *rest)
        return jnp.swapaxes(chunks, 0, 1).reshape(sequence_length, -1, *rest)

    return jax.tree.map(cut, rollout)


def sequence_starts(
    rollout: Shaped[Array, "T E *rest"], sequence_length: int
) -> Shaped[Array, " S *rest"]:
    """What a rollout had at the first step of each sequence of `to_sequences`, in its order."""
    return to_sequences(rollout, sequence_length)[0]
