"""Moments of all that each layer has in a pytree."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ganno.layers import Layers
from ganno.optax.layers import places

MOMENTS = ("norm", "mean", "variance")


def moments(what: str, tree: Any, layers: Layers) -> dict[str, Array]:
    """Norm, mean and variance of each layer's numbers, float32 [L], as `what` + "_norm" and so on.

    Args:
        what: "weight", "gradient" or "update".
        tree: of arrays, with the paths of the parameters.
        layers: whose they are; 0 for one that has none.
    """
    leaves: list[list[Array]] = [[] for _ in layers]
    for place, leaf in zip(places(tree, layers), jax.tree.leaves(tree), strict=True):
        leaves[place].append(leaf.astype(jnp.float32))
    size = jnp.array([max(sum(x.size for x in layer), 1) for layer in leaves], jnp.float32)
    square = _stacked([[jnp.sum(x * x) for x in layer] for layer in leaves])
    mean = _stacked([[jnp.sum(x) for x in layer] for layer in leaves]) / size
    variance = jnp.maximum(square / size - mean * mean, 0.0)
    found = (jnp.sqrt(square), mean, variance)
    return {f"{what}_{moment}": x for moment, x in zip(MOMENTS, found, strict=True)}


def _stacked(sums: list[list[Array]]) -> Array:
    return jnp.stack([sum(layer, jnp.float32(0)) for layer in sums])
