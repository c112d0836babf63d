"""Optimisers of optax: Adam, SGD with momentum, LAMB and Lion."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import optax
from pydantic import Field

from ganno.options import Positive
from ganno_env.controls import MOMENTUM, WEIGHT_DECAY, Hyperparameters
from ganno_env.controls.weight_decay import weight_decay_stage
from ganno_env.optimisers.base import Optimiser, for_each_layer

Decay = Annotated[float, Field(ge=0, lt=1)]
"""Of a running mean."""


def with_momentum(
    make: Callable[[Any], optax.GradientTransformation],
    momentum: float,
    hyperparameters: Hyperparameters,
) -> optax.GradientTransformation:
    """`make(momentum)`, or a transformation for each layer where momentum is a control.

    With one constant for all layers, the transformation is optax's own on the whole tree.
    """
    if MOMENTUM.name not in hyperparameters:
        return make(momentum)
    return for_each_layer(make, hyperparameters[MOMENTUM.name])


def adam_direction(
    b1: float, b2: float, eps: float, hyperparameters: Hyperparameters
) -> optax.GradientTransformation:
    """Adam's direction, before weight decay."""
    return with_momentum(
        lambda momentum: optax.scale_by_adam(b1=momentum, b2=b2, eps=eps), b1, hyperparameters
    )


def adam(b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8) -> Optimiser:
    """Adam (Kingma and Ba, 2015), whose weight decay is decoupled (Loshchilov and Hutter, 2019).

    Args:
        b1: decay of the gradient's running mean, where momentum is no control.
        b2: decay of the running mean of its square.
        eps: added to the root of that.
    """
    return Optimiser(functools.partial(adam_direction, b1, b2, eps), takes={MOMENTUM.name})


def sgd(momentum: Decay = 0.9, nesterov: bool = False) -> Optimiser:
    """Stochastic gradient descent with momentum and decoupled weight decay.

    Args:
        momentum: decay of the sum of gradients, where momentum is no control.
        nesterov: whether the gradient is looked up ahead.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return with_momentum(
            lambda decay: optax.trace(decay=decay, nesterov=nesterov), momentum, hyperparameters
        )

    return Optimiser(build, takes={MOMENTUM.name})


def lamb(b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-6) -> Optimiser:
    """LAMB (You et al., 2020): Adam's direction and weight decay, scaled by the trust ratio.

    Args:
        b1: decay of the gradient's running mean, where momentum is no control.
        b2: decay of the running mean of its square.
        eps: added to the root of that.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return optax.chain(
            adam_direction(b1, b2, eps, hyperparameters),
            weight_decay_stage(hyperparameters[WEIGHT_DECAY.name]),
            optax.scale_by_trust_ratio(),
        )

    return Optimiser(build, takes={MOMENTUM.name, WEIGHT_DECAY.name})


def lion(b1: Decay = 0.9, b2: Decay = 0.99) -> Optimiser:
    """Lion (Chen et al., 2023), with decoupled weight decay.

    Args:
        b1: how much of the running mean is in the direction, where momentum is no control.
        b2: decay of the running mean.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return with_momentum(
            lambda momentum: optax.scale_by_lion(b1=momentum, b2=b2), b1, hyperparameters
        )

    return Optimiser(build, takes={MOMENTUM.name})
