"""rec-IPPO: independent PPO with one set of recurrent weights for all agents.

The paper's system (appendix D), with the defaults of Mava 0.2.0 where the paper is silent, written
Anakin-style (Hessel et al., 2021): rollout, advantages and updates are one compiled function.

Letters in shapes: T rollout steps, E environments, N agents, F features, A actions, H hidden units,
S sequences.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float

from ganno_env.compilation import jit_with_data
from ganno_env.types import PRNGKey
from ganno_env.vector import MultiAgentEnvironment, VectorEnv
from systems.ppo import networks
from systems.ppo.config import PPOConfig
from systems.ppo.mesh import ENVS, check_divides, make_mesh
from systems.ppo.normalisation import (
    initial_statistics,
    normalise_observations,
    normalised_features,
)
from systems.ppo.types import (
    Acting,
    ActorCritic,
    CriticView,
    Learned,
    Learner,
    LearnerState,
    Metrics,
    Transition,
)
from systems.ppo.update import Parts, learn, make_parts, policy


def own_view(view: Float[Array, "... N F"]) -> Float[Array, "... N F"]:
    """The independent critic's view: each agent's own observation."""
    return view


def make_learner(
    env: MultiAgentEnvironment,
    config: PPOConfig,
    mesh: Mesh | None = None,
    critic_view: CriticView = own_view,
) -> Learner:
    """The system on an environment.

    Each device of the mesh steps its own share of the environments. Randomness belongs to
    environments, not to devices, so that results do not depend on how many of these there are.

    Args:
        env: what to learn.
        config: the system's options.
        mesh: see `systems.ppo.mesh`; one device if not given.
        critic_view: what the critic sees.

    Raises:
        ValueError: if the environments do not divide evenly among the devices.
    """
    mesh = make_mesh(jax.devices(), 1) if mesh is None else mesh
    check_divides(config.num_envs, mesh.size)
    vector_env = VectorEnv(env)
    parts = make_parts(config, vector_env.action_dim, critic_view, normalised_features(env))
    everywhere = NamedSharding(mesh, PartitionSpec())
    names = (field.name for field in dataclasses.fields(LearnerState))
    parts_of_state: dict[str, Any] = dict.fromkeys(names, everywhere)
    parts_of_state["acting"] = NamedSharding(mesh, PartitionSpec(ENVS))
    sharding = LearnerState(**parts_of_state)
    return Learner(
        init=jit_with_data(
            partial(init, parts, vector_env, mesh),
            out_shardings=sharding,
            data_sharding=everywhere,
        ),
        update=jit_with_data(
            partial(update, parts, vector_env, mesh),
            out_shardings=(sharding, everywhere),
            donate_argnums=(0,),
            data_sharding=everywhere,
        ),
    )


def init(parts: Parts, vector_env: VectorEnv, mesh: Mesh, key: PRNGKey) -> LearnerState:
    """A state from a key: new networks, and every environment at the start of an episode."""
    key, actor_key, critic_key, env_key = jax.random.split(key, 4)
    begin_everywhere = jax.shard_map(
        partial(begin, parts, vector_env),
        mesh=mesh,
        in_specs=PartitionSpec(ENVS),
        out_specs=PartitionSpec(ENVS),
        check_vma=False,
    )
    acting = begin_everywhere(jax.random.split(env_key, parts.config.num_envs))
    view, mask = acting.observation.agents_view[None], acting.observation.action_mask[None]
    done = acting.done[None, :, None]
    params = ActorCritic(
        actor=parts.actor.init(actor_key, acting.hidden, view, mask, done),
        critic=parts.critic.init(critic_key, parts.critic_view(view)),
    )
    learned = Learned(
        params=params,
        optimiser_states=ActorCritic(
            actor=parts.optimisers.actor.init(params.actor),
            critic=parts.optimisers.critic.init(params.critic),
        ),
        observation_statistics=initial_statistics(view.shape[-1:]),
        value_statistics=initial_statistics(),
    )
    zero = jnp.zeros((), jnp.int32)
    return LearnerState(
        learned=learned,
        acting=acting,
        key=key,
        num_updates=zero,
        num_skipped=zero,
        num_skipped_in_a_row=zero,
    )


def update(
    parts: Parts, vector_env: VectorEnv, mesh: Mesh, state: LearnerState
) -> tuple[LearnerState, Metrics]:
    """One rollout, and what is learned from it; nothing, if the result is not finite."""
    config = parts.config
    key, rollout_key, learning_key = jax.random.split(state.key, 3)
    in_time = PartitionSpec(None, ENVS)
    roll_out_everywhere = jax.shard_map(
        partial(rollout, parts, vector_env),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(ENVS), in_time),
        out_specs=(PartitionSpec(ENVS), in_time),
        # The environment is anybody's code, and need not be annotated for varying axes.
        check_vma=False,
    )
    acting, transitions = roll_out_everywhere(
        state.learned,
        state.acting,
        jax.random.split(rollout_key, (config.rollout_length, config.num_envs)),
    )
    # Every device learns from the whole rollout: next to the environment that costs nothing, and
    # sums are then taken in one order however many devices there are.
    transitions = jax.lax.with_sharding_constraint(
        transitions, NamedSharding(mesh, PartitionSpec())
    )
    learned, metrics = learn(parts, state.learned, transitions, learning_key)
    finite = all_finite((learned, metrics))
    skipped = 1 - finite.astype(jnp.int32)
    next_state = LearnerState(
        learned=jax.tree.map(lambda new, old: jnp.where(finite, new, old), learned, state.learned),
        acting=acting,
        key=key,
        num_updates=state.num_updates + 1,
        num_skipped=state.num_skipped + skipped,
        num_skipped_in_a_row=(state.num_skipped_in_a_row + 1) * skipped,
    )
    counts = {
        "skipped_updates": next_state.num_skipped,
        "skipped_updates_in_a_row": next_state.num_skipped_in_a_row,
    }
    return next_state, metrics | episode_metrics(transitions) | counts


def begin(parts: Parts, vector_env: VectorEnv, keys: PRNGKey) -> Acting:
    """Some environments at the start of an episode, with a key for each of them."""
    vector_state, timestep = vector_env.reset(keys)
    num_envs, num_agents, _ = timestep.observation.agents_view.shape
    return Acting(
        vector_state=vector_state,
        observation=timestep.observation,
        done=jnp.ones((num_envs,), bool),
        hidden=jnp.zeros((num_envs, num_agents, parts.config.recurrent_size), jnp.float32),
    )


def rollout(
    parts: Parts, vector_env: VectorEnv, learned: Learned, acting: Acting, keys: PRNGKey
) -> tuple[Acting, Transition]:
    """T steps of some environments, with keys [T, E]; the transitions are [T, E, ...]."""

    def step(acting: Acting, keys: PRNGKey) -> tuple[Acting, Transition]:
        observation = acting.observation
        view = normalise_observations(
            learned.observation_statistics, observation.agents_view, parts.config.observation_limit
        )
        hidden, logits = policy(
            parts,
            learned.params.actor,
            acting.hidden,
            view[None],
            observation.action_mask[None],
            acting.done[None],
        )
        action = jax.vmap(networks.sample)(keys, logits[0])
        vector_state, timestep = vector_env.step(acting.vector_state, action)
        transition = Transition(
            hidden=acting.hidden,
            observation=observation,
            done=acting.done,
            action=action,
            log_probability=networks.log_probability(logits[0], action),
            timestep=timestep,
        )
        acting = Acting(
            vector_state=vector_state,
            observation=timestep.observation,
            done=timestep.last,
            hidden=hidden,
        )
        return acting, transition

    return jax.lax.scan(step, acting, keys)


def episode_metrics(transitions: Transition) -> Metrics:
    """The reward of a rollout's steps, and means over the episodes that ended in it.

    The latter mean nothing where `episodes`, their number, is 0.
    """
    timestep = transitions.timestep
    ended = timestep.last.astype(jnp.float32)
    episodes = jnp.sum(ended)

    def mean(x: Float[Array, "T E"]) -> Float[Array, ""]:
        return jnp.sum(jnp.where(timestep.last, x, 0.0)) / jnp.maximum(episodes, 1.0)

    return {
        "reward": jnp.mean(timestep.reward),
        "episodes": episodes,
        "episode_return": mean(timestep.episode_return),
        "episode_length": mean(timestep.episode_length.astype(jnp.float32)),
    } | {f"episode_{name}": mean(x) for name, x in timestep.extras.items()}


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether every number in a tree is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
