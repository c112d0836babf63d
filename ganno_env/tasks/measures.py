"""What tasks share: the cross-entropy, who is right, and what a task says of data unfit for it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Integer

from ganno_env.types import Dataset


def cross_entropy(
    logits: Float[Array, "... K"], targets: Integer[Array, "..."]
) -> Float[Array, "..."]:
    """The cross-entropy of each target, in nats.

    The targets are one-hot because their gradient is a subtraction; an index's is a scatter.
    """
    return optax.softmax_cross_entropy(
        logits, jax.nn.one_hot(targets, logits.shape[-1], dtype=logits.dtype)
    )


def correct(logits: Float[Array, "... K"], targets: Integer[Array, "..."]) -> Float[Array, "..."]:
    """1 where the largest logit is the target's, else 0; one that is no number is never right.

    The cross-entropy is the one that the loss has computed: XLA makes one of the two.
    """
    losses = cross_entropy(logits, targets)
    right = (jnp.argmax(logits, axis=-1).astype(targets.dtype) == targets) & jnp.isfinite(losses)
    return right.astype(jnp.float32)


def check_fit(fits: bool, task: str, dataset: Dataset, takes: str) -> None:
    """Raises `ValueError` for a dataset that is not what a task takes."""
    if fits:
        return
    inputs, targets = (
        f"{array.dtype} [{', '.join(map(str, ('N', *array.shape[1:])))}]"
        for array in (dataset.train.inputs, dataset.train.targets)
    )
    remedy = f"; its usual task is {dataset.task!r}" if dataset.task != task else ""
    raise ValueError(
        f"task {task!r} does not fit dataset {dataset.name!r}: it takes {takes}, not inputs "
        f"{inputs} with targets {targets}{remedy}"
    )
