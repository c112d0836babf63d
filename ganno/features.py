"""What agents see: small named functions of plain numbers (paper, appendix D).

A feature's parameters are named after what it is a function of, so that what a policy has to be
given follows from the names in its file. A new one is a function and its line of registration. With
L layers, it may be a function of

- what agents know of themselves, [L]: `learning_rate`, `previous_action`, `layer_type` and
  `layer_depth`, the last three being indices; and `initial_learning_rate`;
- each layer, [L]: `weight_norm`, `weight_mean` and `weight_variance`, and `gradient_norm` and
  `update_norm` of the last minibatch. An update is the optimiser's direction with decoupled weight
  decay, before the learning rate;
- the whole, one number: `progress`, the part of training that is over; `train_loss` and
  `train_accuracy`, means since the last decision; `validation_loss`, `validation_accuracy`,
  `weight_decay`, `initial_weight_decay`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ganno.arrays import Array, namespace, within
from ganno.names import unknown

Limits: TypeAlias = tuple[float, float]
"""The least and the greatest value."""

FRACTION: Limits = (0.0, 1.0)
LOSS: Limits = (0.0, 10.0)
"""Cross-entropy in nats: guessing among 1,000 classes costs 6.9."""
SMALLEST_LOG = 1e-8
"""Logarithms are base 10, of no less than this: a learning rate of 0 shows as -8."""

LayerKind: TypeAlias = Literal["linear", "convolutional", "attention"]
LAYER_KINDS: tuple[LayerKind, ...] = ("linear", "convolutional", "attention")
LAYER_DEPTHS = ("first", "intermediate", "last")


@dataclasses.dataclass(frozen=True)
class Feature:
    """A named feature.

    Attributes:
        function: from what it needs, by name, to one number or one for each layer.
        needs: the names of what it is a function of.
        layerwise: whether each layer has its own.
        limits: what it is clipped to; what is not a number shows the greatest. They are some ten
            times what a network in training shows, so that running statistics which take in one
            diverged network in a few hundred keep their order of magnitude.
        categories: where the function gives an index, which is shown as a one-hot: what its columns
            are called, from the names of the actions.
        normalised: whether a system should normalise it by running statistics. Not so one-hots and
            flags, which mean the same whatever was seen before; some are never up in training.
    """

    function: Callable[..., Array]
    needs: tuple[str, ...]
    layerwise: bool
    limits: Limits = FRACTION
    categories: Callable[[Sequence[str]], Sequence[str]] | None = None
    normalised: bool = True

    def raw(self, measured: Mapping[str, Array]) -> Array:
        """What the function gives: a number, [L] or, where there are categories, an index [L]."""
        return self.function(**{name: measured[name] for name in self.needs})

    def __call__(self, measured: Mapping[str, Array]) -> Array:
        """Its value, float32 and within its limits whatever was measured."""
        return within(self.raw(measured), self.limits)

    def logarithm(self, limits: Limits | None = None) -> Feature:
        """The same on a logarithmic scale, base 10, for a positive feature.

        `limits`, its own where none are given, hold before the logarithm is taken: a diverged
        network shows the greatest one's.
        """
        low, high = limits or self.limits
        positive = dataclasses.replace(self, limits=(max(low, SMALLEST_LOG), high))

        def log10(**measured: Array) -> Array:
            value = positive(measured)
            return namespace(value).log10(value)

        low, high = (math.log10(limit) for limit in positive.limits)
        return dataclasses.replace(self, function=log10, limits=(low, high))


FEATURES: dict[str, Feature] = {}
"""Features by name."""

FeatureFunction = Callable[..., Array]


def register(layerwise: bool, **fields: Any) -> Callable[[FeatureFunction], FeatureFunction]:
    """Registers a function under its own name, with `Feature`'s other fields."""

    def add(function: FeatureFunction) -> FeatureFunction:
        needs = tuple(inspect.signature(function).parameters)
        FEATURES[function.__name__] = Feature(function, needs, layerwise, **fields)
        return function

    return add


def register_pair(
    layerwise: bool, limits: Limits, logarithm_of: Limits | None = None
) -> Callable[[FeatureFunction], FeatureFunction]:
    """Registers a positive feature as it is, and its logarithm under "log_" + its name.

    The logarithm is taken of values within `logarithm_of`, if that is given: on a logarithmic scale
    a diverged network is not so far from the others, and limits may be wider.
    """

    def add(function: FeatureFunction) -> FeatureFunction:
        name = function.__name__
        register(layerwise, limits=limits)(function)
        FEATURES[f"log_{name}"] = FEATURES[name].logarithm(logarithm_of)
        return function

    return add


