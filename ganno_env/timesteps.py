"""From a state to what agents, systems and logs get to know of it."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float
from jumanji import specs
from jumanji.types import StepType, TimeStep

from ganno_env.controls import LEARNING_RATE
from ganno_env.limits import ANY_METRIC, LOSS, within
from ganno_env.observations import FEATURES, FeatureContext, observe
from ganno_env.types import Observation


def make_observation_spec(
    num_agents: int, num_features: int, num_actions: int, time_limit: int
) -> specs.Spec[Observation]:
    """What an observation looks like."""
    agents = (num_agents,)
    return specs.Spec(
        Observation,
        "ObservationSpec",
        agents_view=specs.Array((*agents, num_features), jnp.float32, "agents_view"),
        action_mask=specs.BoundedArray((*agents, num_actions), bool, False, True, "action_mask"),
        step_count=specs.BoundedArray(agents, jnp.int32, 0, time_limit, "step_count"),
    )


def make_timestep(
    context: FeatureContext, features: Sequence[str], single_agent: bool, reward: Float[Array, ""]
) -> TimeStep[Observation]:
    """The timestep after what `context` tells of, whose `reward` all agents share.

    An episode's end is a termination (discount 0). Its length is `context.horizon`.
    """
    agents = (1 if single_agent else len(context.layers),)
    last = context.step_count >= context.horizon
    step_type = jnp.where(
        context.step_count == 0, StepType.FIRST, jnp.where(last, StepType.LAST, StepType.MID)
    )
    observation = Observation(
        agents_view=observe(features, context, single_agent),
        action_mask=jnp.ones((*agents, len(context.actions)), bool),
        step_count=jnp.full(agents, context.step_count, jnp.int32),
    )
    return TimeStep(
        step_type=step_type,
        reward=jnp.full(agents, reward, jnp.float32),
        discount=jnp.full(agents, 1.0 - last.astype(jnp.float32), jnp.float32),
        observation=observation,
        extras=_scalars(context),
    )


def _scalars(context: FeatureContext) -> dict[str, Float[Array, ""]]:
    """For logs: numbers, whatever the network does."""
    metrics = context.metrics
    shown = dict.fromkeys([LEARNING_RATE.name, *(one.name for one in context.actions.acted)])
    return {
        "train_loss": within(metrics.train_loss, LOSS),
        "train_accuracy": metrics.train_accuracy,
        "validation_loss": within(metrics.validation_loss, LOSS),
        "validation_accuracy": metrics.validation_accuracy,
        **{f"validation_{k}": within(v, ANY_METRIC) for k, v in metrics.others.items()},
        **{name: jnp.mean(context.controls[name]) for name in shown},
        "diverged": FEATURES["non_finite"].values(context),
    }
