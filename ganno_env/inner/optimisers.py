"""Optimisers whose direction the layers' rates scale, as pairs of optax transformations."""

from __future__ import annotations

from typing import NamedTuple

import optax

from ganno_env.registry import Registry


class Optimiser(NamedTuple):
    """A direction, weight decay between its two parts, and then the layers' own learning rates.

    Attributes:
        direction: from the gradient to the direction.
        rescaling: what comes after weight decay; the identity for all but LAMB.
    """

    direction: optax.GradientTransformation
    rescaling: optax.GradientTransformation = optax.identity()


OPTIMISERS: Registry[Optimiser] = Registry("optimiser")
OPTIMISERS.add("adam", Optimiser(optax.scale_by_adam()))
OPTIMISERS.add("sgd", Optimiser(optax.trace(decay=0.9)))
OPTIMISERS.add("lamb", Optimiser(optax.scale_by_adam(eps=1e-6), optax.scale_by_trust_ratio()))
OPTIMISERS.add("lion", Optimiser(optax.scale_by_lion()))
