"""What an agent can see of its own layer (paper, appendix D)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.types import LayerParams, LayerStatistics, Params


def layer_statistics(
    layer_names: tuple[str, ...], params: Params, gradient: Params, direction: Params
) -> LayerStatistics:
    """Norms and moments of each layer's weights, gradient and update direction.

    All that a layer learns counts as its weights, biases and norms' scales included.
    """
    weights = [_flat(params[name]) for name in layer_names]
    return LayerStatistics(
        gradient_norm=_norms([_flat(gradient[name]) for name in layer_names]),
        update_norm=_norms([_flat(direction[name]) for name in layer_names]),
        weight_norm=_norms(weights),
        weight_mean=jnp.stack([jnp.mean(w) for w in weights]),
        weight_variance=jnp.stack([jnp.var(w) for w in weights]),
    )


def _flat(layer: LayerParams) -> Float[Array, " P"]:
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(layer)])


def _norms(vectors: list[Float[Array, " _"]]) -> Float[Array, " L"]:
    return jnp.stack([jnp.linalg.norm(v) for v in vectors])
