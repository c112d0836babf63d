"""RMSprop, as an optimiser with an option: weight decay and learning rate apply around it."""

import optax

from ganno.options import Fraction
from ganno_env.optimisers import OPTIMISERS, Optimiser


def rmsprop(decay: Fraction = 0.9) -> Optimiser:
    """RMSprop (Hinton, 2012)."""
    return Optimiser(lambda hyperparameters: optax.scale_by_rms(decay=decay))


OPTIMISERS.add("rmsprop", rmsprop)
