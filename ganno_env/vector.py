"""Several copies of an environment, stepped together and reset one by one as their episodes end."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from jumanji.types import TimeStep

from ganno_env.types import Observation, PRNGKey

Tree = TypeVar("Tree")


@runtime_checkable
class MultiAgentEnvironment(Protocol):
    """What is asked of an environment; Jumanji's multi-agent ones are such (N agents).

    The state has a `key`; rewards and discounts are one for each agent.
    """

    @property
    def num_agents(self) -> int:
        """N."""

    @property
    def action_dim(self) -> int:
        """How many actions each agent chooses among."""

    def reset(self, key: PRNGKey) -> tuple[Any, TimeStep[Observation]]:
        """Begins an episode."""

    def step(self, state: Any, action: Int[Array, " N"]) -> tuple[Any, TimeStep[Observation]]:
        """Plays a joint action."""


@chex.dataclass(frozen=True)
class VectorState:
    """The states of E environments, and what their episodes have come to so far.

    Attributes:
        env_state: the environment's own state, with a leading axis of E.
        episode_return: the sum of this episode's rewards, averaged over agents.
        episode_length: steps since this episode's reset.
    """

    env_state: Any
    episode_return: Float[Array, " E"]
    episode_length: Int[Array, " E"]


@chex.dataclass(frozen=True)
class VectorTimeStep:
    """What E environments answered to one step (N agents).

    Attributes:
        observation: what to act on next; the new episode's first where the old one ended.
        next_observation: what the step itself led to; an episode's last where it ended. A time-out
            is bootstrapped from this one.
        reward: each agent's reward.
        discount: 0 where the episode terminated, 1 otherwise, a time-out included.
        last: whether the episode ended with this step, either way.
        episode_return, episode_length: of the episode up to and including this step.
        extras: the environment's scalar extras.
    """

    observation: Observation
    next_observation: Observation
    reward: Float[Array, "E N"]
    discount: Float[Array, "E N"]
    last: Bool[Array, " E"]
    episode_return: Float[Array, " E"]
    episode_length: Int[Array, " E"]
    extras: dict[str, Float[Array, " E"]]


class VectorEnv:
    """E copies of a multi-agent Jumanji environment behind one `reset` and one `step`.

    Under `vmap` a `cond` becomes a `select`, and an auto-reset inside the copies would initialise a
    new network on every step. Here the `cond` stands outside: a reset is computed on the steps on
    which some episode ended and on no others.

    Args:
        env: the environment; rewards and discounts must have shape [num_agents].
    """

    def __init__(self, env: MultiAgentEnvironment) -> None:
        self.env = env
        self.num_agents = env.num_agents
        self.action_dim = env.action_dim

    def reset(self, keys: PRNGKey) -> tuple[VectorState, VectorTimeStep]:
        """Begins an episode in each environment, from one key for each (leading axis E)."""
        env_state, timestep = jax.vmap(self.env.reset)(keys)
        num_envs = keys.shape[0]
        state = VectorState(
            env_state=env_state,
            episode_return=jnp.zeros((num_envs,), jnp.float32),
            episode_length=jnp.zeros((num_envs,), jnp.int32),
        )
        return state, self._timestep(state, timestep, timestep.observation)

    def step(
        self, state: VectorState, actions: Int[Array, "E N"]
    ) -> tuple[VectorState, VectorTimeStep]:
        """Steps every environment once, then resets those whose episode ended.

        Raises:
            ValueError: while tracing, if the environment's rewards are not one for each agent. (A
                scalar would be broadcast without a word where E equals N.)
        """
        env_state, timestep = jax.vmap(self.env.step)(state.env_state, actions)
        self._check_per_agent("reward", timestep.reward, actions.shape)
        self._check_per_agent("discount", timestep.discount, actions.shape)
        stepped = VectorState(
            env_state=env_state,
            episode_return=state.episode_return + jnp.mean(timestep.reward, axis=-1),
            episode_length=state.episode_length + 1,
        )
        last = jnp.asarray(timestep.last())
        reset_state, observation = jax.lax.cond(
            jnp.any(last),
            lambda: self._reset_where(last, stepped, timestep.observation),
            lambda: (stepped, timestep.observation),
        )
        return reset_state, self._timestep(stepped, timestep, observation)

    def _reset_where(
        self, last: Bool[Array, " E"], state: VectorState, observation: Observation
    ) -> tuple[VectorState, Observation]:
        # The next episode's key comes from the state, as in Jumanji's own auto-reset: the sequence
        # of episodes then depends on the first key alone.
        keys = jax.vmap(lambda key: jax.random.split(key)[0])(state.env_state.key)
        fresh_state, fresh = self.reset(keys)
        return select(last, (fresh_state, fresh.observation), (state, observation))

    def _timestep(
        self, state: VectorState, timestep: TimeStep[Observation], observation: Observation
    ) -> VectorTimeStep:
        extras = {
            name: value.astype(jnp.float32)
            for name, value in timestep.extras.items()
            if jnp.shape(value) == state.episode_length.shape
        }
        return VectorTimeStep(
            observation=observation,
            next_observation=timestep.observation,
            reward=jnp.asarray(timestep.reward, jnp.float32),
            discount=jnp.asarray(timestep.discount, jnp.float32),
            last=jnp.asarray(timestep.last()),
            episode_return=state.episode_return,
            episode_length=state.episode_length,
            extras=extras,
        )

    def _check_per_agent(self, name: str, value: Any, expected: tuple[int, ...]) -> None:
        if value.shape != expected:
            raise ValueError(
                f"the environment's {name} has shape {value.shape[1:]}; it must be one for each "
                f"of its agents, ({self.num_agents},)"
            )


def select(condition: Bool[Array, " E"], on_true: Tree, on_false: Tree) -> Tree:
    """`jnp.where` over trees whose leaves have a leading axis of E."""

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(condition.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, on_true, on_false)
