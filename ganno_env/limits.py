"""How far what is measured can go, and how what has gone beyond is shown.

A network that diverges shows numbers that are finite and no larger than a poor network's, so that
what is averaged over many networks, such as a policy's running statistics, is not lost to one.
"""

from __future__ import annotations

from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

Limits: TypeAlias = tuple[float, float]
"""The least and the greatest value."""

FRACTION: Limits = (0.0, 1.0)
LOSS: Limits = (0.0, 10.0)
"""Cross-entropy in nats: guessing among 1,000 classes costs 6.9."""
ANY_METRIC: Limits = (-1e5, 1e5)
"""Of a task's further metrics: perplexity is below 22,027 where the loss is within its limits."""


def within(values: Array, limits: Limits) -> Float[Array, "..."]:
    """`values` as float32 within `limits`; what is not a number becomes the greatest."""
    least, greatest = (jnp.float32(limit) for limit in limits)
    values = values.astype(jnp.float32)
    return jnp.where(jnp.isnan(values), greatest, jnp.clip(values, least, greatest))
