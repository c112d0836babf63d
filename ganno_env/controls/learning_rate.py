"""The layerwise learning rate, alpha: what the paper's agents set."""

from __future__ import annotations

import jax
import optax

from ganno_env.controls.base import Control, LayerValues, scale_layers


def learning_rate_stage(values: LayerValues) -> optax.GradientTransformation:
    """The stage from a direction of ascent to each layer's step: `optax.scale_by_learning_rate`."""
    return optax.stateless(
        lambda updates, params: scale_layers(updates, jax.tree.map(lambda rate: -rate, values))
    )


PAPER_ACTIONS: tuple[str, ...] = (
    "noop", "*1.01", "*1.10", "/1.01", "/1.10", "+0.0005", "-0.0005", "+0.001", "-0.001",
)  # fmt: skip
"""The paper's nine (appendix D); action 0 is the no-op."""

LEARNING_RATE = Control(
    name="learning_rate",
    bounds=(0.0, 1.0),
    initial_range=(1e-5, 1e-2),
    actions=PAPER_ACTIONS,
    stage=learning_rate_stage,
    place="step",
)
