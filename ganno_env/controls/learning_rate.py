"""The layerwise learning rate, alpha: what the paper's agents set."""

from __future__ import annotations

import jax
import optax

from ganno_env.controls.base import Control, LayerValues, scale_layers


def learning_rate_stage(values: LayerValues) -> optax.GradientTransformation:
    """Turns a direction of ascent into each layer's own step: `optax.scale_by_learning_rate`."""
    return optax.stateless(
        lambda updates, params: scale_layers(updates, jax.tree.map(lambda rate: -rate, values))
    )


LEARNING_RATE = Control(
    name="learning_rate",
    bounds=(0.0, 1.0),
    initial_range=(1e-5, 1e-2),
    stage=learning_rate_stage,
    place="step",
)
