"""Adam in relative steps: how far a layer moves is a fraction of how large its weights are."""

from __future__ import annotations

import optax

from ganno.features import trust_ratio
from ganno.options import Positive
from ganno_env.controls import MOMENTUM, WEIGHT_DECAY, Hyperparameters, scale_layers
from ganno_env.controls.weight_decay import weight_decay_stage
from ganno_env.optimisers.base import Optimiser
from ganno_env.optimisers.standard import Decay, adam_direction
from ganno_env.types import Params


def scale_by_layer_trust_ratio() -> optax.GradientTransformation:
    """`optax.scale_by_trust_ratio` of whole layers: biases and norms count with their kernels."""

    def update(directions: Params, params: Params) -> Params:
        ratios = {
            name: trust_ratio(optax.tree.norm(params[name]), optax.tree.norm(direction))
            for name, direction in directions.items()
        }
        return scale_layers(directions, ratios)

    return optax.stateless(update)


def adam_relative(b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8) -> Optimiser:
    """Adam with decoupled decay, each layer's direction scaled to the norm of its weights.

    A learning rate of 0.01 moves every layer by a hundredth of its weights' norm an update,
    whatever its size and scale: the layerwise steps of LARS and LAMB (You et al., 2017 and 2020).

    Args:
        b1: decay of the gradient's running mean, where momentum is no control.
        b2: decay of the running mean of its square.
        eps: added to the root of that.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return optax.chain(
            adam_direction(b1, b2, eps, hyperparameters),
            weight_decay_stage(hyperparameters[WEIGHT_DECAY.name]),
            scale_by_layer_trust_ratio(),
        )

    return Optimiser(build, takes={MOMENTUM.name, WEIGHT_DECAY.name})
