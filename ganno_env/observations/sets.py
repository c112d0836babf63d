"""Which features agents see, by the name of a set or one by one."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.observations.base import FEATURES, FeatureContext
from ganno_env.registry import Registry

CURRENT, INITIAL = "controls", "initial_controls"
"""In a list of features: the current value of each acted control, and the initial value of each,
and of the learning rate and the weight decay. "log_" before either takes logarithms."""

_GLOBAL = (
    "train_accuracy", "validation_accuracy", "train_loss", "validation_loss", "non_finite",
    "progress", "loss_ratio", INITIAL,
)  # fmt: skip
_LAYERWISE = (
    CURRENT, "previous_action", "layer_type", "layer_depth", "trust_ratio", "gradient_norm",
    "update_norm", "weight_mean", "weight_variance", "weight_norm",
)  # fmt: skip
_PAPER = _GLOBAL + _LAYERWISE

FEATURE_SETS: Registry[tuple[str, ...]] = Registry("feature set")
FEATURE_SETS.add("paper", _PAPER)
FEATURE_SETS.add(
    "log",
    tuple(f"log_{n}" if n in (CURRENT, INITIAL) or f"log_{n}" in FEATURES else n for n in _PAPER),
)
FEATURE_SETS.add("global", _GLOBAL)
FEATURE_SETS.add("learning_rate_only", ("learning_rate",))
FEATURE_SETS.add("progress_only", ("progress",))


def resolve_features(
    features: str | Sequence[str], acted: Sequence[str] = (LEARNING_RATE.name,)
) -> tuple[str, ...]:
    """The features' names, from a set's name or a list.

    Args:
        features: a name in `FEATURE_SETS`, or names in `FEATURES`, `CURRENT` and `INITIAL`.
        acted: the controls that agents set.

    Raises:
        ValueError: for an unknown name, an empty list or a feature listed twice.
    """
    listed = FEATURE_SETS[features] if isinstance(features, str) else tuple(features)
    names = tuple(name for entry in listed for name in _expanded(entry, acted))
    if not names or len(set(names)) != len(names):
        raise ValueError(f"features must be a list without repetition, not {list(listed)}")
    for name in names:
        FEATURES[name]
    return names


def _expanded(entry: str, acted: Sequence[str]) -> Sequence[str]:
    prefix = "log_" if entry.startswith("log_") else ""
    kind = entry.removeprefix(prefix)
    if kind == CURRENT:
        return [prefix + name for name in acted]
    if kind == INITIAL:
        named = dict.fromkeys([LEARNING_RATE.name, WEIGHT_DECAY.name, *acted])
        return [f"{prefix}initial_{name}" for name in named]
    return [entry]


def observe(
    names: Sequence[str], context: FeatureContext, single_agent: bool
) -> Float[Array, "agents F"]:
    """The features of each agent, side by side: finite whatever the network does."""
    num_agents = 1 if single_agent else len(context.layers)
    columns = []
    for name in names:
        values = FEATURES[name].values(context)
        rows = values.reshape(values.shape[0], -1) if values.ndim else values.reshape(1, 1)
        columns.append(jnp.broadcast_to(rows, (num_agents, rows.shape[1])))
    return jnp.concatenate(columns, axis=1)
