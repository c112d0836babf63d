"""Every optimiser against optax's own, where gradients are so small that epsilons show."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env.controls import WEIGHT_DECAY
from ganno_env.optimisers import OPTIMISERS, build, update_direction

RATE, DECAY = 0.1, 0.2
PLAIN = {
    "adam": optax.adamw(RATE, weight_decay=DECAY),
    "lamb": optax.lamb(RATE, weight_decay=DECAY),
    "lion": optax.lion(RATE, weight_decay=DECAY),
    "sgd": optax.chain(
        optax.trace(0.9), optax.add_decayed_weights(DECAY), optax.scale_by_learning_rate(RATE)
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_equals_optax(name):
    decays = {"weight_decay": {"layer": DECAY}}
    direction = update_direction(build(name), [WEIGHT_DECAY], decays)
    ours = optax.chain(direction, optax.scale_by_learning_rate(RATE))
    kernel = jnp.array([[0.5, -2.0], [1.0, 3.0]])
    params = {"layer": {"kernel": kernel, "bias": jnp.array([1e-3, 0.1])}}
    states = [optimiser.init(params) for optimiser in (ours, PLAIN[name])]
    both = [params, params]
    for scale in (1e-8, 1e-6, 1e-7, 1.0, 1e-6):
        gradient = jax.tree.map(lambda x, scale=scale: scale * (x - 1.5), params)
        for i, optimiser in enumerate((ours, PLAIN[name])):
            updates, states[i] = optimiser.update(gradient, states[i], both[i])
            both[i] = optax.apply_updates(both[i], updates)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *both)
