"""A small vision transformer: attention as a third kind of layer."""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from pydantic import Field

from ganno_env.networks import attention, inputs, layers
from ganno_env.types import InputSpec, Network, NetworkState, Params, PRNGKey


def vit(
    input_spec: InputSpec,
    num_outputs: int,
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
        input_spec: images [H, W, C].
        num_outputs: the number of logits.
        patch_size: pixels a side of a patch; divides both sides of an image.
        depth: the number of blocks.
        num_heads: attention heads.
        num_features: features a token, before `width`.
        width: multiplies `num_features`, rounded to a multiple of `num_heads`.
        lowering: accepted for uniformity; there is no convolution here.

    Raises:
        ValueError: if patches don't divide images.
    """
    height, columns, channels = inputs.image_shape(input_spec)
    layers.resolve_lowering(lowering)
    if height % patch_size or columns % patch_size:
        raise ValueError(
            f"patch_size={patch_size} does not divide images of {height} x {columns} pixels"
        )
    features = attention.scale_features(num_features, num_heads, width)
    num_tokens = (height // patch_size) * (columns // patch_size)
    patch = (patch_size, channels)

    def init(key: PRNGKey) -> tuple[Params, NetworkState]:
        embedding_key, position_key, head_key, *block_keys = jax.random.split(
            key, 3 + attention.LAYERS_PER_BLOCK * depth
        )
        size = patch_size * patch_size * channels
        positions = 0.02 * jax.random.normal(position_key, (num_tokens, features), jnp.float32)
        embedding = layers.init_linear(embedding_key, size, features) | {"positions": positions}
        head = attention.init_norm(features) | layers.init_linear(head_key, features, num_outputs)
        blocks = attention.init_blocks(block_keys, features)
        return {"embedding": embedding, **blocks, "head": head}, {}

    def apply(
        params: Params, network_state: NetworkState, images: Float[Array, "N H W C"], train: bool
    ) -> tuple[Float[Array, "N K"], NetworkState]:
        del train
        tokens = attention.dense(params["embedding"], _patches(images, *patch))
        tokens = tokens + jnp.tile(params["embedding"]["positions"], (images.shape[0], 1))
        tokens = attention.apply_blocks(params, tokens, num_tokens, depth, num_heads, causal=False)
        last = attention.layer_norm(params["head"], tokens).reshape(-1, num_tokens, features)
        return attention.dense(params["head"], last.mean(1)), network_state

    return Network("vit", attention.layer_specs(depth), init, apply)


def _patches(
    images: Float[Array, "N H W C"], patch_size: int, channels: int
) -> Float[Array, "M D"]:
    batch, height, width, _ = images.shape
    rows, columns = height // patch_size, width // patch_size
    grid = images.reshape(batch, rows, patch_size, columns, patch_size, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch * rows * columns, -1)
