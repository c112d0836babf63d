"""From a state to what agents, systems and logs get to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import jax.numpy as jnp
import jumanji
from jaxtyping import Array, Float
from jumanji import specs
from jumanji.types import StepType, TimeStep

from ganno_env.config import InterfaceConfig
from ganno_env.controls import LEARNING_RATE
from ganno_env.limits import ANY_METRIC, LOSS, within
from ganno_env.observations import FEATURES, FeatureContext, observe
from ganno_env.types import Network, Observation, State


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


class AgentSpecs(jumanji.Environment[State, specs.MultiDiscreteArray, Observation]):
    """What an environment of layers' agents looks like from outside.

    Attributes:
        network: whose layers they are of.
        interface: what they see and do.
        time_limit: the steps of an episode.
    """

    network: Network
    interface: InterfaceConfig
    time_limit: int

    @property
    def num_layers(self) -> int:
        """The number of layers, L."""
        return len(self.network.layers)

    @property
    def num_agents(self) -> int:
        """One for each layer, or one in all."""
        return 1 if self.interface.single_agent else self.num_layers

    @property
    def action_dim(self) -> int:
        """The number of actions of each agent, A."""
        return len(self.interface.actions)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """What each column of `agents_view` is."""
        return self.interface.feature_columns()

    @cached_property
    def normalised_features(self) -> tuple[bool, ...]:
        """Whether a system should normalise each column of `agents_view`: `Feature.normalised`."""
        return self.interface.normalised_columns()

    @cached_property
    def observation_spec(self) -> specs.Spec[Observation]:
        """Features, action mask and step count of each agent."""
        return make_observation_spec(
            self.num_agents, len(self.feature_names), self.action_dim, self.time_limit
        )

    @cached_property
    def action_spec(self) -> specs.MultiDiscreteArray:
        """One action for each agent."""
        return specs.MultiDiscreteArray(
            jnp.full((self.num_agents,), self.action_dim, jnp.int32), jnp.int32, "action"
        )

    @cached_property
    def reward_spec(self) -> specs.Array:
        """The shared reward, once for each agent."""
        return specs.Array((self.num_agents,), jnp.float32, "reward")

    @cached_property
    def discount_spec(self) -> specs.BoundedArray:
        """1, and 0 at the end of an episode, once for each agent."""
        return specs.BoundedArray((self.num_agents,), jnp.float32, 0.0, 1.0, "discount")
