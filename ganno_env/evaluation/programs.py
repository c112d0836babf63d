"""What is compiled of a grid: pure functions of one run, which many make side by side."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ganno.actions import NO_OP
from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.dynamics import advance
from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Carry, Decide
from ganno_env.inner import InitialNetwork
from ganno_env.inner.replicas import replicated
from ganno_env.types import NetworkState, Params, PRNGKey, State


def initialise(env: NetworkTraining, key: PRNGKey) -> InitialNetwork:
    """A run's network: the program that is slow to compile, and no business of optimisers."""
    return env.initial_network(jax.random.split(key)[0])


def begin(
    env: NetworkTraining,
    measured: bool,
    network: InitialNetwork,
    key: PRNGKey,
    learning_rate: Float[Array, ""],
    weight_decay: Float[Array, ""],
) -> tuple[State, PRNGKey]:
    """A run's first state, and a key for each of its steps; measured, if somebody looks at it."""
    begin_key, key = jax.random.split(key)
    initial = {LEARNING_RATE.name: learning_rate, WEIGHT_DECAY.name: weight_decay}
    state = env.begin(begin_key, initial, network, measured)
    return state, jax.random.split(key, env.time_limit)


def choose(
    env: NetworkTraining, decide: Decide, schedules: bool, carry: Carry, state: State, keys: PRNGKey
) -> tuple[Carry, dict[str, Float[Array, "tau L"]], Int[Array, " agents"]]:
    """The controls that a controller sets next, and its actions: no-ops, for a schedule."""
    if not schedules:
        state = env.bounded(state)
    carry, decision = decide(env, carry, env.observe(state), keys[state.step_count])
    if schedules:
        no_ops = jnp.full((env.num_agents,), NO_OP, jnp.int32)
        return carry, {LEARNING_RATE.name: decision}, no_ops
    return carry, env.held(state, decision), decision


def train(
    env: NetworkTraining,
    is_run: Bool[Array, ""],
    state: State,
    values: dict[str, Float[Array, "tau L"]],
    actions: Int[Array, " agents"],
) -> tuple[State, dict[str, Any]]:
    """A step of a run, and what its record keeps of it; where there is none, nothing is done."""

    def make_updates(state: State, values: dict[str, Float[Array, "tau L"]]) -> State:
        branch = {name: value[None] for name, value in values.items()}
        return advance(env.inner, env.training, state, branch)[0]

    def where_there_is_one(is_run: Bool[Array, ""], state: State, values: Any) -> State:
        return jax.lax.cond(is_run, make_updates, lambda state, values: state, state, values)

    # Runs in turn skip what is none; side by side, it is computed all the same.
    state = replicated(where_there_is_one)(is_run, state, values)
    taken = jnp.broadcast_to(actions, state.previous_action.shape)
    shown = dict.fromkeys([LEARNING_RATE.name, *env.interface.controls])
    metrics = {f.name: getattr(state.metrics, f.name) for f in dataclasses.fields(state.metrics)}
    row = metrics | {"controls": {name: state.controls[name] for name in shown}}
    return dataclasses.replace(state, previous_action=taken), row


def evaluated(env: NetworkTraining, state: State) -> tuple[Params, NetworkState]:
    """A run's network as it is evaluated."""
    return env.inner.evaluation_params(state.inner), state.inner.network_state


def test(env: NetworkTraining, network: tuple[Params, NetworkState]) -> Float[Array, ""]:
    """A network's accuracy on the test split, whatever optimiser it is of."""
    return env.inner.evaluate(*network, env.task.data.test)[1]["accuracy"]
