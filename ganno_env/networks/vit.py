"""A small vision transformer: attention as a third kind of layer."""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from ganno_env.networks import layers
from ganno_env.types import LayerParams, LayerSpec, Network, NetworkState, Params, PRNGKey

EPSILON = 1e-6


def vit(
    image_shape: tuple[int, int, int],
    num_classes: int,
    patch_size: layers.Size = 4,
    depth: Annotated[int, Field(ge=1, le=layers.MOST_BLOCKS)] = 2,
    num_heads: layers.Size = 4,
    num_features: layers.Size = 64,
    width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:
    """Patches, pre-norm blocks of attention and two linear layers, and the mean token's logits.

    After Dosovitskiy et al. (2020), with the mean of tokens in place of a class token. There are
    3 * depth + 2 agents. A norm belongs to the layer that it feeds, positions to the embedding.

    Args:
        image_shape: height, width and channels of an image.
        num_classes: the number of logits.
        patch_size: pixels a side of a patch; divides both sides of an image.
        depth: the number of blocks.
        num_heads: attention heads.
        num_features: features a token, before `width`.
        width: multiplies `num_features`, rounded to a multiple of `num_heads`.
        lowering: accepted for uniformity; there is no convolution here.

    Raises:
        ValueError: if patches don't divide images.
    """
    layers.resolve_lowering(lowering)
    height, columns, channels = image_shape
    if height % patch_size or columns % patch_size:
        raise ValueError(
            f"patch_size={patch_size} does not divide images of {height} x {columns} pixels"
        )
    (scaled,) = layers.scale_widths((num_features,), width)
    features = num_heads * max(1, round(scaled / num_heads))
    num_tokens = (height // patch_size) * (columns // patch_size)
    patch = (patch_size, channels)
    blocks = tuple(f"block_{i}" for i in range(depth))

    def init(key: PRNGKey) -> tuple[Params, NetworkState]:
        embedding_key, position_key, head_key, *block_keys = jax.random.split(key, 3 + 3 * depth)
        size = patch_size * patch_size * channels
        positions = 0.02 * jax.random.normal(position_key, (num_tokens, features), jnp.float32)
        params = {
            "embedding": layers.init_linear(embedding_key, size, features)
            | {"positions": positions}
        }
        for i, block in enumerate(blocks):
            a, b, c = block_keys[3 * i : 3 * i + 3]
            params[f"{block}_attention"] = _init_attention(a, features)
            params[f"{block}_expand"] = _init_norm(features) | layers.init_linear(
                b, features, 4 * features
            )
            params[f"{block}_contract"] = layers.init_linear(c, 4 * features, features)
        params["head"] = _init_norm(features) | layers.init_linear(head_key, features, num_classes)
        return params, {}

    def apply(
        params: Params, network_state: NetworkState, images: Float[Array, "N H W C"], train: bool
    ) -> tuple[Float[Array, "N K"], NetworkState]:
        del train
        tokens = _dense(params["embedding"], _patches(images, *patch))
        tokens = tokens + params["embedding"]["positions"]
        for block in blocks:
            layer = params[f"{block}_attention"]
            tokens = tokens + _attend(layer, _normalise(layer, tokens), num_heads)
            layer = params[f"{block}_expand"]
            hidden = jax.nn.gelu(_dense(layer, _normalise(layer, tokens)))
            tokens = tokens + _dense(params[f"{block}_contract"], hidden)
        pooled = _normalise(params["head"], tokens).mean(1)
        return _dense(params["head"], pooled), network_state

    specs = [LayerSpec("embedding", "linear")]
    for block in blocks:
        specs.append(LayerSpec(f"{block}_attention", "attention"))
        specs += [LayerSpec(f"{block}_{part}", "linear") for part in ("expand", "contract")]
    return Network("vit", (*specs, LayerSpec("head", "linear")), init, apply)


def _patches(
    images: Float[Array, "N H W C"], patch_size: int, channels: int
) -> Float[Array, "N tokens D"]:
    batch, height, width, _ = images.shape
    rows, columns = height // patch_size, width // patch_size
    grid = images.reshape(batch, rows, patch_size, columns, patch_size, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * columns, -1)


def _dense(params: LayerParams, x: Float[Array, "... D"]) -> Float[Array, "... O"]:
    return x @ params["kernel"] + params["bias"]


def _init_norm(features: int) -> LayerParams:
    return {
        "norm_scale": jnp.ones((features,), jnp.float32),
        "norm_bias": jnp.zeros((features,), jnp.float32),
    }


def _normalise(params: LayerParams, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
    """Layer normalisation (Ba et al., 2016)."""
    centred = x - x.mean(-1, keepdims=True)
    variance = jnp.square(centred).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + EPSILON) * params["norm_scale"] + params["norm_bias"]


def _init_attention(key: PRNGKey, features: int) -> LayerParams:
    inward, outward = jax.random.split(key)
    projections = {"qkv": (inward, 3 * features), "out": (outward, features)}
    params = _init_norm(features)
    for name, (projection_key, size) in projections.items():
        projection = layers.init_linear(projection_key, features, size)
        params |= {f"{name}_{part}": value for part, value in projection.items()}
    return params


def _attend(params: LayerParams, x: Float[Array, "N T D"], num_heads: int) -> Float[Array, "N T D"]:
    """Multi-head self-attention (Vaswani et al., 2017)."""
    batch, tokens, features = x.shape
    qkv = x @ params["qkv_kernel"] + params["qkv_bias"]
    heads = qkv.reshape(batch, tokens, 3, num_heads, features // num_heads)
    query, key, value = (heads[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = query @ key.swapaxes(-1, -2) / jnp.sqrt(jnp.float32(features // num_heads))
    mixed = jax.nn.softmax(scores, axis=-1) @ value
    mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, tokens, features)
    return mixed @ params["out_kernel"] + params["out_bias"]
