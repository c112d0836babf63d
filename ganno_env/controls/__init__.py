"""Hyperparameters that agents may set, layer by layer: one file and one registry line each."""

from __future__ import annotations

from ganno_env.controls.base import Control, Hyperparameters, LayerValues, clip, scale_layers
from ganno_env.controls.initial import complete, initial_ranges, sample_all
from ganno_env.controls.learning_rate import LEARNING_RATE, PAPER_ACTIONS
from ganno_env.controls.momentum import MOMENTUM
from ganno_env.controls.step_scale import STEP_SCALE
from ganno_env.controls.weight_decay import WEIGHT_DECAY
from ganno_env.registry import Registry

CONTROLS: Registry[Control] = Registry("control")
for _control in (WEIGHT_DECAY, LEARNING_RATE, MOMENTUM, STEP_SCALE):
    CONTROLS.add(_control.name, _control)

__all__ = [
    "CONTROLS",
    "LEARNING_RATE",
    "MOMENTUM",
    "PAPER_ACTIONS",
    "STEP_SCALE",
    "WEIGHT_DECAY",
    "Control",
    "Hyperparameters",
    "LayerValues",
    "clip",
    "complete",
    "initial_ranges",
    "sample_all",
    "scale_layers",
]
