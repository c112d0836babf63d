"""The features (paper, appendix D): those of `ganno.features`, of what a step measured.

They are defined there because a policy takes them along to loops that know nothing of this
environment. One that no other loop could give is a function of a `FeatureContext`, and registered
as `FEATURES.add("NAME", Feature(function, ...))`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ganno import features
from ganno_env.observations.base import FEATURES, Feature, FeatureContext


def measured(context: FeatureContext) -> dict[str, Array]:
    """What `ganno.features` are functions of, by name; those of controls have features here."""
    last = len(context.layers) - 1
    depths = [2 if i == last else 0 if i == 0 else 1 for i in range(last + 1)]
    kinds = [features.LAYER_KINDS.index(layer.kind) for layer in context.layers]
    return {
        "train_loss": context.metrics.train_loss,
        "train_accuracy": context.metrics.train_accuracy,
        "validation_loss": context.metrics.validation_loss,
        "validation_accuracy": context.metrics.validation_accuracy,
        "gradient_norm": context.statistics.gradient_norm,
        "update_norm": context.statistics.update_norm,
        "weight_norm": context.statistics.weight_norm,
        "weight_mean": context.statistics.weight_mean,
        "weight_variance": context.statistics.weight_variance,
        "progress": context.step_count.astype(jnp.float32) / context.horizon,
        "layer_type": jnp.array(kinds),
        "layer_depth": jnp.array(depths),
    }


def _of_context(feature: features.Feature) -> Feature:
    """The same as a function of a context: an index as a one-hot."""
    categories = feature.categories

    def function(context: FeatureContext) -> Array:
        value = feature.raw(measured(context))
        if categories is None:
            return value
        return jax.nn.one_hot(value, len(categories(context.actions.names)))

    return Feature(
        function,
        feature.layerwise,
        columns=None if categories is None else lambda actions: categories(actions.names),
        limits=feature.limits,
        normalised=feature.normalised,
    )


# With several controls, an action is one on each: the environment shows it as several one-hots.
FEATURES.add(
    "previous_action",
    Feature(
        lambda context: context.actions.one_hot(context.previous_action),
        layerwise=True,
        columns=lambda actions: actions.columns,
        limits=features.FRACTION,
        normalised=False,
    ),
)
for _name, _feature in features.FEATURES.items():
    if _name not in FEATURES:
        FEATURES.add(_name, _of_context(_feature))
