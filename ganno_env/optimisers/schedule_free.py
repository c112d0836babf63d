"""Schedule-free AdamW (Defazio et al., "The Road Less Scheduled", 2024)."""

from __future__ import annotations

from typing import Annotated, Any

import jax.numpy as jnp
import optax
from pydantic import Field

from ganno.options import Positive
from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY, Hyperparameters
from ganno_env.controls.learning_rate import learning_rate_stage
from ganno_env.controls.weight_decay import weight_decay_stage
from ganno_env.optimisers.base import Optimiser, ascent
from ganno_env.optimisers.standard import Decay
from ganno_env.types import Params


def schedule_free(
    b1: Annotated[float, Field(gt=0, lt=1)] = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8
) -> Optimiser:
    """`optax.contrib.schedule_free_adamw`: averages of iterates instead of a falling rate.

    It wants a rate that warms up and then stays. Gradients are taken at the parameters in
    training; networks are evaluated with the average. An iterate weighs by the square of the
    largest mean rate over layers until then.

    Args:
        b1: how much of the average is in the parameters that gradients are taken at.
        b2: decay of the running mean of the gradient's square.
        eps: added to the root of that.
    """

    def build(hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        rates = hyperparameters[LEARNING_RATE.name]
        base = optax.chain(
            optax.scale_by_rms(decay=b2, eps=eps, eps_in_sqrt=False, bias_correction=True),
            weight_decay_stage(hyperparameters[WEIGHT_DECAY.name]),
            learning_rate_stage(rates),
        )
        mean_rate = jnp.stack(list(rates.values())).mean()
        return ascent(optax.contrib.schedule_free(base, mean_rate, b1))

    return Optimiser(
        build, takes={LEARNING_RATE.name, WEIGHT_DECAY.name}, evaluation_params=_averages
    )


def _averages(state: Any, params: Params) -> Params:
    own, _ = state
    return optax.contrib.schedule_free_eval_params(own, params)
