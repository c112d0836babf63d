"""PPO's update: from a rollout to the next parameters.

Every system of this family shares it. Letters in shapes: T rollout steps, E environments, N agents,
F features, H hidden units, S sequences.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from ganno_env.types import Observation, PRNGKey
from systems.ppo import losses, networks
from systems.ppo.config import PPOConfig
from systems.ppo.gae import generalised_advantages, sequence_starts, to_sequences
from systems.ppo.normalisation import (
    RunningStatistics,
    denormalise,
    normalise,
    normalise_observations,
    update_statistics,
)
from systems.ppo.types import ActorCritic, CriticView, Learned, Metrics, Sequences, Transition


@dataclasses.dataclass(frozen=True)
class Parts:
    """The parts of a learner that do not change in training.

    `normalised` says which of the observation's columns are, see `update_statistics`.
    """

    config: PPOConfig
    normalised: tuple[bool, ...]
    actor: networks.Actor
    critic: networks.Critic
    critic_view: CriticView
    optimisers: ActorCritic


def make_parts(
    config: PPOConfig, num_actions: int, critic_view: CriticView, normalised: tuple[bool, ...]
) -> Parts:
    """The networks and optimisers that `config` describes."""
    return Parts(
        config=config,
        normalised=normalised,
        actor=networks.make_actor(config, num_actions),
        critic=networks.Critic(config.critic_layers),
        critic_view=critic_view,
        optimisers=make_optimisers(config),
    )


def make_optimisers(config: PPOConfig) -> ActorCritic:
    """An Adam for each network, on its gradient clipped by global norm."""

    def adam(learning_rate: float) -> optax.GradientTransformation:
        rate: optax.ScalarOrSchedule = learning_rate
        if config.anneal_learning_rates:
            steps = config.num_updates * config.num_epochs * config.num_minibatches
            rate = optax.linear_schedule(learning_rate, 0.0, steps)
        return optax.chain(
            optax.clip_by_global_norm(config.max_gradient_norm),
            optax.adam(rate, eps=config.adam_epsilon),
        )

    return ActorCritic(
        actor=adam(config.actor_learning_rate), critic=adam(config.critic_learning_rate)
    )


def policy(
    parts: Parts,
    params: Any,
    hidden: Float[Array, "... N H"],
    view: Float[Array, "T ... N F"],
    action_mask: Bool[Array, "T ... N A"],
    done: Bool[Array, "T ..."],
) -> tuple[Float[Array, "... N H"], Float[Array, "T ... N A"]]:
    """The actor over consecutive steps: its last hidden state and each step's logits.

    Args:
        parts: the learner's.
        params: the actor's.
        hidden: what the step before left behind.
        view: normalised observations.
        action_mask: legal actions.
        done: whether an episode, which all its agents share, ended just before each step.
    """
    output: Any = parts.actor.apply(params, hidden, view, action_mask, done[..., None])
    new_hidden, logits = output
    return new_hidden, logits


def value(parts: Parts, params: Any, view: Float[Array, "... N F"]) -> Float[Array, "... N"]:
    """The critic on normalised observations, in the units of the normalised value targets."""
    output: Any = parts.critic.apply(params, parts.critic_view(view))
    return output


def learn(
    parts: Parts, learned: Learned, transitions: Transition, key: PRNGKey
) -> tuple[Learned, Metrics]:
    """All epochs over one rollout, and the statistics that the next one is normalised by."""
    config = parts.config
    sequences, value_statistics = prepare(parts, learned, transitions)
    hidden = sequence_starts(transitions.hidden, config.sequence_length)

    def learn_minibatch(
        carry: tuple[ActorCritic, ActorCritic], chosen: Int[Array, " S"]
    ) -> tuple[tuple[ActorCritic, ActorCritic], Metrics]:
        params, optimiser_states = carry
        minibatch = jax.tree.map(lambda x: x[:, chosen], sequences)
        gradients, metrics = jax.grad(loss, argnums=1, has_aux=True)(
            parts, params, hidden[chosen], minibatch
        )
        return apply_gradients(parts, gradients, params, optimiser_states), metrics

    epoch_keys = jax.random.split(key, config.num_epochs)
    order = jax.vmap(lambda key: jax.random.permutation(key, config.num_sequences))(epoch_keys)
    (params, optimiser_states), metrics = jax.lax.scan(
        learn_minibatch,
        (learned.params, learned.optimiser_states),
        order.reshape(config.num_epochs * config.num_minibatches, -1),
    )
    statistics = learned.observation_statistics
    if config.normalise_observations:
        statistics = update_statistics(
            statistics, transitions.observation.agents_view, parts.normalised
        )
    learned = Learned(
        params=params,
        optimiser_states=optimiser_states,
        observation_statistics=statistics,
        value_statistics=value_statistics,
    )
    return learned, jax.tree.map(jnp.mean, metrics)


def prepare(
    parts: Parts, learned: Learned, transitions: Transition
) -> tuple[Sequences, RunningStatistics]:
    """Values, advantages and targets of a rollout, cut into sequences.

    The critic's output is denormalised and advantages are estimated in reward units; then the
    statistics take in the targets; then targets and old values are normalised by the result.

    Returns:
        The sequences, and the updated statistics of the value targets.
    """
    config, timestep = parts.config, transitions.timestep
    statistics = learned.value_statistics

    def view(observation: Observation) -> Float[Array, "T E N F"]:
        return normalise_observations(
            learned.observation_statistics, observation.agents_view, config.observation_limit
        )

    def reward_value(view: Float[Array, "T E N F"]) -> Float[Array, "T E N"]:
        return denormalise(statistics, value(parts, learned.params.critic, view))

    old_view = view(transitions.observation)
    old_value = reward_value(old_view)
    advantage = generalised_advantages(
        timestep.reward,
        timestep.discount,
        timestep.last,
        old_value,
        reward_value(view(timestep.next_observation)),
        config.gamma,
        config.gae_lambda,
    )
    target = advantage + old_value
    if config.normalise_values:
        statistics = update_statistics(statistics, target)
    sequences = Sequences(
        view=old_view,
        action_mask=transitions.observation.action_mask,
        done=transitions.done,
        action=transitions.action,
        log_probability=transitions.log_probability,
        advantage=advantage,
        value=normalise(statistics, old_value),
        target=normalise(statistics, target),
    )
    return to_sequences(sequences, config.sequence_length), statistics


def loss(
    parts: Parts, params: ActorCritic, hidden: Float[Array, "S N H"], sequences: Sequences
) -> tuple[Float[Array, ""], Metrics]:
    """Policy loss, value loss and entropy bonus of a minibatch of whole sequences.

    Args:
        parts: the learner's.
        params: to differentiate by.
        hidden: what the rollout had at each sequence's start, not recomputed.
        sequences: [sequence_length, S, ...].
    """
    config = parts.config
    _, logits = policy(
        parts, params.actor, hidden, sequences.view, sequences.action_mask, sequences.done
    )
    log_probability = networks.log_probability(logits, sequences.action)
    advantage = sequences.advantage
    if config.normalise_advantages:
        advantage = losses.normalise_advantages(advantage)
    policy_loss = losses.clipped_policy_loss(
        log_probability, sequences.log_probability, advantage, config.clip_range
    )
    value_loss = losses.clipped_value_loss(
        value(parts, params.critic, sequences.view),
        sequences.value,
        sequences.target,
        config.value_clip_range if config.clip_values else None,
    )
    entropy = jnp.mean(networks.entropy(logits))
    log_ratio = log_probability - sequences.log_probability
    metrics = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approximate_kl": jnp.mean(jnp.expm1(log_ratio) - log_ratio),
        "clip_fraction": jnp.mean(jnp.abs(jnp.expm1(log_ratio)) > config.clip_range),
        "explained_variance": 1.0
        - jnp.var(sequences.target - sequences.value)
        / jnp.maximum(jnp.var(sequences.target), 1e-12),
    }
    return policy_loss - config.entropy_weight * entropy + config.value_weight * value_loss, metrics


def apply_gradients(
    parts: Parts, gradients: ActorCritic, params: ActorCritic, optimiser_states: ActorCritic
) -> tuple[ActorCritic, ActorCritic]:
    """One step of each network's optimiser: the new parameters and optimiser states."""

    def apply(
        optimiser: optax.GradientTransformation, gradient: Any, state: Any, params: Any
    ) -> tuple[Any, Any]:
        # Optax counts updates in integers and raises floats to them, whatever the user has set.
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    actor, actor_state = apply(
        parts.optimisers.actor, gradients.actor, optimiser_states.actor, params.actor
    )
    critic, critic_state = apply(
        parts.optimisers.critic, gradients.critic, optimiser_states.critic, params.critic
    )
    return (
        ActorCritic(actor=actor, critic=critic),
        ActorCritic(actor=actor_state, critic=critic_state),
    )