def _as_measured(name: str, layerwise: bool, limits: Limits, pair: bool = True) -> None:
    """Registers what is seen as it is given, and its logarithm, if it is one of a pair."""
    FEATURES[name] = Feature(lambda **measured: measured[name], (name,), layerwise, limits)
    if pair:
        FEATURES[f"log_{name}"] = FEATURES[name].logarithm()


_as_measured("train_accuracy", False, FRACTION, pair=False)
_as_measured("validation_accuracy", False, FRACTION, pair=False)
_as_measured("train_loss", False, LOSS)
_as_measured("validation_loss", False, LOSS)
_as_measured("progress", False, FRACTION, pair=False)
_as_measured("learning_rate", True, FRACTION)
_as_measured("initial_learning_rate", False, FRACTION)
_as_measured("weight_decay", True, FRACTION)
_as_measured("initial_weight_decay", False, FRACTION)
_as_measured("gradient_norm", True, (0.0, 100.0))
_as_measured("update_norm", True, (0.0, 1000.0))
_as_measured("weight_mean", True, (-0.5, 0.5), pair=False)
_as_measured("weight_variance", True, (0.0, 1.0))
_as_measured("weight_norm", True, (0.0, 50.0))


@register(layerwise=False, normalised=False)
def non_finite(train_loss: Array, validation_loss: Array) -> Array:
    """1 if a loss is infinite or not a number, else 0."""
    total = train_loss + validation_loss
    return ~namespace(total).isfinite(total)


@register_pair(layerwise=False, limits=(0.0, 10.0))
def loss_ratio(train_loss: Array, validation_loss: Array) -> Array:
    """Train loss / validation loss (Almeida et al., 2021); 1 where both are beyond their limit."""
    train, validation = (within(loss, LOSS) for loss in (train_loss, validation_loss))
    return train / namespace(train).maximum(validation, SMALLEST_LOG)


# A network that has converged on an easy dataset has ratios beyond 30.
@register_pair(layerwise=True, limits=(0.0, 30.0), logarithm_of=(0.0, 1000.0))
def trust_ratio(weight_norm: Array, update_norm: Array) -> Array:
    """LAMB's trust ratio, ||theta_l|| / ||u_l||; 1 where either is 0 (You et al., 2020)."""
    xp = namespace(weight_norm)
    defined = (weight_norm > 0) & (update_norm > 0)
    return xp.where(defined, weight_norm / xp.where(defined, update_norm, 1.0), 1.0)


@register(layerwise=True, categories=lambda actions: actions, normalised=False)
def previous_action(previous_action: Array) -> Array:
    """The agent's last action, one-hot; the no-op at the start."""
    return previous_action


@register(layerwise=True, categories=lambda actions: LAYER_KINDS, normalised=False)
def layer_type(layer_type: Array) -> Array:
    """Linear, convolutional or attention, one-hot."""
    return layer_type


@register(layerwise=True, categories=lambda actions: LAYER_DEPTHS, normalised=False)
def layer_depth(layer_depth: Array) -> Array:
    """First, intermediate or last, one-hot; the only layer of a network is its last."""
    return layer_depth


def needs_of(columns: Sequence[str]) -> tuple[str, ...]:
    """What has to be measured to observe `columns`, each once.

    Raises:
        ValueError: for a column of a feature that there is not.
    """
    return tuple(dict.fromkeys(name for column in columns for name in _of(column).needs))


def observe(columns: Sequence[str], measured: Mapping[str, Array], actions: Sequence[str]) -> Array:
    """What each agent sees, float32 [L, F]: finite whatever was measured.

    Args:
        columns: a feature's name each, or such as "layer_type=linear" of a one-hot.
        measured: all that these need, and `learning_rate`.
        actions: the names of the actions.
    """
    shape = measured["learning_rate"].shape
    xp = namespace(measured["learning_rate"])
    return xp.stack(
        [xp.broadcast_to(_column(column, measured, actions), shape) for column in columns], axis=-1
    )


def _column(column: str, measured: Mapping[str, Array], actions: Sequence[str]) -> Array:
    feature = _of(column)
    if feature.categories is None:
        return feature(measured)
    place = tuple(feature.categories(actions)).index(column.partition("=")[2])
    return (feature.raw(measured) == place).astype(namespace(measured["learning_rate"]).float32)


def _of(column: str) -> Feature:
    name = column.partition("=")[0]
    if name not in FEATURES:
        raise ValueError(unknown("feature", name, FEATURES))
    return FEATURES[name]
