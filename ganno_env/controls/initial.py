"""Where an episode's controls start: from given values, or from log-uniform ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.controls.base import Control
from ganno_env.registry import Registry
from ganno_env.types import PRNGKey

Initial = float | Sequence[float]
"""Where a control starts: a value, or the bounds of a log-uniform one."""
Ranges = dict[str, tuple[float, float]]
"""The range [low, high] of each control's initial value, by name."""


def present(
    controls: Registry[Control], acted: Collection[str], given: Collection[str]
) -> dict[str, Control]:
    """The controls that an environment has: all but optional ones that it says nothing of.

    Args:
        controls: those there are.
        acted: names of those that agents set.
        given: names of those whose initial values the environment gives.

    Raises:
        ValueError: for an unknown control.
    """
    for name in given:
        controls[name]
    return {
        name: control
        for name, control in controls.items()
        if not control.optional or name in acted or name in given
    }


def initial_ranges(
    controls: Mapping[str, Control], named: Mapping[str, Initial], others: Mapping[str, Initial]
) -> Ranges:
    """Each control's range: the one given, or its own `initial_range`.

    Args:
        controls: those there are.
        named: ranges by name, of controls that are an argument of the environment.
        others: the same, of controls that are not.

    Raises:
        ValueError: for one given twice, or a value that it cannot have.
    """
    for name in others:
        if name in named:
            raise ValueError(f"initial_controls has {name!r}; give {name}={others[name]!r} instead")
    given = {**named, **others}
    return {
        name: control.check_initial(given.get(name, control.initial_range))
        for name, control in controls.items()
    }


def sample_all(key: PRNGKey, ranges: Ranges) -> tuple[PRNGKey, dict[str, Float[Array, ""]]]:
    """A value for each control, and a key for what comes next."""
    key, *control_keys = jax.random.split(key, 1 + len(ranges))
    values = {
        name: sample_initial(control_key, bounds)
        for (name, bounds), control_key in zip(ranges.items(), control_keys, strict=True)
    }
    return key, values


def complete(
    key: PRNGKey, ranges: Ranges, given: Mapping[str, Float[Array, ""] | float]
) -> dict[str, Float[Array, ""]]:
    """The values given, and one sampled for each control that has none.

    Raises:
        ValueError: for an unknown control.
    """
    if unknown := sorted(set(given) - set(ranges)):
        raise ValueError(f"unknown controls {unknown}; known: {', '.join(ranges)}")
    _, sampled = sample_all(key, ranges)
    return sampled | {name: jnp.asarray(x, jnp.float32) for name, x in given.items()}


def sample_initial(key: PRNGKey, bounds: tuple[float, float]) -> Float[Array, ""]:
    """A log-uniform value in `bounds` (paper, appendix D), or their value if they are equal."""
    low, high = bounds
    if low == high:
        return jnp.float32(low)
    logs = jnp.log(jnp.array(bounds, jnp.float32))
    return jnp.exp(jax.random.uniform(key, (), jnp.float32, logs[0], logs[1]))
