"""Environments around environments: one that measures the test split, and one shaped for Mava."""

from __future__ import annotations

import copy
import dataclasses
import functools
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from jumanji import specs
from jumanji.types import TimeStep
from jumanji.wrappers import Wrapper

from ganno_env.config import Initial
from ganno_env.env import NetworkTraining
from ganno_env.inner.replicas import in_turn
from ganno_env.types import InnerState, Network, Observation, PRNGKey, State, Task

SINGLE_BRANCH_REWARD = "accuracy_gain"
"""What evaluation pays: it needs no second branch, and adds up to all that was gained."""
TEST_ACCURACY = "test_accuracy"


class EvaluationEnv(Wrapper[State, specs.MultiDiscreteArray, Observation]):
    """Adds accuracy on the official test split to the extras, as `"test_accuracy"`.

    Agents don't see it. The key is there from the reset on. With `every_step`, it is measured at
    the reset and after each step. Without, which is cheaper, it is measured after an episode's last
    step alone and is 0 before: nothing was measured, and log averages stay numbers.

    Args:
        env: the environment; see `evaluation_env` for one without the second branch.
        every_step: measure at the reset and after every step.
    """

    def __init__(self, env: NetworkTraining, *, every_step: bool = False) -> None:
        self.every_step = every_step
        super().__init__(env)

    def reset(self, key: PRNGKey) -> tuple[State, TimeStep[Observation]]:
        """Starts an episode."""
        return self._measured(*self._env.reset(key))

    def reset_from(
        self, key: PRNGKey, initial: dict[str, Float[Array, ""]]
    ) -> tuple[State, TimeStep[Observation]]:
        """An episode from given initial conditions: `NetworkTraining.reset_from`."""
        return self._measured(*self._env.reset_from(key, initial))

    def step(
        self, state: State, action: Int[Array, " agents"]
    ) -> tuple[State, TimeStep[Observation]]:
        """Plays a joint action."""
        return self._measured(*self._env.step(state, action))

    def step_with_controls(
        self, state: State, values: dict[str, Float[Array, "tau L"]]
    ) -> tuple[State, TimeStep[Observation]]:
        """A step with given controls: `NetworkTraining.step_with_controls`."""
        return self._measured(*self._env.step_with_controls(state, values))

    def replace(self, **changes: Any) -> EvaluationEnv:
        """The same environment, some of whose constructor's arguments are changed."""
        return EvaluationEnv(self._env.replace(**changes), every_step=self.every_step)

    def _measured(
        self, state: State, timestep: TimeStep[Observation]
    ) -> tuple[State, TimeStep[Observation]]:
        wanted = jnp.bool_(True) if self.every_step else timestep.last()
        accuracy = in_turn(self._accuracy)(wanted, state.inner)
        # `dataclasses.replace` and a new dict: the inner environment's timestep stays as it was.
        return state, dataclasses.replace(
            timestep, extras={**timestep.extras, TEST_ACCURACY: accuracy}
        )

    def _accuracy(self, wanted: Bool[Array, ""], inner: InnerState) -> Float[Array, ""]:
        # In turn, on every backend: under `vmap` proper the `cond` would become a `select`, and
        # every environment would pay for the test split on every step.
        def measure() -> Float[Array, ""]:
            env = self._env
            return env.inner.evaluate_once(inner, env.task.data.test)[1]["accuracy"]

        return jax.lax.cond(wanted, measure, lambda: jnp.float32(0))


