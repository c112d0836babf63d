"""What agents see: a table of small named features (paper, appendix D).

A feature is one function of a `View`. Global features are scalars, the same for each agent; layer
features have a row for each layer. A new one is a function and its line of registration.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.actions import ActionSet
from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.limits import FRACTION, LOSS, Limits, within
from ganno_env.registry import Registry
from ganno_env.types import LAYER_KINDS, LayerSpec, State

ANY_LIMITS: Limits = (-1e3, 1e3)
"""The limits of a feature that does not say its own."""
SMALLEST_LOG = 1e-8
"""Logarithms are base 10, of no less than this: a learning rate of 0 shows as -8."""
LAYER_DEPTHS = ("first", "intermediate", "last")


@dataclasses.dataclass(frozen=True)
class View:
    """What a feature is a function of: the state, and what never changes."""

    state: State
    layers: tuple[LayerSpec, ...]
    actions: ActionSet
    time_limit: int


FeatureFunction = Callable[[View], Array]
Columns = Callable[[ActionSet], Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Feature:
    """A named feature.

    Attributes:
        function: from a view to a scalar (global), or to [L] or [L, k] (layerwise).
        layerwise: whether each layer has its own.
        columns: what its k columns are called, where it has more than one.
        limits: what it is clipped to; a diverged network shows the greatest. They are some ten
            times what a network in training shows, so that running statistics which take in one
            diverged network in a few hundred keep their order of magnitude.
        normalised: whether a system should normalise it by running statistics. Not so one-hots and
            flags, which mean the same whatever was seen before; some are never up in training.
    """

    function: FeatureFunction
    layerwise: bool
    columns: Columns | None = None
    limits: Limits = ANY_LIMITS
    normalised: bool = True

    def __post_init__(self) -> None:
        """Refuses limits that are not an increasing pair of finite numbers."""
        least, greatest = self.limits
        if not -math.inf < least < greatest < math.inf:
            raise ValueError(f"a feature's limits must be finite and increasing, not {self.limits}")

    def column_names(self, name: str, actions: ActionSet) -> tuple[str, ...]:
        """The names of its columns, such as "layer_depth=first"."""
        if self.columns is None:
            return (name,)
        return tuple(f"{name}={column}" for column in self.columns(actions))

    def values(self, view: View) -> Float[Array, "..."]:
        """What `function` gives, within `limits`: finite whatever the network does."""
        return within(jnp.asarray(self.function(view)), self.limits)

    def logarithm(self) -> Feature:
        """The same on a logarithmic scale, base 10, for a positive feature.

        Limits hold before the logarithm is taken: a diverged network shows the greatest one's.
        """
        low, high = (max(limit, SMALLEST_LOG) for limit in self.limits)
        return dataclasses.replace(
            self,
            function=lambda view: jnp.log10(jnp.maximum(self.values(view), SMALLEST_LOG)),
            limits=(math.log10(low), math.log10(high)),
        )


FEATURES: Registry[Feature] = Registry("feature")


_ONE_HOT: dict[str, Any] = {"layerwise": True, "limits": FRACTION, "normalised": False}


def _register(name: str, **fields: Any) -> Callable[[FeatureFunction], FeatureFunction]:
    """Registers a function under `name`, with `Feature`'s other fields."""

    def add(function: FeatureFunction) -> FeatureFunction:
        FEATURES.add(name, Feature(function, **fields))
        return function

    return add


def _register_pair(
    name: str, *, logarithm_of: Limits | None = None, **fields: Any
) -> Callable[[FeatureFunction], FeatureFunction]:
    """Registers a positive feature as it is, and its logarithm under "log_" + its name.

    The logarithm is taken of values within `logarithm_of`, if that is given: on a logarithmic scale
    a diverged network is not so far from the others, and limits may be wider.
    """

    def add(function: FeatureFunction) -> FeatureFunction:
        feature = Feature(function, **fields)
        FEATURES.add(name, feature)
        wide = dataclasses.replace(feature, limits=logarithm_of or feature.limits)
        FEATURES.add(f"log_{name}", wide.logarithm())
        return function

    return add


@_register("train_accuracy", layerwise=False, limits=FRACTION)
def train_accuracy(view: View) -> Array:
    """Mean accuracy on the last step's minibatches."""
    return view.state.metrics.train_accuracy


@_register("validation_accuracy", layerwise=False, limits=FRACTION)
def validation_accuracy(view: View) -> Array:
    """Accuracy on the validation split (the paper's "test" accuracy in observations)."""
    return view.state.metrics.validation_accuracy


@_register_pair("train_loss", layerwise=False, limits=LOSS)
def train_loss(view: View) -> Array:
    """Mean loss on the last step's minibatches."""
    return view.state.metrics.train_loss


@_register_pair("validation_loss", layerwise=False, limits=LOSS)
def validation_loss(view: View) -> Array:
    """Loss on the validation split."""
    return view.state.metrics.validation_loss


@_register("non_finite", layerwise=False, limits=FRACTION, normalised=False)
def non_finite(view: View) -> Array:
    """1 if a loss is infinite or not a number, else 0."""
    metrics = view.state.metrics
    return 1.0 - jnp.isfinite(metrics.train_loss + metrics.validation_loss).astype(jnp.float32)


@_register("progress", layerwise=False, limits=FRACTION)
def progress(view: View) -> Array:
    """The part of the episode that is over, in [0, 1]: current epochs / total epochs."""
    return view.state.step_count.astype(jnp.float32) / view.time_limit


