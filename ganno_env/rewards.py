"""What agents are paid for, each a small pure function of what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.limits import LOSS, within
from ganno_env.registry import Registry
from ganno_env.types import Metrics

SMALLEST_ERROR = 1e-3
"""Error rates are no less than this before their logarithm is taken."""

RewardFunction = Callable[[Metrics, Metrics, Metrics], Float[Array, ""]]
"""`(before, after, after_no_op) -> reward`, each taken after the same batches."""


@dataclasses.dataclass(frozen=True)
class Reward:
    """A reward, and whether it needs the second branch, in which no agent acts.

    Where it doesn't, `after_no_op` is `after`, and a step costs half as much.
    """

    function: RewardFunction
    needs_no_op: bool


REWARDS: Registry[Reward] = Registry("reward")


def _register(name: str, needs_no_op: bool) -> Callable[[RewardFunction], RewardFunction]:
    def add(function: RewardFunction) -> RewardFunction:
        REWARDS.add(name, Reward(function, needs_no_op))
        return function

    return add


@_register("accuracy_difference", needs_no_op=True)
def accuracy_difference(before: Metrics, after: Metrics, after_no_op: Metrics) -> Array:
    """The paper's: validation accuracy less what the no-op would have given (section 2)."""
    return after.validation_accuracy - after_no_op.validation_accuracy


@_register("loss_difference", needs_no_op=True)
def loss_difference(before: Metrics, after: Metrics, after_no_op: Metrics) -> Array:
    """The no-op's validation loss less the actions': finer than accuracy on a small split."""
    return _loss(after_no_op) - _loss(after)


@_register("accuracy", needs_no_op=False)
def accuracy(before: Metrics, after: Metrics, after_no_op: Metrics) -> Array:
    """Validation accuracy itself."""
    return after.validation_accuracy


@_register("accuracy_gain", needs_no_op=False)
def accuracy_gain(before: Metrics, after: Metrics, after_no_op: Metrics) -> Array:
    """The change of validation accuracy; over an episode, these add up to all that was gained."""
    return after.validation_accuracy - before.validation_accuracy


@_register("log_error_gain", needs_no_op=False)
def log_error_gain(before: Metrics, after: Metrics, after_no_op: Metrics) -> Array:
    """The fall of the logarithm of the validation error rate, 1 - accuracy.

    Over an episode these add up, as accuracy's gains do, but the same part of the errors that are
    left is worth the same at the end as at the start, where errors are many and easily mended.
    """
    return _log_error(before) - _log_error(after)


@_register("loss_gain", needs_no_op=False)
def loss_gain(before: Metrics, after: Metrics, after_no_op: Metrics) -> Array:
    """The fall of validation loss."""
    return _loss(before) - _loss(after)


def _log_error(metrics: Metrics) -> Array:
    return jnp.log(jnp.maximum(1.0 - metrics.validation_accuracy, SMALLEST_ERROR))


def _loss(metrics: Metrics) -> Array:
    return within(metrics.validation_loss, LOSS)
