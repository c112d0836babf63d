"""Functions of arrays that are NumPy's or JAX's: whichever they are given."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""NumPy's, or JAX's where this package is used under JAX, which it does not import itself."""


def namespace(array: Array) -> Any:
    """The module of functions on arrays like this one: `numpy`, or `jax.numpy`."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    return array.__array_namespace__()


def within(values: Array, limits: tuple[float, float]) -> Array:
    """`values` as float32 within `limits`; what is not a number becomes the greatest."""
    xp = namespace(values)
    least, greatest = (xp.asarray(limit, xp.float32) for limit in limits)
    values = values.astype(xp.float32)
    return xp.where(xp.isnan(values), greatest, xp.clip(values, least, greatest))
