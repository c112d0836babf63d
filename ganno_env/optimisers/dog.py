"""Distance over gradients: SGD whose rate is how far it has come, over the gradients it has seen.

They take no learning rate: it is 1 here. λ is a penalty whose gradient λθ joins the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from ganno.options import Positive
from ganno_env.controls import WEIGHT_DECAY, Hyperparameters
from ganno_env.controls.weight_decay import weight_decay_stage
from ganno_env.optimisers.base import Optimiser, ascent, for_each_layer
from ganno_env.types import Params

INITIAL_STEP, INITIAL_STEP_WITH_BATCH_NORM = 1e-6, 1e-4
"""The first step relative to the weights, as DoG's authors advise."""
GAMMA = 8
"""Of the average of iterates, as DoG's authors have it."""


class AveragedState(NamedTuple):
    """An average of iterates, and how many updates were made."""

    average: Params
    num_updates: Int[Array, ""]
    own: Any


def dog(initial_step: Positive = INITIAL_STEP, layerwise: bool = False) -> Optimiser:
    """DoG (Ivgi et al., 2023), evaluated at the average of its iterates, as its authors do.

    Args:
        initial_step: relative to 1 + ‖θ‖; 1e-4 for networks with batch norm.
        layerwise: L-DoG, which has distances and gradients of each layer for itself.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        decays = hyperparameters[WEIGHT_DECAY.name]
        initial = ("heuristic", initial_step)
        own = optax.contrib.dog(init_step=initial)
        if layerwise:
            own = for_each_layer(lambda _: optax.contrib.dog(init_step=initial), decays)
        return _averaged(ascent(optax.chain(weight_decay_stage(decays), own)))

    return Optimiser(build, takes={WEIGHT_DECAY.name}, evaluation_params=_evaluated)


def dowg() -> Optimiser:
    """DoWG (Khaled et al., 2023): gradients weigh by the distance at which they were seen."""

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        penalty = weight_decay_stage(hyperparameters[WEIGHT_DECAY.name])
        return ascent(optax.chain(penalty, optax.contrib.dowg()))

    return Optimiser(build, takes={WEIGHT_DECAY.name})


def _averaged(own: optax.GradientTransformation) -> optax.GradientTransformation:
    """`own`, with an average of the parameters beside it (`_with`)."""

    def init(params: Params) -> AveragedState:
        return AveragedState(params, jnp.int32(0), own.init(params))

    def update(
        gradient: Params, state: AveragedState, params: Params
    ) -> tuple[Params, AveragedState]:
        direction, own_state = own.update(gradient, state.own, params)
        return direction, AveragedState(_with(state, params), state.num_updates + 1, own_state)

    return optax.GradientTransformation(init, update)


def _evaluated(state: AveragedState, params: Params) -> Params:
    return _with(state, params)


def _with(state: AveragedState, params: Params) -> Params:
    """The average with the parameters after `state.num_updates` updates in it.

    Polynomial decay (Shamir and Zhang, 2013): of iterate t it takes (γ + 1) / (γ + t). Until the
    first update is made, it is the parameters themselves.
    """
    weight = jnp.minimum((GAMMA + 1) / (GAMMA + state.num_updates.astype(jnp.float32)), 1.0)
    return jax.tree.map(lambda mean, new: mean + weight * (new - mean), state.average, params)
