"""The reflected exponential schedule (Chen et al., "REX: Revisiting Budgeted Training", 2022)."""

from __future__ import annotations

import chex
import jax.numpy as jnp
import optax


def rex(rate: float, num_updates: int) -> optax.Schedule:
    """Rate * (1 - t) / (1 - t / 2): linear's end, but higher on the way there."""

    def schedule(count: chex.Numeric) -> chex.Numeric:
        t = jnp.minimum(count / num_updates, 1.0)
        return rate * (1.0 - t) / (1.0 - t / 2.0)

    return schedule
