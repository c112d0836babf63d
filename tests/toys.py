"""Cheap environments with known optima, to test systems on."""

from __future__ import annotations

from functools import cached_property
from types import SimpleNamespace
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int
from jumanji import specs
from jumanji.env import Environment
from jumanji.types import TimeStep, restart, termination, transition, truncation

from ganno_env.types import Observation, PRNGKey


@chex.dataclass(frozen=True)
class RecallState:
    key: PRNGKey
    cue: Int[Array, " N"]
    step_count: Int[Array, ""]


class Recall(Environment[RecallState, specs.MultiDiscreteArray, Observation]):
    """Each agent sees a cue once, in an episode's first observation, and must go on naming it.

    Every step pays the fraction of agents whose action is their own cue, to all of them. The best
    return is `time_limit`; an agent without memory can expect 1 + (time_limit - 1) / num_actions.
    The last action is illegal, always.

    Args:
        num_agents, num_actions, time_limit: sizes; one of the actions is the illegal one.
        times_out: whether an episode's end is a time-out (discount 1) or a termination.
    """

    def __init__(
        self,
        num_agents: int = 3,
        num_actions: int = 4,
        time_limit: int = 8,
        times_out: bool = False,
    ) -> None:
        self.num_agents = num_agents
        self.action_dim = num_actions
        self.time_limit = time_limit
        self.times_out = times_out
        self.feature_names = tuple(f"cue_{i}" for i in range(num_actions - 1))
        names = tuple(f"name_{i}" for i in range(num_actions))
        self.actions = SimpleNamespace(names=names)
        super().__init__()

    def reset(self, key: PRNGKey) -> tuple[RecallState, TimeStep[Observation]]:
        key, cue_key = jax.random.split(key)
        cue = jax.random.randint(cue_key, (self.num_agents,), 0, self.action_dim - 1, jnp.int32)
        state = RecallState(key=key, cue=cue, step_count=jnp.zeros((), jnp.int32))
        view = jax.nn.one_hot(cue, self.action_dim - 1, dtype=jnp.float32)
        timestep = restart(
            self._observation(state, view),
            extras=self._extras(cue, cue),
            shape=(self.num_agents,),
            dtype=jnp.float32,
        )
        return state, timestep

    def step(
        self, state: RecallState, action: Int[Array, " N"]
    ) -> tuple[RecallState, TimeStep[Observation]]:
        state = state.replace(step_count=state.step_count + 1)
        right = jnp.mean((action == state.cue).astype(jnp.float32))
        observation = self._observation(
            state, jnp.zeros((self.num_agents, self.action_dim - 1), jnp.float32)
        )
        arguments: dict[str, Any] = {
            "reward": jnp.full((self.num_agents,), right),
            "observation": observation,
            "extras": self._extras(action, state.cue),
            "shape": (self.num_agents,),
            "dtype": jnp.float32,
        }
        end = truncation if self.times_out else termination
        timestep = jax.lax.cond(
            state.step_count >= self.time_limit,
            lambda: end(**arguments),
            lambda: transition(**arguments),
        )
        return state, timestep

    def _extras(self, action: Array, cue: Array) -> dict[str, Array]:
        return {"right": jnp.mean((action == cue).astype(jnp.float32))}

    def _observation(self, state: RecallState, view: Array) -> Observation:
        mask = jnp.ones((self.num_agents, self.action_dim), bool).at[:, -1].set(False)
        return Observation(view, mask, jnp.full((self.num_agents,), state.step_count))

    @cached_property
    def observation_spec(self) -> specs.Spec[Observation]:
        agents, actions = self.num_agents, self.action_dim
        return specs.Spec(
            Observation,
            "ObservationSpec",
            agents_view=specs.Array((agents, actions - 1), jnp.float32, "agents_view"),
            action_mask=specs.BoundedArray((agents, actions), bool, False, True, "action_mask"),
            step_count=specs.BoundedArray((agents,), jnp.int32, 0, self.time_limit, "step_count"),
        )

    @cached_property
    def action_spec(self) -> specs.MultiDiscreteArray:
        return specs.MultiDiscreteArray(jnp.full((self.num_agents,), self.action_dim), jnp.int32)

    @cached_property
    def reward_spec(self) -> specs.Array:
        return specs.Array((self.num_agents,), jnp.float32, "reward")

    @cached_property
    def discount_spec(self) -> specs.BoundedArray:
        return specs.BoundedArray((self.num_agents,), jnp.float32, 0.0, 1.0, "discount")
