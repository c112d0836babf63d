"""Runs under a controller, many at once: one compiled program for a grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from ganno_env.compilation import jit_with_data
from ganno_env.controls import LEARNING_RATE, WEIGHT_DECAY
from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Carry, Controller, Decide
from ganno_env.types import PRNGKey, RunRecord, State

RUNS = "runs"


class RunSpec(NamedTuple):
    """One run of a grid: who sets the rates, from where, and with which seed."""

    controller: Controller
    learning_rate: float
    weight_decay: float
    seed: int


class GridRunner:
    """Runs grids in one environment, keeping what it has compiled.

    Runs with the same seed start from the same weights and see the same batches, whoever controls
    them. Those that share a program run as one, spread over all devices.

    Args:
        env: what to train; its reward, sampled rates and second branch play no part.
        test_every_step: measure the test split after every step, not the last alone.
    """

    def __init__(self, env: NetworkTraining, *, test_every_step: bool = False) -> None:
        self.env = env.replace(reward="accuracy_gain") if env.reward.needs_no_op else env
        self._test_every_step = test_every_step
        self._programs: dict[tuple[Decide, bool, Mesh], Callable[..., RunRecord]] = {}

    def run(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        """A record for each run, on the host, in the order of `specs`."""
        groups: dict[tuple[Decide, bool], list[int]] = {}
        for number, spec in enumerate(specs):
            key = (spec.controller.decide, spec.controller.schedules)
            groups.setdefault(key, []).append(number)
        records: dict[int, RunRecord] = {}
        for numbers in groups.values():
            done = self._run_group([specs[number] for number in numbers])
            records.update(zip(numbers, done, strict=True))
        return [records[number] for number in range(len(specs))]

    def _run_group(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        """Runs that share a program; the last is repeated until they divide among the devices."""
        devices = jax.devices()[: len(specs)]
        mesh = jax.make_mesh((len(devices),), (RUNS,), (AxisType.Auto,), devices=devices)
        padded = [*specs, *[specs[-1]] * (-len(specs) % len(devices))]
        carries = [spec.controller.begin(self.env, spec.learning_rate) for spec in padded]
        arguments = (
            jnp.stack([jax.random.PRNGKey(spec.seed) for spec in padded]),
            jnp.array([spec.learning_rate for spec in padded], jnp.float32),
            jnp.array([spec.weight_decay for spec in padded], jnp.float32),
            jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries),
        )
        program = self._program(specs[0].controller, mesh)
        batched = jax.device_get(program(*arguments))
        return [jax.tree.map(lambda x, i=i: np.asarray(x[i]), batched) for i in range(len(specs))]

    def _program(self, controller: Controller, mesh: Mesh) -> Callable[..., RunRecord]:
        key = (controller.decide, controller.schedules, mesh)
        if key not in self._programs:
            run = partial(
                run_episode,
                self.env,
                controller.decide,
                controller.schedules,
                self._test_every_step,
            )
            spec = PartitionSpec(RUNS)
            sharded = jax.shard_map(
                jax.vmap(run), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
            )
            everywhere = NamedSharding(mesh, PartitionSpec())
            self._programs[key] = jit_with_data(sharded, data_sharding=everywhere)
        return self._programs[key]


def run_episode(
    env: NetworkTraining,
    decide: Decide,
    schedules: bool,
    test_every_step: bool,
    key: PRNGKey,
    learning_rate: Float[Array, ""],
    weight_decay: Float[Array, ""],
    carry: Carry,
) -> RunRecord:
    """One run, as a pure function: an episode from these initial conditions."""
    begin_key, key = jax.random.split(key)
    initial = {LEARNING_RATE.name: learning_rate, WEIGHT_DECAY.name: weight_decay}
    state, timestep = env.begin(begin_key, initial)

    def test_accuracy(state: State) -> Float[Array, ""]:
        return env.inner.evaluate(state.inner, env.dataset.test)[1]

    def step(loop: tuple, key: PRNGKey) -> tuple[tuple, RunRecord]:
        state, timestep, carry = loop
        carry, decision = decide(env, carry, timestep, key)
        state, timestep = (env.follow if schedules else env.step)(state, decision)
        record = RunRecord(
            learning_rates=state.controls[LEARNING_RATE.name],
            actions=state.previous_action,
            train_loss=state.metrics.train_loss,
            train_accuracy=state.metrics.train_accuracy,
            validation_loss=state.metrics.validation_loss,
            validation_accuracy=state.metrics.validation_accuracy,
            test_accuracy=test_accuracy(state) if test_every_step else jnp.float32(0),
        )
        return (state, timestep, carry), record

    (state, _, _), record = jax.lax.scan(
        step, (state, timestep, carry), jax.random.split(key, env.time_limit)
    )
    if test_every_step:
        return record
    return dataclasses.replace(record, test_accuracy=test_accuracy(state)[None])
