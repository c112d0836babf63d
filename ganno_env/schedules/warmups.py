"""Schedules that rise before they fall; `rate` is their peak (paper, table 5)."""

from __future__ import annotations

import optax

WARMUP_PART = 0.1
ONE_CYCLE_PART = 0.3
"""What part of a run the rate rises for."""


def warmup_cosine(rate: float, num_updates: int) -> optax.Schedule:
    """Linearly from 0 to the peak over the first tenth, then a cosine decay to 0."""
    return optax.warmup_cosine_decay_schedule(
        0.0, rate, max(round(WARMUP_PART * num_updates), 1), num_updates
    )


def one_cycle(rate: float, num_updates: int) -> optax.Schedule:
    """Cosine one-cycle (Smith and Topin, 2019), with optax's usual constants.

    From a 25th of the peak up to it over the first 30 %, then down to a 10,000th of where it began.
    """
    return optax.cosine_onecycle_schedule(num_updates, rate, pct_start=ONE_CYCLE_PART)


def warmup_constant(rate: float, num_updates: int) -> optax.Schedule:
    """Linearly from 0 to the rate over the first tenth, and then that."""
    return optax.warmup_constant_schedule(0.0, rate, max(round(WARMUP_PART * num_updates), 1))
