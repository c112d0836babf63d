"""Running mean and variance of a stream, and normalisation by them.

One implementation serves observations (a statistic for each feature) and value targets (a scalar).
The statistics are part of the learner's state and go into every checkpoint.
"""

from __future__ import annotations

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

MINIMUM_STD = 1e-6
"""Mava 0.2.0's floor of the standard deviation."""
LARGEST_INPUT = 1e9
"""Inputs count as no larger than this: their squares then stay well inside float32."""


@chex.dataclass(frozen=True)
class RunningStatistics:
    """Moments of all that was seen so far; 0 and 1 while nothing was."""

    mean: Float[Array, "*S"]
    variance: Float[Array, "*S"]
    count: Float[Array, ""]


def initial_statistics(shape: tuple[int, ...] = ()) -> RunningStatistics:
    """Mean 0 and standard deviation 1, with no weight against the first batch."""
    return RunningStatistics(
        mean=jnp.zeros(shape, jnp.float32),
        variance=jnp.ones(shape, jnp.float32),
        count=jnp.zeros((), jnp.float32),
    )


def update_statistics(
    statistics: RunningStatistics, batch: Float[Array, "... *S"]
) -> RunningStatistics:
    """Adds a batch (any leading axes, at least one sample) by Chan's parallel formula.

    The result is finite whatever the batch holds: a NaN counts as 0 and magnitudes count as at
    most `LARGEST_INPUT`.
    """
    batch = _finite(batch)
    axes = tuple(range(batch.ndim - statistics.mean.ndim))
    size = batch.size // max(statistics.mean.size, 1)
    count = statistics.count + size
    weight = size / count
    difference = jnp.mean(batch, axis=axes) - statistics.mean
    variance = (
        (1 - weight) * statistics.variance
        + weight * jnp.var(batch, axis=axes)
        + weight * (1 - weight) * difference**2
    )
    return RunningStatistics(
        mean=statistics.mean + weight * difference, variance=variance, count=count
    )


def standard_deviation(statistics: RunningStatistics) -> Float[Array, "*S"]:
    """The standard deviation, never below `MINIMUM_STD`."""
    return jnp.maximum(jnp.sqrt(statistics.variance), MINIMUM_STD)


def normalise(statistics: RunningStatistics, x: Float[Array, "... *S"]) -> Float[Array, "... *S"]:
    """`(x - mean) / std`."""
    return (x - statistics.mean) / standard_deviation(statistics)


def normalise_observations(
    statistics: RunningStatistics, x: Float[Array, "... *S"], limit: float | None
) -> Float[Array, "... *S"]:
    """As `normalise`, but finite whatever `x` is, and within `[-limit, limit]` if there is a limit.

    A limit matters where a feature that never varied in training does so in use: its standard
    deviation is then the floor, and any difference would come out in the millions.
    """
    normalised = normalise(statistics, _finite(x))
    return normalised if limit is None else jnp.clip(normalised, -limit, limit)


def denormalise(statistics: RunningStatistics, x: Float[Array, "... *S"]) -> Float[Array, "... *S"]:
    """The inverse of `normalise`."""
    return x * standard_deviation(statistics) + statistics.mean


def _finite(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.clip(jnp.nan_to_num(x, nan=0.0), -LARGEST_INPUT, LARGEST_INPUT)
