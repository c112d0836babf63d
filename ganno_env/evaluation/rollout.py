"""Runs under a controller, many at once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from ganno_env.actions import NO_OP
from ganno_env.compilation import jit_with_data
from ganno_env.config import InterfaceConfig
from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.dynamics import advance
from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Carry, Controller, Decide
from ganno_env.optimisers import Optimiser
from ganno_env.types import PRNGKey, RunRecord, State

RUNS = "runs"


class Variant(NamedTuple):
    """What a run has that is not as in its grid's environment.

    Attributes:
        optimiser: what trains; the environment's own, if None.
        interface: what agents see and do; the environment's own, if None.
    """

    optimiser: Optimiser | None = None
    interface: InterfaceConfig | None = None

    def of(self, env: NetworkTraining) -> NetworkTraining:
        """The environment with what this changes; itself, if that is nothing."""
        changes: dict[str, Any] = {}
        if self.optimiser is not None:
            changes["optimiser"] = self.optimiser
        if self.interface is not None:
            changes |= self.interface.options()
        return env.replace(**changes) if changes else env


UNCHANGED = Variant()
"""The grid's environment as it is."""


class RunSpec(NamedTuple):
    """One run of a grid.

    Attributes:
        controller: who sets the controls.
        learning_rate, weight_decay: from where.
        seed: of the initial weights, the batches and the controller's own choices.
        variant: what is not as in the grid's environment.
    """

    controller: Controller
    learning_rate: float
    weight_decay: float
    seed: int
    variant: Variant = UNCHANGED


class Group(NamedTuple):
    """What runs must have in common to be made together.

    Attributes:
        variant: of their environment.
        decide, schedules: of their controllers.
    """

    variant: Variant
    decide: Decide
    schedules: bool


class Batch(NamedTuple):
    """Runs that are made together, and end together.

    Attributes:
        group: what they have in common.
        size: how many are computed, on all devices: the last is repeated if there are fewer.
        numbers: their places among the specs.
        programs: batches with the same value share the programs that are slow to compile.
    """

    group: Group
    size: int
    numbers: tuple[int, ...]
    programs: Hashable


