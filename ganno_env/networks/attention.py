"""What transformers are made of: affine maps of tokens, layer norm, attention, and blocks of them.

Tokens are rows of one matrix, [N*T, D]: a kernel's gradient is a sum over a single axis, which XLA
on a CPU does several times faster than a sum over two. A norm belongs to the layer that
it feeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.networks import layers
from ganno_env.types import LayerParams, LayerSpec, Params, PRNGKey

EPSILON = 1e-6
LAYERS_PER_BLOCK = 3


def scale_features(num_features: int, num_heads: int, width: float) -> int:
    """Features a token, times `width`, as the nearest multiple of `num_heads`."""
    (scaled,) = layers.scale_widths((num_features,), width)
    return num_heads * max(1, round(scaled / num_heads))


def dense(params: LayerParams, x: Float[Array, "M D"]) -> Float[Array, "M O"]:
    """An affine map of each token's features."""
    return x @ params["kernel"] + params["bias"]


def init_norm(features: int) -> LayerParams:
    """Scale 1 and shift 0."""
    return {
        "norm_scale": jnp.ones((features,), jnp.float32),
        "norm_bias": jnp.zeros((features,), jnp.float32),
    }


def layer_norm(params: LayerParams, x: Float[Array, "M D"]) -> Float[Array, "M D"]:
    """Layer normalisation (Ba et al., 2016)."""
    centred = x - x.mean(-1, keepdims=True)
    variance = jnp.square(centred).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + EPSILON) * params["norm_scale"] + params["norm_bias"]


def init_attention(key: PRNGKey, features: int) -> LayerParams:
    """A norm, and LeCun-normal projections, with biases, to queries, keys and values and back."""
    inward, outward = jax.random.split(key)
    projections = {"qkv": (inward, 3 * features), "out": (outward, features)}
    params = init_norm(features)
    for name, (projection_key, size) in projections.items():
        projection = layers.init_linear(projection_key, features, size)
        params |= {f"{name}_{part}": value for part, value in projection.items()}
    return params


def attend(
    params: LayerParams, x: Float[Array, "M D"], length: int, num_heads: int, *, causal: bool
) -> Float[Array, "M D"]:
    """Multi-head self-attention among `length` tokens (Vaswani et al., 2017).

    If `causal`, no token sees a later one.
    """
    features = x.shape[-1]
    qkv = x @ params["qkv_kernel"] + params["qkv_bias"]
    heads = qkv.reshape(-1, length, 3, num_heads, features // num_heads)
    query, key, value = (heads[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = query @ key.swapaxes(-1, -2) / jnp.sqrt(jnp.float32(features // num_heads))
    if causal:
        scores = jnp.where(jnp.tri(length, dtype=bool), scores, -jnp.inf)
    mixed = jax.nn.softmax(scores, axis=-1) @ value
    mixed = mixed.transpose(0, 2, 1, 3).reshape(x.shape)
    return mixed @ params["out_kernel"] + params["out_bias"]


def layer_specs(depth: int) -> tuple[LayerSpec, ...]:
    """The layers in order: embedding, attention and two linear ones in each block, head."""
    blocks = (
        LayerSpec(f"block_{i}_{part}", "attention" if part == "attention" else "linear")
        for i in range(depth)
        for part in ("attention", "expand", "contract")
    )
    return LayerSpec("embedding", "linear"), *blocks, LayerSpec("head", "linear")


def init_blocks(keys: Sequence[PRNGKey], features: int) -> Params:
    """The parameters of blocks, of `LAYERS_PER_BLOCK` keys each."""
    params: Params = {}
    for i in range(len(keys) // LAYERS_PER_BLOCK):
        a, b, c = keys[LAYERS_PER_BLOCK * i : LAYERS_PER_BLOCK * (i + 1)]
        params[f"block_{i}_attention"] = init_attention(a, features)
        params[f"block_{i}_expand"] = init_norm(features) | layers.init_linear(
            b, features, 4 * features
        )
        params[f"block_{i}_contract"] = layers.init_linear(c, 4 * features, features)
    return params


def apply_blocks(
    params: Params,
    tokens: Float[Array, "M D"],
    length: int,
    depth: int,
    num_heads: int,
    *,
    causal: bool,
) -> Float[Array, "M D"]:
    """Pre-norm blocks: attention, then two linear layers with GELU, each added to its input."""
    for i in range(depth):
        layer = params[f"block_{i}_attention"]
        x = layer_norm(layer, tokens)
        tokens = tokens + attend(layer, x, length, num_heads, causal=causal)
        layer = params[f"block_{i}_expand"]
        hidden = jax.nn.gelu(dense(layer, layer_norm(layer, tokens)))
        tokens = tokens + dense(params[f"block_{i}_contract"], hidden)
    return tokens
