"""How a network's training begins and goes on: the environment's states, without agents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.actions import JointActions
from ganno_env.config import TaskConfig
from ganno_env.controls import LEARNING_RATE
from ganno_env.inner import InitialNetwork, InnerLoop, example_indices
from ganno_env.observations import FeatureContext
from ganno_env.schedules import SCHEDULES
from ganno_env.types import Controls, Metrics, PRNGKey, State


class Keys(NamedTuple):
    """What an episode's key is split into: of the state, the order of the data, the weights."""

    state: PRNGKey
    data: PRNGKey
    network: PRNGKey

    @classmethod
    def of(cls, key: PRNGKey) -> Keys:
        """The keys of an episode."""
        return cls(*jax.random.split(key, 3))


def initial_state(
    inner: InnerLoop,
    config: TaskConfig,
    keys: Keys,
    initial: dict[str, Float[Array, ""]],
    num_agents: int,
    network: InitialNetwork,
    measured: bool,
) -> State:
    """The state before any update.

    Args:
        inner: the loop that trains.
        config: its sizes.
        keys: of the episode.
        initial: each control's value in all layers, by name.
        num_agents: how many act.
        network: a fresh one.
        measured: whether it shows what a first batch would have, or zeros.
    """
    controls = {name: jnp.full((len(inner.layer_names),), x) for name, x in initial.items()}
    state = inner.begin(network)
    if measured:
        num_examples = config.task.data.train.size
        indices = example_indices(keys.data, jnp.uint32(0), config.batch_size, num_examples)
        metrics, statistics = inner.initial_metrics(state, controls, indices)
    else:
        metrics, statistics = inner.no_metrics()
    return State(
        key=keys.state,
        data_key=keys.data,
        inner=state,
        controls=controls,
        initial_controls=initial,
        previous_action=jnp.zeros((num_agents,), jnp.int32),
        metrics=metrics,
        statistics=statistics,
        step_count=jnp.int32(0),
    )


def feature_context(config: TaskConfig, actions: JointActions, state: State) -> FeatureContext:
    """What features are functions of, in a state.

    Args:
        config: what is trained.
        actions: what agents choose among.
        state: after some step.
    """
    return FeatureContext(
        metrics=state.metrics,
        statistics=state.statistics,
        controls=state.controls,
        initial_controls=state.initial_controls,
        previous_action=state.previous_action,
        step_count=state.step_count,
        horizon=config.time_limit,
        layers=config.network.layers,
        actions=actions,
    )


def hold(
    config: TaskConfig, state: State, branches: Sequence[Controls]
) -> dict[str, Float[Array, "branches tau L"]]:
    """Controls of one branch after the other, held for tau updates, but for a schedule's."""
    tau = config.updates_per_step
    held = jax.tree.map(
        lambda *values: jnp.stack([jnp.broadcast_to(x, (tau, *x.shape)) for x in values]),
        *branches,
    )
    if config.schedule is None:
        return held
    updates = state.inner.num_updates + jnp.arange(tau)
    # Optax divides integers and raises floats to them, whatever the user has set.
    with jax.numpy_dtype_promotion("standard"):
        parts = jax.vmap(SCHEDULES[config.schedule](1.0, config.num_updates))(updates)
    rates = state.initial_controls[LEARNING_RATE.name] * parts.astype(jnp.float32)
    shape = (len(branches), tau, len(config.network.layers))
    return held | {LEARNING_RATE.name: jnp.broadcast_to(rates[:, None], shape)}


def advance(
    inner: InnerLoop,
    config: TaskConfig,
    state: State,
    values: dict[str, Float[Array, "branches tau L"]],
) -> tuple[State, Metrics]:
    """The state of the first branch after tau updates in each, and the metrics of each.

    All branches start from the same state and see the same batches.

    Args:
        inner: the loop that trains.
        config: its sizes.
        state: where to start.
        values: of some controls, by name; the others stay as they are.
    """
    shape = next(iter(values.values())).shape
    tau, size = config.updates_per_step, config.batch_size
    start = state.inner.num_updates.astype(jnp.uint32) * jnp.uint32(size)
    num_examples = config.task.data.train.size
    indices = example_indices(state.data_key, start, tau * size, num_examples)
    held = {name: jnp.broadcast_to(x, shape) for name, x in state.controls.items()}
    results = inner.step(state.inner, held | values, indices.reshape(tau, size))
    network, metrics, statistics = jax.tree.map(lambda x: x[0], results)
    after = dataclasses.replace(
        state,
        inner=network,
        metrics=metrics,
        statistics=statistics,
        controls=state.controls | {name: x[0, -1] for name, x in values.items()},
        previous_action=jnp.zeros_like(state.previous_action),
        step_count=state.step_count + 1,
    )
    return after, results[1]
