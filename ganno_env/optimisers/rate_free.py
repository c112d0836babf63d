"""Optimisers that take no learning rate: `optax.contrib`'s, each told the weight decay itself.

Their learning rate here is 1. Decay as a control's own stage would take λθ an update at that rate,
so each gets λ as its own argument, and decays as its authors mean it: Prodigy, D-Adaptation,
MoMo-Adam and Mechanic's Adam decoupled, COCOB as a penalty whose gradient λθ joins the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax
from jaxtyping import Array, Float

from ganno.options import Count, Positive
from ganno_env.controls import WEIGHT_DECAY, Hyperparameters
from ganno_env.controls.weight_decay import weight_decay_stage
from ganno_env.optimisers.base import Optimiser, ascent

MOMO_RATE = 0.01
"""The largest rate that MoMo-Adam takes, as its authors advise for all tasks."""


def _with_one_decay(
    make: Callable[[Float[Array, ""]], optax.GradientTransformation],
) -> Optimiser:
    """An optimiser whose weight decay is one number for all layers."""

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        return ascent(make(next(iter(hyperparameters[WEIGHT_DECAY.name].values()))))

    return Optimiser(build, takes={WEIGHT_DECAY.name}, for_all_layers={WEIGHT_DECAY.name})


def _schedule(num_updates: int | None) -> Any:
    """What the rate found is multiplied by: a cosine decay over a run, or 1."""
    return 1.0 if num_updates is None else optax.cosine_decay_schedule(1.0, num_updates)


def prodigy(num_updates: Count | None = None) -> Optimiser:
    """Prodigy (Mishchenko and Defazio, 2023): Adam that estimates its distance to the solution.

    Args:
        num_updates: of the cosine decay that its authors advise; none without it.
    """
    return _with_one_decay(
        lambda decay: optax.contrib.prodigy(_schedule(num_updates), weight_decay=decay)
    )


def dadapt_adamw(num_updates: Count | None = None) -> Optimiser:
    """AdamW by D-Adaptation (Defazio and Mishchenko, 2023).

    Args:
        num_updates: of the cosine decay that its authors advise; none without it.
    """
    return _with_one_decay(
        lambda decay: optax.contrib.dadapt_adamw(_schedule(num_updates), weight_decay=decay)
    )


def momo_adam(max_rate: Positive = MOMO_RATE) -> Optimiser:
    """MoMo-Adam (Schaipp et al., 2023): Adam with a step of Polyak's kind, which uses the loss.

    Args:
        max_rate: the most that a step may be.
    """
    return _with_one_decay(lambda decay: optax.contrib.momo_adam(max_rate, weight_decay=decay))


def mechanic(num_updates: Count | None = None) -> Optimiser:
    """Adam whose scale Mechanic learns (Cutkosky et al., 2023).

    λ is decoupled decay in Adam. Mechanic's own regularisation keeps its default, 0.01.

    Args:
        num_updates: of a cosine decay of Adam's rate, from 1; none without it.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        adamw = optax.chain(
            optax.scale_by_adam(),
            weight_decay_stage(hyperparameters[WEIGHT_DECAY.name]),
            optax.scale_by_learning_rate(_schedule(num_updates)),
        )
        return ascent(optax.contrib.mechanize(adamw))

    return Optimiser(build, takes={WEIGHT_DECAY.name})


def cocob() -> Optimiser:
    """COCOB-Backprop (Orabona and Tommasi, 2017): each parameter is a bet on coins."""

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        penalty = weight_decay_stage(hyperparameters[WEIGHT_DECAY.name])
        return ascent(optax.chain(penalty, optax.contrib.cocob()))

    return Optimiser(build, takes={WEIGHT_DECAY.name})
