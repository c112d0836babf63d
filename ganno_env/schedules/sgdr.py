"""Stochastic gradient descent with warm restarts (Loshchilov and Hutter, 2016)."""

from __future__ import annotations

import numpy as np
import optax

CYCLES = (1, 2, 4)
"""The cycles' lengths relative to the first: T_mult = 2, three cycles in a run."""


def sgdr(rate: float, num_updates: int) -> optax.Schedule:
    """Cosine decays from the initial rate to 0, each cycle twice as long as the one before."""
    ends = [round(num_updates * end / sum(CYCLES)) for end in np.cumsum(CYCLES)]
    starts = [0, *ends[:-1]]
    cycles = [
        optax.cosine_decay_schedule(rate, max(end - start, 1))
        for start, end in zip(starts, ends, strict=True)
    ]
    return optax.join_schedules(cycles, ends[:-1])
