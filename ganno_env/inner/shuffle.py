"""The order in which training examples are visited, without storing a permutation.

Each epoch needs a new permutation of the training set. Holding one for every parallel environment
would cost memory with the dataset's size, so indices are computed by a cipher on {0, ..., n - 1}:
the swap-or-not shuffle (Hoang, Morris and Rogaway, "An Enciphering Scheme Based on a Card Shuffle",
CRYPTO 2012), which is a permutation for any n.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt32

from ganno_env.types import PRNGKey

NUM_ROUNDS = 32
MAX_EXAMPLES = 2**24
"""Round offsets are drawn through float32, which has 24 bits."""
MAX_POSITION = 2**31 - 1
"""The last position in the stream of examples, which is counted with 32 bits."""


def example_indices(
    key: PRNGKey, start: UInt32[Array, ""], count: int, num_examples: int
) -> Int32[Array, " count"]:
    """Which examples stand at positions start, ..., start + count - 1 of the endless stream.

    The stream is the concatenation of one permutation of all examples after another, so every
    `num_examples` positions (an epoch) visit each example exactly once; a batch may straddle two.

    Args:
        key: chooses the permutations.
        start: the first position; positions are below 2**32.
        count: how many.
        num_examples: the size of the training set, at most 2**24.
    """
    positions = start.astype(jnp.uint32) + jnp.arange(count, dtype=jnp.uint32)
    size = jnp.uint32(num_examples)
    epochs, indices = positions // size, positions % size
    round_keys = jax.random.bits(key, (NUM_ROUNDS, 2), jnp.uint32)

    def swap_or_not(
        indices: UInt32[Array, " count"], words: UInt32[Array, " 2"]
    ) -> tuple[UInt32[Array, " count"], None]:
        offsets = _below(_mix(epochs ^ words[0]), size)
        partners = offsets + jnp.where(indices > offsets, size, jnp.uint32(0)) - indices
        coin = _mix(_mix(jnp.maximum(indices, partners) ^ words[1]) ^ epochs) & 1
        return jnp.where(coin == 1, partners, indices), None

    indices, _ = jax.lax.scan(swap_or_not, indices, round_keys)
    return indices.astype(jnp.int32)


def _below(words: UInt32[Array, "..."], bound: UInt32[Array, ""]) -> UInt32[Array, "..."]:
    """Uniform words to uniform integers below `bound`, without a division."""
    fractions = (words >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)
    return jnp.minimum((fractions * bound.astype(jnp.float32)).astype(jnp.uint32), bound - 1)


def _mix(words: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """MurmurHash3's finaliser: every input bit changes each output bit about half the time."""
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)
