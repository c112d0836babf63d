"""Normalisation, as part of the layer that it follows."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.types import LayerParams

MOMENTUM = 0.9
"""How much of the running statistics is kept at each update."""
EPSILON = 1e-5


def init_batch_norm(num_channels: int) -> tuple[LayerParams, dict[str, Array]]:
    """Scale 1 and shift 0 (the layer's bias), and running statistics of a standard normal."""
    ones, zeros = jnp.ones((num_channels,), jnp.float32), jnp.zeros((num_channels,), jnp.float32)
    return {"scale": ones, "bias": zeros}, {"mean": zeros, "variance": ones}


def batch_norm(
    params: LayerParams, statistics: dict[str, Array], x: Float[Array, "C H W N"], train: bool
) -> tuple[Float[Array, "C H W N"], dict[str, Array]]:
    """Batch normalisation over space and batch (Ioffe and Szegedy, 2015).

    In training by the batch's own moments, which the running statistics take in; otherwise by
    these.

    Returns:
        The normalised maps, and the new running statistics.
    """
    if train:
        mean, variance = x.mean((1, 2, 3)), x.var((1, 2, 3))
        statistics = {
            "mean": MOMENTUM * statistics["mean"] + (1 - MOMENTUM) * mean,
            "variance": MOMENTUM * statistics["variance"] + (1 - MOMENTUM) * variance,
        }
    else:
        mean, variance = statistics["mean"], statistics["variance"]
    scale = params["scale"] / jnp.sqrt(variance + EPSILON)
    shift = params["bias"] - mean * scale
    return x * scale[:, None, None, None] + shift[:, None, None, None], statistics
