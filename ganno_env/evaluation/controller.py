"""What can set the controls of a run: schedules, policies and chance, behind one protocol."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from jumanji.types import TimeStep

from ganno_env.env import NetworkTraining
from ganno_env.schedules import SCHEDULES, ScheduleBuilder
from ganno_env.types import Observation, PRNGKey

Carry = Any
Decide = Callable[[NetworkTraining, Carry, TimeStep[Observation], PRNGKey], tuple[Carry, Array]]
"""`(env, carry, timestep, key) -> (carry, decision)`, pure."""


@dataclasses.dataclass(frozen=True)
class Controller:
    """A way to set controls.

    Attributes:
        name: its row in tables.
        begin: from the environment and the run's initial rate, what it carries along: arrays alone.
        decide: from that and what it sees, its decision. Controllers that differ in what they carry
            alone share this function, and with it a compiled program.
        schedules: whether decisions are the layers' learning rates at each update, [tau, L], and
            not the agents' actions, [agents].
    """

    name: str
    begin: Callable[[NetworkTraining, float], Carry]
    decide: Decide
    schedules: bool


def schedule_controller(name: str) -> Controller:
    """A hand-made schedule by its name in `SCHEDULES`: one rate for all layers."""
    builder = SCHEDULES[name]

    def begin(env: NetworkTraining, rate: float) -> Float[Array, "T tau"]:
        rates = _rates(builder, rate, env.time_limit * env.updates_per_step)
        return rates.reshape(env.time_limit, env.updates_per_step)

    return Controller(name=name, begin=begin, decide=_look_up, schedules=True)


@functools.lru_cache(maxsize=256)  # many runs of a grid have the same
def _rates(builder: ScheduleBuilder, rate: float, num_updates: int) -> Float[Array, " updates"]:
    # Optax divides integers and raises floats to them, whatever the user has set.
    with jax.numpy_dtype_promotion("standard"):
        rates = jax.vmap(builder(rate, num_updates))(jnp.arange(num_updates))
    return jnp.asarray(rates, jnp.float32)


def _look_up(
    env: NetworkTraining, rates: Carry, timestep: TimeStep[Observation], key: PRNGKey
) -> tuple[Carry, Float[Array, "tau L"]]:
    now = rates[timestep.observation.step_count[0]]
    return rates, jnp.broadcast_to(now[:, None], (env.updates_per_step, env.num_layers))


def random_controller() -> Controller:
    """Agents that act at random: what learning has to beat."""
    return Controller(
        name="random", begin=lambda env, rate: (), decide=_act_at_random, schedules=False
    )


def _act_at_random(
    env: NetworkTraining, carry: Carry, timestep: TimeStep[Observation], key: PRNGKey
) -> tuple[Carry, Int[Array, " agents"]]:
    return carry, jax.random.randint(key, (env.num_agents,), 0, env.action_dim, jnp.int32)


PolicyAct = Callable[
    [Float[Array, "N H"], Observation, Bool[Array, ""], PRNGKey],
    tuple[Float[Array, "N H"], Int[Array, " N"]],
]
"""`(hidden, observation, done, key) -> (hidden, actions)`."""


def policy_controller(
    name: str, initial_hidden: Callable[[int], Float[Array, "N H"]], act: PolicyAct
) -> Controller:
    """A trained policy, zero-shot on whatever the environment trains.

    Args:
        name: its row in tables.
        initial_hidden: from the number of agents to the hidden state before the first step.
        act: how it acts.
    """

    def decide(
        env: NetworkTraining, hidden: Carry, timestep: TimeStep[Observation], key: PRNGKey
    ) -> tuple[Carry, Int[Array, " agents"]]:
        return act(hidden, timestep.observation, timestep.first(), key)

    return Controller(
        name=name,
        begin=lambda env, rate: initial_hidden(env.num_agents),
        decide=decide,
        schedules=False,
    )
