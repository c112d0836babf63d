"""Adam whose rate follows the training itself: a plateau of the loss, or the hypergradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ganno.options import Count, Positive
from ganno_env.controls import MOMENTUM, WEIGHT_DECAY, Hyperparameters, LayerValues, scale_layers
from ganno_env.controls.weight_decay import weight_decay_stage
from ganno_env.optimisers.base import Optimiser
from ganno_env.optimisers.standard import Decay, adam_direction
from ganno_env.types import Params

B1, B2, EPS = 0.9, 0.999, 1e-8
"""Adam's usual constants."""


def _adamw_direction(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
    return optax.chain(
        adam_direction(B1, B2, EPS, hyperparameters),
        weight_decay_stage(hyperparameters[WEIGHT_DECAY.name]),
    )


def adam_plateau(
    accumulation_size: Count = 100, patience: Count = 3, factor: Decay = 0.5
) -> Optimiser:
    """Adam, its step scaled by `optax.contrib.reduce_on_plateau` of the training loss.

    Args:
        accumulation_size: minibatches whose mean loss counts as one value.
        patience: values in a row that are no better than the best, before the step is reduced.
            The usual 10 would be a third of an episode of 31 values.
        factor: what it is multiplied by then.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return optax.chain(
            _adamw_direction(hyperparameters),
            optax.contrib.reduce_on_plateau(
                factor=factor, patience=patience, accumulation_size=accumulation_size
            ),
        )

    return Optimiser(build, takes={MOMENTUM.name, WEIGHT_DECAY.name})


class HypergradientState(NamedTuple):
    """Each layer's factor of the learning rate, and the direction that was taken last."""

    factors: LayerValues
    direction: Params
    base_state: Any


def adam_hypergradient(hyper_rate: Positive = 0.02) -> Optimiser:
    """Adam whose layerwise rates follow their hypergradients (Baydin et al., 2018).

    Where a layer's gradient g_t points along the direction u_{t-1} that was taken last, a larger
    rate would have been better. The multiplicative rule, normalised so that it has no units:
    rate_t = rate_{t-1} (1 + β cos(g_t, u_{t-1})).

    Args:
        hyper_rate: β, below 1.

    Raises:
        ValueError: for a hyper_rate of 1 or more, with which a rate could become negative.
    """
    if hyper_rate >= 1:
        raise ValueError(f"hyper_rate={hyper_rate!r}; it must be below 1")

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return _scale_by_hypergradient(_adamw_direction(hyperparameters), hyper_rate)

    return Optimiser(build, takes={MOMENTUM.name, WEIGHT_DECAY.name})


def _scale_by_hypergradient(
    base: optax.GradientTransformation, hyper_rate: float
) -> optax.GradientTransformation:
    def init(params: Params) -> HypergradientState:
        return HypergradientState(
            factors={name: jnp.ones((), jnp.float32) for name in params},
            direction=jax.tree.map(jnp.zeros_like, params),
            base_state=base.init(params),
        )

    def update(
        gradient: Params, state: HypergradientState, params: Params | None = None
    ) -> tuple[Params, HypergradientState]:
        factors = {
            name: factor * (1 + hyper_rate * _cosine(gradient[name], state.direction[name]))
            for name, factor in state.factors.items()
        }
        direction, base_state = base.update(gradient, state.base_state, params)
        state = HypergradientState(factors, direction, base_state)
        return scale_layers(direction, factors), state

    return optax.GradientTransformation(init, update)


def _cosine(a: Any, b: Any) -> Float[Array, ""]:
    """Of the angle between two trees; 0 where either is 0."""
    norms = optax.tree.norm(a) * optax.tree.norm(b)
    return jnp.where(norms > 0, optax.tree.vdot(a, b) / jnp.where(norms > 0, norms, 1.0), 0.0)
