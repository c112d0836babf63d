"""The loss of a batch with its gradient, and the measures taken on a whole split."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.inner.chunks import chunk_size
from ganno_env.types import Batch, Network, NetworkState, Params, Task

LARGEST_EVALUATION_BATCH = 256
"""Examples a forward pass, at most, when a split is measured."""


def batch_gradient(
    params: Params, network: Network, network_state: NetworkState, task: Task, batch: Batch
) -> tuple[Float[Array, ""], Float[Array, ""], NetworkState, Params]:
    """A training batch's mean loss, accuracy, new network state, and gradient.

    Where examples don't touch each other, the gradient is added up over chunks of the batch that
    fit into the cache. A network that keeps a state, batch norm's, needs its batch whole.
    """
    differentiate = jax.value_and_grad(_batch_loss, has_aux=True)
    size = chunk_size(network, task.input_spec, batch.size)
    num_chunks = batch.size // size
    if num_chunks == 1 or jax.tree.leaves(network_state):
        (loss, (accuracy, network_state)), gradient = differentiate(
            params, network, network_state, task, batch
        )
        return loss, accuracy, network_state, gradient

    def accumulate(totals: Any, chunk: Batch) -> tuple[Any, None]:
        (loss, (accuracy, _)), gradient = differentiate(params, network, network_state, task, chunk)
        return jax.tree.map(jnp.add, totals, (loss, accuracy, gradient)), None

    chunks = jax.tree.map(lambda x: x.reshape(num_chunks, size, *x.shape[1:]), batch)
    zeros = (jnp.float32(0), jnp.float32(0), jax.tree.map(jnp.zeros_like, params))
    totals, _ = jax.lax.scan(accumulate, zeros, chunks)
    loss, accuracy, gradient = jax.tree.map(lambda total: total / num_chunks, totals)
    return loss, accuracy, network_state, gradient


def _batch_loss(
    params: Params, network: Network, network_state: NetworkState, task: Task, batch: Batch
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], NetworkState]]:
    inputs = task.prepare(batch.inputs)
    outputs, network_state = network.apply(params, network_state, inputs, True)
    losses = task.loss(outputs, batch.targets)
    accuracies = task.metrics["accuracy"].per_example(outputs, batch.targets)
    return losses.mean(), (accuracies.mean(), network_state)


def evaluate(
    params: Params, network: Network, network_state: NetworkState, task: Task, split: Batch
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean loss and metrics over a whole split, chunk by chunk, with the network as it is."""
    num_examples = split.size
    largest = chunk_size(network, task.input_spec, LARGEST_EVALUATION_BATCH, accumulates=False)
    size = min(largest, num_examples)
    num_chunks = -(-num_examples // size)

    def measure(totals: Any, chunk: Array) -> tuple[Any, None]:
        # The last chunk is moved back to end with the split; what it repeats has no weight.
        start = jnp.minimum(chunk * size, num_examples - size)
        fresh = start + jnp.arange(size) >= chunk * size
        inputs, targets = (
            jax.lax.dynamic_slice_in_dim(x, start, size) for x in (split.inputs, split.targets)
        )
        outputs, _ = network.apply(params, network_state, task.prepare(inputs), False)
        values = (
            task.loss(outputs, targets),
            {name: m.per_example(outputs, targets) for name, m in task.metrics.items()},
        )
        sums = jax.tree.map(lambda x: jnp.sum(x, where=fresh), values)
        return jax.tree.map(jnp.add, totals, sums), None

    zeros = (jnp.float32(0), dict.fromkeys(task.metrics, jnp.float32(0)))
    totals, _ = jax.lax.scan(measure, zeros, jnp.arange(num_chunks))
    loss, metrics = jax.tree.map(lambda total: total / num_examples, totals)
    return loss, {name: metric.of_mean(metrics[name]) for name, metric in task.metrics.items()}
