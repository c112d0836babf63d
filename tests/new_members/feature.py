"""How far each layer's learning rate is from where it began, as a feature."""

import jax.numpy as jnp

from ganno_env.observations import FEATURES, Feature


def rate_ratio(context):
    """The logarithm of the current rate over the initial one."""
    rates, initial = (
        jnp.maximum(values["learning_rate"], 1e-8)
        for values in (context.controls, context.initial_controls)
    )
    return jnp.log10(rates / initial)


FEATURES.add("rate_ratio", Feature(rate_ratio, layerwise=True, limits=(-8.0, 8.0)))
