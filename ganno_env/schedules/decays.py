"""Schedules that only fall. The paper draws them (figure 5) without giving their constants."""

from __future__ import annotations

import optax

EXPONENTIAL_END = 0.01
"""What part of the initial rate an exponential decay ends at."""
PIECEWISE_MILESTONES = (0.5, 0.75)
"""At what parts of the run the rate is divided by ten (He et al., 2015, on CIFAR-10)."""


def constant(rate: float, num_updates: int) -> optax.Schedule:
    """The initial rate, always."""
    return optax.constant_schedule(rate)


def linear(rate: float, num_updates: int) -> optax.Schedule:
    """Rate * (1 - t), with t the part of the run that is over."""
    return optax.linear_schedule(rate, 0.0, num_updates)


def quadratic(rate: float, num_updates: int) -> optax.Schedule:
    """Rate * (1 - t)^2."""
    return optax.polynomial_schedule(rate, 0.0, power=2, transition_steps=num_updates)


def cosine(rate: float, num_updates: int) -> optax.Schedule:
    """Rate * (1 + cos(pi t)) / 2 (Loshchilov and Hutter, 2016, without restarts)."""
    return optax.cosine_decay_schedule(rate, num_updates)


def exponential(rate: float, num_updates: int) -> optax.Schedule:
    """Rate * 0.01^t."""
    return optax.exponential_decay(rate, num_updates, EXPONENTIAL_END)


def piecewise(rate: float, num_updates: int) -> optax.Schedule:
    """The rate, a tenth of it from half the run on, a hundredth from three quarters on."""
    milestones = {round(part * num_updates): 0.1 for part in PIECEWISE_MILESTONES}
    return optax.piecewise_constant_schedule(rate, milestones)
