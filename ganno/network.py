"""The recurrent network that agents decide by: MLP, GRU, MLP, one logit for each action.

In NumPy or in JAX, whichever the observations are; weights may be NumPy's in both. `N` is the
number of agents, who share the weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganno.arrays import Array, namespace

Weights = Mapping[str, np.ndarray]
"""By their paths in a policy's file, such as "torso/Dense_0/kernel"."""
CELL = "gru/GRUCell_0"


def forward(
    weights: Weights, hidden: Array, view: Array, before: int, after: int
) -> tuple[Array, Array]:
    """One step of all agents.

    Args:
        weights: float32.
        hidden: the state that the step before left behind, [N, H].
        view: normalised observations, [N, F].
        before: the number of layers before the GRU.
        after: the number of them between it and the logits.

    Returns:
        The new hidden state, [N, H], and logits, [N, A].
    """
    hidden = gru(weights, hidden, mlp(weights, "torso", before, view))
    return hidden, dense(weights, "logits", mlp(weights, "head", after, hidden))


def mlp(weights: Weights, name: str, num_layers: int, x: Array) -> Array:
    """Dense layers, each followed by a ReLU."""
    for i in range(num_layers):
        x = dense(weights, f"{name}/Dense_{i}", x)
        x = namespace(x).maximum(x, 0.0)
    return x


def gru(weights: Weights, hidden: Array, x: Array) -> Array:
    """The next hidden state (Cho et al., 2014), with Flax's names of gates and its biases."""
    reset = _sigmoid(dense(weights, f"{CELL}/ir", x) + dense(weights, f"{CELL}/hr", hidden))
    keep = _sigmoid(dense(weights, f"{CELL}/iz", x) + dense(weights, f"{CELL}/hz", hidden))
    recalled = reset * dense(weights, f"{CELL}/hn", hidden)
    new = namespace(x).tanh(dense(weights, f"{CELL}/in", x) + recalled)
    return (1.0 - keep) * new + keep * hidden


def dense(weights: Weights, name: str, x: Array) -> Array:
    """`x @ kernel + bias`, or without a bias where there is none."""
    product = x @ weights[f"{name}/kernel"]
    bias = weights.get(f"{name}/bias")
    return product if bias is None else product + bias


def _sigmoid(x: Array) -> Array:
    return 0.5 * (namespace(x).tanh(0.5 * x) + 1.0)  # which overflows nowhere
