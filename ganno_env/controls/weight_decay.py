"""The decoupled weight decay, lambda: an initial condition in the paper, a control in principle."""

from __future__ import annotations

import jax
import optax

from ganno_env.controls.base import Control, LayerValues, scale_layers


def weight_decay_stage(values: LayerValues) -> optax.GradientTransformation:
    """Adds each layer's own multiple of its weights: `optax.add_decayed_weights`."""
    return optax.stateless(
        lambda updates, params: jax.tree.map(
            lambda update, decay: update + decay, updates, scale_layers(params, values)
        )
    )


WEIGHT_DECAY = Control(
    name="weight_decay",
    bounds=(0.0, 1.0),
    initial_range=(1e-5, 1e-1),
    stage=weight_decay_stage,
    place="direction",
)
