"""What a layer's step is multiplied by: the agents' part where the learning rate has a schedule."""

from __future__ import annotations

import optax

from ganno_env.controls.base import Control, LayerValues, scale_layers


def step_scale_stage(values: LayerValues) -> optax.GradientTransformation:
    """The stage that multiplies each layer's step by the layer's own factor."""
    return optax.stateless(lambda updates, params: scale_layers(updates, values))


STEP_SCALE = Control(
    name="step_scale",
    bounds=(0.25, 4.0),
    initial_range=(1.0, 1.0),
    actions=("noop", "*1.25", "/1.25"),
    stage=step_scale_stage,
    place="step",
    optional=True,
)
