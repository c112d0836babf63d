"""The decoupled weight decay, lambda: fixed in the paper, whose section 2 names it as next."""

from __future__ import annotations

import jax
import optax

from ganno_env.controls.base import Control, LayerValues, scale_layers


def weight_decay_stage(values: LayerValues) -> optax.GradientTransformation:
    """The stage that adds each layer's own multiple of its weights: `optax.add_decayed_weights`."""
    return optax.stateless(
        lambda updates, params: jax.tree.map(
            lambda update, decay: update + decay, updates, scale_layers(params, values)
        )
    )


WEIGHT_DECAY = Control(
    name="weight_decay",
    bounds=(0.0, 1.0),
    initial_range=(1e-5, 1e-1),
    actions=("noop", "*1.10", "/1.10", "*2", "/2"),
    stage=weight_decay_stage,
    place="direction",
)
