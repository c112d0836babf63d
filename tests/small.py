"""A tiny real environment: scikit-learn's digits, a narrow network, short steps."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ganno_env import NetworkTraining, make_env
from ganno_env.types import State

ARGUMENTS: dict[str, Any] = {
    "dataset": "digits",
    "network": "cnn2",
    "network_options": {"width": 0.125},
    "train_size": 200,
    "validation_size": 50,
    "test_size": 60,
    "batch_size": 16,
    "updates_per_step": 5,
    "epochs": 1.7,
}


OPTIONAL = {"momentum": 0.9, "step_scale": 1.0}
"""Initial values of the controls that an environment need not have."""


def small_env(**changes: Any) -> NetworkTraining:
    """Two agents and four steps of five updates, with some of `make_env`'s arguments changed."""
    return make_env(**(ARGUMENTS | changes))


def shared_env(**changes: Any) -> NetworkTraining:
    """`small_env(**changes)`, made once; not where registries or data are other than usual."""
    key = repr(sorted(changes.items()))
    if key not in _ENVS:
        _ENVS[key] = small_env(**changes)
    return _ENVS[key]


_ENVS: dict[str, NetworkTraining] = {}


@functools.cache
def compiled(env: NetworkTraining) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`env`'s reset and step, compiled once for all the tests that have the same object."""
    return jax.jit(env.reset), jax.jit(env.step)


@functools.cache
def some_states() -> tuple[State, State]:
    """States of `small_env`'s first episodes, and of networks that diverged, each stacked.

    They are the same whatever features are chosen.
    """
    env = shared_env(initial_controls=OPTIONAL)
    reset, step = compiled(env)
    sound, diverged = [], []
    for seed in range(4):
        state, _ = reset(jax.random.PRNGKey(seed))
        for _ in range(env.time_limit):
            sound.append(state)
            state, _ = step(state, jnp.array([7, 3], jnp.int32))
    start = sound[1]
    for poison in (jnp.nan, jnp.inf, -jnp.inf, 1e30, 1e10):
        params = jax.tree.map(lambda x, by=poison: x * by, start.inner.params)
        inner = dataclasses.replace(start.inner, params=params)
        diverged.append(
            step(dataclasses.replace(start, inner=inner), jnp.array([7, 3], jnp.int32))[0]
        )
    one, other = (jax.tree.map(lambda *x: jnp.stack(x), *states) for states in (sound, diverged))
    return one, other