class GridRunner:
    """Runs grids in one environment, keeping what it has compiled.

    Runs with the same seed start from the same weights and see the same batches, whoever controls
    them. An episode is a loop on the host over a few compiled programs: those in which networks
    train are shared by all controllers, and each controller adds a small one of its own.

    Args:
        env: what to train; its reward, sampled rates and second branch play no part.
        test_every_step: measure the test split after every step, not the last alone.
        runs_at_once: how many runs are made together, spread over all devices; all of a kind, if
            not given.
    """

    def __init__(
        self,
        env: NetworkTraining,
        *,
        test_every_step: bool = False,
        runs_at_once: int | None = None,
    ) -> None:
        if runs_at_once is not None and runs_at_once < 1:
            raise ValueError(f"runs_at_once={runs_at_once!r}; it must be at least 1")
        self.env = env.replace(reward="accuracy_gain") if env.reward.needs_no_op else env
        self._test_every_step = test_every_step
        self._runs_at_once = runs_at_once
        self._programs: dict[Any, Callable[..., Any]] = {}

    def run(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        """A record for each run, on the host, in the order of `specs`."""
        records = dict(self.iterate(specs))
        return [records[number] for number in range(len(specs))]

    def iterate(self, specs: Sequence[RunSpec]) -> Iterator[tuple[int, RunRecord]]:
        """Each run's place in `specs` and its record, as they are done."""
        for batch in self.plan(specs):
            chosen = [specs[number] for number in batch.numbers]
            records = self._run_together(batch.group, chosen, batch.size)
            yield from zip(batch.numbers, records, strict=True)

    def plan(self, specs: Sequence[RunSpec]) -> list[Batch]:
        """The batches that `iterate` runs, in order."""
        groups: dict[Group, list[int]] = {}
        for number, spec in enumerate(specs):
            group = Group(spec.variant, spec.controller.decide, spec.controller.schedules)
            groups.setdefault(group, []).append(number)
        batches: list[Batch] = []
        for group, numbers in groups.items():
            size = min(self._runs_at_once or len(numbers), len(numbers))
            programs = self._training(group.variant), size
            batches += [
                Batch(group, size, tuple(numbers[start : start + size]), programs)
                for start in range(0, len(numbers), size)
            ]
        return batches

    def _training(self, variant: Variant) -> Variant:
        """The part of a variant by which networks train; what compiles slowly depends on it alone.

        What is shared knows no policy's bounds, and clips no schedule to them.
        """
        interface = variant.interface or self.env.interface
        return Variant(variant.optimiser, InterfaceConfig.of(controls=interface.controls))

    def _run_together(self, group: Group, specs: Sequence[RunSpec], size: int) -> list[RunRecord]:
        """Runs of one group: the last is repeated until there are `size`, on all devices."""
        began = time.monotonic()
        devices = jax.devices()[:size]
        mesh = jax.make_mesh((len(devices),), (RUNS,), (AxisType.Auto,), devices=devices)
        size += -size % len(devices)
        rows = self._episodes(group, mesh, [*specs, *[specs[-1]] * (size - len(specs))])
        seconds = np.asarray((time.monotonic() - began) / len(specs), np.float32)
        return [
            RunRecord(**jax.tree.map(lambda column, i=i: column[i], rows), seconds=seconds)
            for i in range(len(specs))
        ]

    def _episodes(self, group: Group, mesh: Mesh, specs: Sequence[RunSpec]) -> dict[str, Any]:
        """Whole episodes, side by side: the fields of their records, [runs, T, ...]."""
        env = group.variant.of(self.env)
        variant = self._training(group.variant)
        training = variant.of(self.env)
        key = (variant, mesh)
        begin = self._program((*key, "begin"), partial(_begin, training), mesh)
        advance = self._program((*key, "advance"), partial(_advance, training), mesh)
        test = self._program((*key, "test"), partial(_test, training), mesh)
        choose = partial(_choose, env, group.decide, group.schedules)
        decide = self._program((group, mesh), choose, mesh)

        carries = [spec.controller.begin(env, spec.learning_rate) for spec in specs]
        carry = jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries)
        state, keys = begin(
            jnp.stack([jax.random.PRNGKey(spec.seed) for spec in specs]),
            jnp.array([spec.learning_rate for spec in specs], jnp.float32),
            jnp.array([spec.weight_decay for spec in specs], jnp.float32),
        )
        rows = []
        for step in range(env.time_limit):
            carry, values, actions = decide(carry, state, keys)
            state, row = advance(state, values, actions)
            if self._test_every_step or step == env.time_limit - 1:
                row["test_accuracy"] = test(state)
            rows.append(row | {"actions": actions})
        rows = jax.device_get(rows)
        return {
            name: jax.tree.map(
                lambda *x: np.stack(x, axis=1), *(row[name] for row in rows if name in row)
            )
            for name in rows[-1]
        }

    def _program(self, key: Any, function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
        """`function` of one run as a compiled function of many, spread over the mesh."""
        if key not in self._programs:
            spec = PartitionSpec(RUNS)
            sharded = jax.shard_map(
                jax.vmap(function), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
            )
            everywhere = NamedSharding(mesh, PartitionSpec())
            self._programs[key] = jit_with_data(sharded, data_sharding=everywhere)
        return self._programs[key]


def _begin(
    env: NetworkTraining,
    key: PRNGKey,
    learning_rate: Float[Array, ""],
    weight_decay: Float[Array, ""],
) -> tuple[State, PRNGKey]:
    """A run's first state, and a key for each of its steps."""
    begin_key, key = jax.random.split(key)
    initial = {LEARNING_RATE.name: learning_rate, WEIGHT_DECAY.name: weight_decay}
    return env.reset_from(begin_key, initial)[0], jax.random.split(key, env.time_limit)


def _choose(
    env: NetworkTraining, decide: Decide, schedules: bool, carry: Carry, state: State, keys: PRNGKey
) -> tuple[Carry, dict[str, Float[Array, "tau L"]], Int[Array, " agents"]]:
    """The controls that a controller sets next, and its actions: no-ops, for a schedule."""
    if not schedules:
        state = env.bounded(state)
    carry, decision = decide(env, carry, env.observe(state), keys[state.step_count])
    if schedules:
        no_ops = jnp.full((env.num_agents,), NO_OP, jnp.int32)
        return carry, {LEARNING_RATE.name: decision}, no_ops
    values = {
        name: jnp.broadcast_to(value, (env.updates_per_step, *value.shape))
        for name, value in env.controls_after(state, decision).items()
    }
    return carry, values, decision


def _advance(
    env: NetworkTraining,
    state: State,
    values: dict[str, Float[Array, "tau L"]],
    actions: Int[Array, " agents"],
) -> tuple[State, dict[str, Any]]:
    """A step of a run, and what its record keeps of it."""
    branch = {name: value[None] for name, value in values.items()}
    state, _ = advance(env.inner, env.training, state, branch)
    taken = jnp.broadcast_to(actions, state.previous_action.shape)
    shown = dict.fromkeys([LEARNING_RATE.name, *env.interface.controls])
    metrics = {f.name: getattr(state.metrics, f.name) for f in dataclasses.fields(state.metrics)}
    row = metrics | {"controls": {name: state.controls[name] for name in shown}}
    return dataclasses.replace(state, previous_action=taken), row


def _test(env: NetworkTraining, state: State) -> Float[Array, ""]:
    return env.inner.evaluate(state.inner, env.task.data.test)[1]["accuracy"]
