"""The momentum of the gradient's running mean: Adam's beta_1, or the decay of SGD's trace."""

from __future__ import annotations

from ganno_env.controls.base import Control

MOMENTUM = Control(
    name="momentum",
    bounds=(0.0, 0.999),
    initial_range=(0.9, 0.9),
    actions=("noop", "+0.01", "-0.01", "+0.05", "-0.05"),
    optional=True,
)
