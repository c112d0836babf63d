"""The supervised loss, and the measures taken on a whole split."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, UInt8

from ganno_env.inner.chunks import chunk_size
from ganno_env.types import Batch, Dataset, Network, NetworkState, Params

LARGEST_EVALUATION_BATCH = 256
"""Examples a forward pass, at most, when a split is measured."""


def normalise(dataset: Dataset, images: UInt8[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    """Bytes to zero mean and unit variance per channel, by the training split's statistics."""
    scale = 1.0 / (255.0 * jnp.array(dataset.std, jnp.float32))
    shift = jnp.array(dataset.mean, jnp.float32) / jnp.array(dataset.std, jnp.float32)
    return images.astype(jnp.float32) * scale - shift


def cross_entropy(
    logits: Float[Array, "N K"], labels: Int[Array, " N"]
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Each example's cross-entropy, and 1 where the largest logit is the label's, else 0.

    The targets are one-hot because their gradient is a subtraction; an index's is a scatter.
    A logit that is not a number is never right.
    """
    losses = optax.softmax_cross_entropy(
        logits, jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    )
    correct = (jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels) & jnp.isfinite(losses)
    return losses, correct.astype(jnp.float32)


def batch_gradient(
    params: Params, network: Network, network_state: NetworkState, dataset: Dataset, batch: Batch
) -> tuple[Float[Array, ""], Float[Array, ""], NetworkState, Params]:
    """A training batch's mean cross-entropy, accuracy, new network state, and gradient.

    Where examples don't touch each other, the gradient is added up over chunks of the batch that
    fit into the cache. A network that keeps a state, batch norm's, needs its batch whole.
    """
    differentiate = jax.value_and_grad(_batch_loss, has_aux=True)
    size = chunk_size(network, dataset.image_shape, batch.labels.shape[0])
    num_chunks = batch.labels.shape[0] // size
    if num_chunks == 1 or jax.tree.leaves(network_state):
        (loss, (accuracy, network_state)), gradient = differentiate(
            params, network, network_state, dataset, batch
        )
        return loss, accuracy, network_state, gradient

    def accumulate(totals: Any, chunk: Batch) -> tuple[Any, None]:
        (loss, (accuracy, _)), gradient = differentiate(
            params, network, network_state, dataset, chunk
        )
        return jax.tree.map(jnp.add, totals, (loss, accuracy, gradient)), None

    chunks = jax.tree.map(lambda x: x.reshape(num_chunks, size, *x.shape[1:]), batch)
    zeros = (jnp.float32(0), jnp.float32(0), jax.tree.map(jnp.zeros_like, params))
    totals, _ = jax.lax.scan(accumulate, zeros, chunks)
    loss, accuracy, gradient = jax.tree.map(lambda total: total / num_chunks, totals)
    return loss, accuracy, network_state, gradient


def _batch_loss(
    params: Params, network: Network, network_state: NetworkState, dataset: Dataset, batch: Batch
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], NetworkState]]:
    images = normalise(dataset, batch.images)
    logits, network_state = network.apply(params, network_state, images, True)
    losses, correct = cross_entropy(logits, batch.labels)
    return losses.mean(), (correct.mean(), network_state)


def evaluate(
    params: Params, network: Network, network_state: NetworkState, dataset: Dataset, split: Batch
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean loss and accuracy over a whole split, chunk by chunk, with the network as it is."""
    num_examples = split.labels.shape[0]
    largest = chunk_size(network, dataset.image_shape, LARGEST_EVALUATION_BATCH, accumulates=False)
    size = min(largest, num_examples)
    num_chunks = -(-num_examples // size)

    def measure(totals, chunk):
        # The last chunk is moved back to end with the split; what it repeats has no weight.
        start = jnp.minimum(chunk * size, num_examples - size)
        fresh = start + jnp.arange(size) >= chunk * size
        images, labels = (
            jax.lax.dynamic_slice_in_dim(x, start, size) for x in (split.images, split.labels)
        )
        logits, _ = network.apply(params, network_state, normalise(dataset, images), False)
        losses, correct = cross_entropy(logits, labels)
        sums = (jnp.sum(losses, where=fresh), jnp.sum(correct, where=fresh))
        return jax.tree.map(jnp.add, totals, sums), None

    zero = jnp.float32(0)
    (loss, correct), _ = jax.lax.scan(measure, (zero, zero), jnp.arange(num_chunks))
    return loss / num_examples, correct / num_examples
