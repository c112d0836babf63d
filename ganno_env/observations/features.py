"""The features (paper, appendix D), each a small named function.

Global features are scalars, the same for each agent; layer features have a row for each layer. A
new one is a function and its line of registration.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ganno_env.limits import FRACTION, LOSS, within
from ganno_env.observations.base import SMALLEST_LOG, FeatureContext, register, register_pair
from ganno_env.types import LAYER_KINDS

LAYER_DEPTHS = ("first", "intermediate", "last")
_ONE_HOT: dict[str, Any] = {"layerwise": True, "limits": FRACTION, "normalised": False}


@register("train_accuracy", layerwise=False, limits=FRACTION)
def train_accuracy(context: FeatureContext) -> Array:
    """Mean accuracy on the last step's minibatches."""
    return context.metrics.train_accuracy


@register("validation_accuracy", layerwise=False, limits=FRACTION)
def validation_accuracy(context: FeatureContext) -> Array:
    """Accuracy on the validation split (the paper's "test" accuracy in observations)."""
    return context.metrics.validation_accuracy


@register_pair("train_loss", layerwise=False, limits=LOSS)
def train_loss(context: FeatureContext) -> Array:
    """Mean loss on the last step's minibatches."""
    return context.metrics.train_loss


@register_pair("validation_loss", layerwise=False, limits=LOSS)
def validation_loss(context: FeatureContext) -> Array:
    """Loss on the validation split."""
    return context.metrics.validation_loss


@register("non_finite", layerwise=False, limits=FRACTION, normalised=False)
def non_finite(context: FeatureContext) -> Array:
    """1 if a loss is infinite or not a number, else 0."""
    metrics = context.metrics
    return 1.0 - jnp.isfinite(metrics.train_loss + metrics.validation_loss).astype(jnp.float32)


@register("progress", layerwise=False, limits=FRACTION)
def progress(context: FeatureContext) -> Array:
    """The part of the episode that is over, in [0, 1]: current epochs / total epochs."""
    return context.step_count.astype(jnp.float32) / context.horizon


@register_pair("loss_ratio", layerwise=False, limits=(0.0, 10.0))
def loss_ratio(context: FeatureContext) -> Array:
    """Train loss / validation loss (Almeida et al., 2021); 1 where both are beyond their limit."""
    metrics = context.metrics
    train, validation = (within(x, LOSS) for x in (metrics.train_loss, metrics.validation_loss))
    return train / jnp.maximum(validation, SMALLEST_LOG)


@register("previous_action", columns=lambda actions: actions.columns, **_ONE_HOT)
def previous_action(context: FeatureContext) -> Array:
    """The agent's last action on each acted control, one-hot; the no-op after a reset."""
    return context.actions.one_hot(context.previous_action)


@register("layer_type", columns=lambda actions: LAYER_KINDS, **_ONE_HOT)
def layer_type(context: FeatureContext) -> Array:
    """Linear, convolutional or attention, one-hot."""
    kinds = jnp.array([LAYER_KINDS.index(layer.kind) for layer in context.layers])
    return jax.nn.one_hot(kinds, len(LAYER_KINDS))


@register("layer_depth", columns=lambda actions: LAYER_DEPTHS, **_ONE_HOT)
def layer_depth(context: FeatureContext) -> Array:
    """First, intermediate or last, one-hot; the only layer of a network is its last."""
    last = len(context.layers) - 1
    return jax.nn.one_hot(
        jnp.array([2 if i == last else 0 if i == 0 else 1 for i in range(last + 1)]), 3
    )


# A network that has converged on an easy dataset has ratios beyond 30.
@register_pair("trust_ratio", layerwise=True, limits=(0.0, 30.0), logarithm_of=(0.0, 1000.0))
def trust_ratio(context: FeatureContext) -> Array:
    """LAMB's trust ratio, ||theta_l|| / ||u_l||."""
    return context.statistics.trust_ratio


@register_pair("gradient_norm", layerwise=True, limits=(0.0, 100.0))
def gradient_norm(context: FeatureContext) -> Array:
    """||g_l|| of the last minibatch."""
    return context.statistics.gradient_norm


@register_pair("update_norm", layerwise=True, limits=(0.0, 1000.0))
def update_norm(context: FeatureContext) -> Array:
    """||u_l||: the last direction, before the learning rate."""
    return context.statistics.update_norm


@register("weight_mean", layerwise=True, limits=(-0.5, 0.5))
def weight_mean(context: FeatureContext) -> Array:
    """The mean of all that the layer learns."""
    return context.statistics.weight_mean


@register_pair("weight_variance", layerwise=True, limits=(0.0, 1.0))
def weight_variance(context: FeatureContext) -> Array:
    """The variance of all that the layer learns."""
    return context.statistics.weight_variance


@register_pair("weight_norm", layerwise=True, limits=(0.0, 50.0))
def weight_norm(context: FeatureContext) -> Array:
    """||theta_l||."""
    return context.statistics.weight_norm
