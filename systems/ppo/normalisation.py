"""Running mean and variance of a stream, and normalisation by them.

One implementation serves observations (a statistic for each feature) and value targets (a scalar).
The statistics are part of the learner's state and go into every checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import chex
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SMALLEST_RELATIVE_STD = 1e-6
"""A column whose deviation is no more than this part of its mean's magnitude does not vary.

Eight times float32's resolution: numbers that close are one number, computed in two programs or
rounded in two sums. It is relative because a column's unit is anybody's choice: learning rates of
1e-5 that differ by a tenth do vary. (Below 1e-19 nothing does: float32 has no squares of that.)
"""
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


def normalised_features(env: Any) -> tuple[bool, ...]:
    """Which columns of an environment's observations to normalise; all, if it does not say."""
    if hasattr(env, "normalised_features"):
        return tuple(env.normalised_features)
    return (True,) * env.observation_spec.agents_view.shape[-1]


def update_statistics(
    statistics: RunningStatistics,
    batch: Float[Array, "..."],
    normalised: Sequence[bool] | bool = True,
) -> RunningStatistics:
    """Adds a batch (any leading axes, at least one sample) by Chan's parallel formula.

    The result is finite whatever the batch holds: a NaN counts as 0 and magnitudes count as at
    most `LARGEST_INPUT`.

    Args:
        statistics: of all that came before.
        batch: what comes now.
        normalised: which columns are to be normalised; the others' statistics stay 0 and 1, by
            which they are left as they are.
    """
    batch = _finite(batch)
    axes = tuple(range(batch.ndim - statistics.mean.ndim))
    size = batch.size // max(statistics.mean.size, 1)
    count = statistics.count + size
    weight = size / count
    # Moments about one of the samples, so that a column which never varies has a variance of 0
    # and its own value as its mean, exactly, however many samples are added up.
    origin = batch[(0,) * len(axes)]
    shifted = batch - origin
    difference = (origin - statistics.mean) + jnp.mean(shifted, axis=axes)
    variance = (
        (1 - weight) * statistics.variance
        + weight * jnp.var(shifted, axis=axes)
        + weight * (1 - weight) * difference**2
    )
    chosen = np.broadcast_to(normalised, statistics.mean.shape)
    return RunningStatistics(
        mean=jnp.where(chosen, statistics.mean + weight * difference, statistics.mean),
        variance=jnp.where(chosen, variance, statistics.variance),
        count=count,
    )


def standard_deviation(statistics: RunningStatistics) -> Float[Array, "*S"]:
    """The standard deviation; 0 where it is no more than rounding (`SMALLEST_RELATIVE_STD`)."""
    deviation = jnp.sqrt(statistics.variance)
    return jnp.where(deviation > SMALLEST_RELATIVE_STD * jnp.abs(statistics.mean), deviation, 0.0)


def normalise(statistics: RunningStatistics, x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """`(x - mean) / std`, and 0 where nothing ever varied: there is no unit to measure `x` in."""
    deviation = standard_deviation(statistics)
    varies = deviation > 0
    return jnp.where(varies, (x - statistics.mean) / jnp.where(varies, deviation, 1.0), 0.0)


def normalise_observations(
    statistics: RunningStatistics, x: Float[Array, "*B"], limit: float | None
) -> Float[Array, "*B"]:
    """As `normalise`, but finite whatever `x` is, and within `[-limit, limit]` if there is a limit.

    A limit matters where a network in use shows what none in training did, such as norms of layers
    many times as large. What never varied in training is 0, so that it moves nothing in use: the
    weights that it meets were never trained.
    """
    normalised = normalise(statistics, _finite(x))
    return normalised if limit is None else jnp.clip(normalised, -limit, limit)


def denormalise(statistics: RunningStatistics, x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """The inverse of `normalise`; the mean where nothing ever varied."""
    return x * standard_deviation(statistics) + statistics.mean


def _finite(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.clip(jnp.nan_to_num(x.astype(jnp.float32), nan=0.0), -LARGEST_INPUT, LARGEST_INPUT)