def evaluation_env(
    env: NetworkTraining,
    *,
    task: Task | None = None,
    network: Network | None = None,
    learning_rate: Initial | None = None,
    weight_decay: Initial | None = None,
    every_step: bool = False,
) -> EvaluationEnv:
    """`env` as policies and schedules are compared on it, optionally on another problem.

    Without the second branch, so at half the cost: the reward is the gain of validation accuracy.
    What is not given stays as it is in `env`.

    Args:
        env: where agents were trained, or any other.
        task: what to learn instead.
        network: what learns it instead; its layers are the agents.
        learning_rate: the initial value, or the bounds of a log-uniform one.
        weight_decay: the same for weight decay.
        every_step: see `EvaluationEnv`.

    Raises:
        ValueError: if the network does not fit the task, or for an initial value out of range.
    """
    given = {
        "task": task,
        "network": network,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    replaced = env.replace(reward=SINGLE_BRANCH_REWARD, **changes)
    return EvaluationEnv(replaced, every_step=every_step)


class GlobalObservation(NamedTuple):
    """What Mava's centralised critics see beside the agents' own views (A actions, G features).

    Attributes:
        agents_view, action_mask, step_count: as in `Observation`.
        global_state: all agents' views side by side, once for each agent; G is agents times F.
    """

    agents_view: Float[Array, "agents F"]
    action_mask: Bool[Array, "agents A"]
    global_state: Float[Array, "agents G"]
    step_count: Int[Array, " agents"]


class MavaWrapper(Wrapper):
    """A multi-agent environment as Mava asks for it, whichever Mava.

    Its versions before 2025 call `env.action_spec()`; later ones, as Jumanji itself, read
    `env.action_spec`. Here both give the same. Extras are a fresh dictionary with the same keys at
    each reset and step, because Mava's own wrappers write into it.

    Args:
        env: a Jumanji environment with `num_agents`, `time_limit`, `action_dim`, a state that has a
            `key`, and a reward for each agent.
        add_global_state: add all agents' views to what each observes, for centralised critics.
        global_observation: what to make such observations of. Mava's critics take no other than
            `mava.types.ObservationGlobalState`, which has the same fields as ours.

    Raises:
        ValueError: if rewards or discounts are not one for each agent. (Scalars would be broadcast
            without a word where environments and agents are equal in number.)
    """

    def __init__(
        self,
        env: Any,
        add_global_state: bool = False,
        global_observation: type = GlobalObservation,
    ) -> None:
        self.num_agents = int(env.num_agents)
        self.time_limit = int(env.time_limit)
        self.action_dim = int(env.action_dim)
        self.add_global_state = add_global_state
        self.global_observation = global_observation
        for name in ("reward", "discount"):
            shape = getattr(env, f"{name}_spec").shape
            if shape != (self.num_agents,):
                raise ValueError(
                    f"the {name} of {env!r} has shape {shape}; Mava needs one for each agent, "
                    f"({self.num_agents},)"
                )
        super().__init__(env)

    def reset(self, key: PRNGKey) -> tuple[Any, TimeStep[Any]]:
        """Starts an episode."""
        return self._shaped(*self._env.reset(key))

    def step(self, state: Any, action: Int[Array, " agents"]) -> tuple[Any, TimeStep[Any]]:
        """Plays a joint action."""
        return self._shaped(*self._env.step(state, action))

    @cached_property
    def observation_spec(self) -> Any:
        """Of `Observation`, or of `GlobalObservation`."""
        inner = self._env.observation_spec
        parts = {name: inner[name] for name in Observation._fields}
        constructor: type = Observation
        if self.add_global_state:
            agents, features = inner["agents_view"].shape
            parts["global_state"] = specs.Array(
                (agents, agents * features), inner["agents_view"].dtype, "global_state"
            )
            constructor = self.global_observation
        return callable_spec(specs.Spec(constructor, "ObservationSpec", **parts))

    @cached_property
    def action_spec(self) -> Any:
        """One action for each agent."""
        return callable_spec(self._env.action_spec)

    @cached_property
    def reward_spec(self) -> Any:
        """One reward for each agent."""
        return callable_spec(self._env.reward_spec)

    @cached_property
    def discount_spec(self) -> Any:
        """One discount for each agent."""
        return callable_spec(self._env.discount_spec)

    def _shaped(self, state: Any, timestep: TimeStep[Observation]) -> tuple[Any, TimeStep[Any]]:
        return state, dataclasses.replace(
            timestep,
            observation=self._observation(timestep.observation),
            reward=timestep.reward.astype(jnp.float32),
            discount=timestep.discount.astype(jnp.float32),
            # Mava reads `last()` from a scalar; Jumanji's own type for it is int8.
            step_type=timestep.step_type.astype(jnp.int8),
            extras=dict(timestep.extras or {}),
        )

    def _observation(self, observation: Observation) -> Any:
        if not self.add_global_state:
            return observation
        everything = observation.agents_view.reshape(1, -1)
        return self.global_observation(
            agents_view=observation.agents_view,
            action_mask=observation.action_mask,
            global_state=jnp.repeat(everything, self.num_agents, axis=0),
            step_count=observation.step_count,
        )


SpecType = TypeVar("SpecType", bound=specs.Spec)


def callable_spec(spec: SpecType) -> SpecType:
    """A copy of `spec` that also gives itself when called; still an instance of its class."""
    twin = copy.copy(spec)
    kind: type = type(spec)
    twin.__class__ = _callable_type(kind)
    return twin


@functools.cache
def _callable_type(kind: type) -> type:
    return type(kind.__name__, (kind,), {"__call__": lambda self: self, "__doc__": kind.__doc__})
