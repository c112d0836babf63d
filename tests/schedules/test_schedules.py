"""Each schedule at every update against its closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env.schedules import SCHEDULES

RATE, UPDATES = 0.01, 700


def cosine(t):
    return 0.5 * (1 + np.cos(np.pi * t))


def piecewise(t):
    return np.where(t < 0.5, 1.0, np.where(t < 0.75, 0.1, 0.01))


def sgdr(t):
    """Cycles of 1/7, 2/7 and 4/7 of the run."""
    return np.where(
        t < 1 / 7,
        cosine(7 * t),
        np.where(t < 3 / 7, cosine(3.5 * t - 0.5), cosine(1.75 * t - 0.75)),
    )


def warmup_cosine(t):
    return np.where(t < 0.1, t / 0.1, cosine((t - 0.1) / 0.9))


def one_cycle(t):
    up = 1 / 25 + (1 - 1 / 25) * (1 - cosine(t / 0.3))
    end = 1 / 25 / 1e4
    return np.where(t < 0.3, up, end + (1 - end) * cosine((t - 0.3) / 0.7))


CLOSED_FORMS = {
    "constant": lambda t: np.ones_like(t),
    "linear": lambda t: 1 - t,
    "quadratic": lambda t: (1 - t) ** 2,
    "cosine": cosine,
    "exponential": lambda t: 0.01**t,
    "piecewise": piecewise,
    "sgdr": sgdr,
    "warmup_cosine": warmup_cosine,
    "warmup_constant": lambda t: np.minimum(t / 0.1, 1),
    "one_cycle": one_cycle,
    "rex": lambda t: (1 - t) / (1 - t / 2),
}


def test_every_schedule_has_a_closed_form():
    assert set(CLOSED_FORMS) == set(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_update_equals_the_closed_form(name):
    # 7 divides the run, 0.1 and 0.3 of it are whole: no milestone falls between two updates.
    # Optax's own arithmetic mixes types.
    with jax.numpy_dtype_promotion("standard"):
        rates = jax.vmap(SCHEDULES[name](RATE, UPDATES))(jnp.arange(UPDATES))
    t = np.arange(UPDATES) / UPDATES
    rates = np.broadcast_to(rates, t.shape)
    np.testing.assert_allclose(rates, RATE * CLOSED_FORMS[name](t), rtol=1e-3, atol=2e-7)