@_register_pair("loss_ratio", layerwise=False, limits=(0.0, 10.0))
def loss_ratio(view: View) -> Array:
    """Train loss / validation loss (Almeida et al., 2021); 1 where both are beyond their limit."""
    metrics = view.state.metrics
    train, validation = (within(x, LOSS) for x in (metrics.train_loss, metrics.validation_loss))
    return train / jnp.maximum(validation, SMALLEST_LOG)


@_register_pair("initial_learning_rate", layerwise=False, limits=LEARNING_RATE.bounds)
def initial_learning_rate(view: View) -> Array:
    """The episode's initial learning rate."""
    return view.state.initial_controls[LEARNING_RATE.name]


@_register_pair("initial_weight_decay", layerwise=False, limits=WEIGHT_DECAY.bounds)
def initial_weight_decay(view: View) -> Array:
    """The episode's initial weight decay."""
    return view.state.initial_controls[WEIGHT_DECAY.name]


@_register_pair("learning_rate", layerwise=True, limits=LEARNING_RATE.bounds)
def learning_rate(view: View) -> Array:
    """The layer's current learning rate."""
    return view.state.controls[LEARNING_RATE.name]


@_register("previous_action", columns=lambda actions: actions.names, **_ONE_HOT)
def previous_action(view: View) -> Array:
    """The agent's last action, one-hot; the no-op after a reset."""
    return jax.nn.one_hot(view.state.previous_action, len(view.actions))


@_register("layer_type", columns=lambda actions: LAYER_KINDS, **_ONE_HOT)
def layer_type(view: View) -> Array:
    """Linear, convolutional or attention, one-hot."""
    kinds = jnp.array([LAYER_KINDS.index(layer.kind) for layer in view.layers])
    return jax.nn.one_hot(kinds, len(LAYER_KINDS))


@_register("layer_depth", columns=lambda actions: LAYER_DEPTHS, **_ONE_HOT)
def layer_depth(view: View) -> Array:
    """First, intermediate or last, one-hot; the only layer of a network is its last."""
    last = len(view.layers) - 1
    return jax.nn.one_hot(
        jnp.array([2 if i == last else 0 if i == 0 else 1 for i in range(last + 1)]), 3
    )


# A network that has converged on an easy dataset has ratios beyond 30.
@_register_pair("trust_ratio", layerwise=True, limits=(0.0, 30.0), logarithm_of=(0.0, 1000.0))
def trust_ratio(view: View) -> Array:
    """LAMB's trust ratio, ||theta_l|| / ||u_l||."""
    return view.state.statistics.trust_ratio


@_register_pair("gradient_norm", layerwise=True, limits=(0.0, 100.0))
def gradient_norm(view: View) -> Array:
    """||g_l|| of the last minibatch."""
    return view.state.statistics.gradient_norm


@_register_pair("update_norm", layerwise=True, limits=(0.0, 1000.0))
def update_norm(view: View) -> Array:
    """||u_l||: the last direction, before the learning rate."""
    return view.state.statistics.update_norm


@_register("weight_mean", layerwise=True, limits=(-0.5, 0.5))
def weight_mean(view: View) -> Array:
    """The mean of all that the layer learns."""
    return view.state.statistics.weight_mean


@_register_pair("weight_variance", layerwise=True, limits=(0.0, 1.0))
def weight_variance(view: View) -> Array:
    """The variance of all that the layer learns."""
    return view.state.statistics.weight_variance


@_register_pair("weight_norm", layerwise=True, limits=(0.0, 50.0))
def weight_norm(view: View) -> Array:
    """||theta_l||."""
    return view.state.statistics.weight_norm


_GLOBAL = (
    "train_accuracy", "validation_accuracy", "train_loss", "validation_loss", "non_finite",
    "progress", "loss_ratio", "initial_learning_rate", "initial_weight_decay",
)  # fmt: skip
_LAYERWISE = (
    "learning_rate", "previous_action", "layer_type", "layer_depth", "trust_ratio",
    "gradient_norm", "update_norm", "weight_mean", "weight_variance", "weight_norm",
)  # fmt: skip

FEATURE_SETS: Registry[tuple[str, ...]] = Registry("feature set")
FEATURE_SETS.add("paper", _GLOBAL + _LAYERWISE)
FEATURE_SETS.add(
    "log", tuple(f"log_{n}" if f"log_{n}" in FEATURES else n for n in _GLOBAL + _LAYERWISE)
)
FEATURE_SETS.add("global", _GLOBAL)
FEATURE_SETS.add("learning_rate_only", ("learning_rate",))
FEATURE_SETS.add("progress_only", ("progress",))


def resolve_features(features: str | Sequence[str]) -> tuple[str, ...]:
    """The features' names, from a set's name or a list.

    Raises:
        ValueError: for an unknown name, an empty list or a feature listed twice.
    """
    names = FEATURE_SETS[features] if isinstance(features, str) else tuple(features)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"features must be a list without repetition, not {list(names)}")
    for name in names:
        FEATURES[name]
    return names


def observe(names: Sequence[str], view: View, single_agent: bool) -> Float[Array, "agents F"]:
    """The features of each agent, side by side: finite whatever the network does."""
    num_agents = 1 if single_agent else len(view.layers)
    columns = []
    for name in names:
        values = FEATURES[name].values(view)
        rows = values.reshape(values.shape[0], -1) if values.ndim else values.reshape(1, 1)
        columns.append(jnp.broadcast_to(rows, (num_agents, rows.shape[1])))
    return jnp.concatenate(columns, axis=1)
