"""A small causal transformer: at each place of a text, what comes next."""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32
from pydantic import Field

from ganno_env.networks import attention, inputs, layers
from ganno_env.types import InputSpec, Network, NetworkState, Params, PRNGKey

INITIAL_DEVIATION = 0.02
"""Of embeddings, as GPT-2 has it."""


def transformer(
    input_spec: InputSpec,
    num_outputs: int,
    depth: Annotated[int, Field(ge=1, le=layers.MOST_BLOCKS)] = 2,
    num_heads: layers.Size = 4,
    num_features: layers.Size = 64,
    width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:
    """Token and position embeddings, pre-norm blocks of causal attention, and each place's logits.

    After Radford et al. (2019), GPT-2, without dropout and tied weights. There are 3 * depth + 2
    agents. A norm belongs to the layer that it feeds, positions to the embedding.

    Args:
        input_spec: sequences of tokens [T].
        num_outputs: the number of logits at each place.
        depth: the number of blocks.
        num_heads: attention heads.
        num_features: features a token, before `width`.
        width: multiplies `num_features`, rounded to a multiple of `num_heads`.
        lowering: accepted for uniformity; there is no convolution here.
    """
    length, num_tokens = inputs.sequence_shape(input_spec)
    layers.resolve_lowering(lowering)
    features = attention.scale_features(num_features, num_heads, width)

    def init(key: PRNGKey) -> tuple[Params, NetworkState]:
        token_key, position_key, head_key, *block_keys = jax.random.split(
            key, 3 + attention.LAYERS_PER_BLOCK * depth
        )
        embedding = {
            name: INITIAL_DEVIATION * jax.random.normal(k, (size, features), jnp.float32)
            for name, k, size in (
                ("tokens", token_key, num_tokens),
                ("positions", position_key, length),
            )
        }
        head = attention.init_norm(features) | layers.init_linear(head_key, features, num_outputs)
        blocks = attention.init_blocks(block_keys, features)
        return {"embedding": embedding, **blocks, "head": head}, {}

    def apply(
        params: Params, network_state: NetworkState, tokens: Int32[Array, "N T"], train: bool
    ) -> tuple[Float[Array, "N T K"], NetworkState]:
        del train
        # With one-hot rows, the gradient is a product, the same on every run and as fast for so few
        # tokens; an index's is a scatter, whose order an accelerator does not fix.
        chosen = jax.nn.one_hot(tokens, num_tokens, dtype=jnp.float32)
        x = chosen.reshape(-1, num_tokens) @ params["embedding"]["tokens"]
        x = x + jnp.tile(params["embedding"]["positions"], (tokens.shape[0], 1))
        x = attention.apply_blocks(params, x, length, depth, num_heads, causal=True)
        head = params["head"]
        logits = attention.dense(head, attention.layer_norm(head, x))
        return logits.reshape(*tokens.shape, num_outputs), network_state

    return Network("transformer", attention.layer_specs(depth), init, apply)
