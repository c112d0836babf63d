"""Runs under a controller, many at once: one compiled program for a grid."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

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


Changes = tuple[tuple[str, Any], ...]
"""Arguments of the environment and their values, hashable."""


class RunSpec(NamedTuple):
    """One run of a grid.

    Attributes:
        controller: who sets the rates.
        learning_rate, weight_decay: from where.
        seed: of the initial weights, the batches and the controller's own choices.
        changes: what is not as in the grid's environment, such as `(("optimiser", "lion"),)`.
    """

    controller: Controller
    learning_rate: float
    weight_decay: float
    seed: int
    changes: Changes = ()


class _Kind(NamedTuple):
    """What runs must have in common to be one program."""

    changes: Changes
    decide: Decide
    schedules: bool


class GridRunner:
    """Runs grids in one environment, keeping what it has compiled.

    Runs with the same seed start from the same weights and see the same batches, whoever controls
    them. Those that share a program run as one, spread over all devices.

    Args:
        env: what to train; its reward, sampled rates and second branch play no part.
        test_every_step: measure the test split after every step, not the last alone.
        runs_at_once: how many runs one call of a program makes, at most; all, if not given.
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
        self._envs: dict[Changes, NetworkTraining] = {(): self.env}
        self._programs: dict[tuple[_Kind, Mesh], Callable[..., RunRecord]] = {}

    def run(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        """A record for each run, on the host, in the order of `specs`."""
        records = dict(self.iterate(specs))
        return [records[number] for number in range(len(specs))]

    def iterate(self, specs: Sequence[RunSpec]) -> Iterator[tuple[int, RunRecord]]:
        """Each run's place in `specs` and its record, as they are done."""
        groups: dict[_Kind, list[int]] = {}
        for number, spec in enumerate(specs):
            kind = _Kind(spec.changes, spec.controller.decide, spec.controller.schedules)
            groups.setdefault(kind, []).append(number)
        for kind, numbers in groups.items():
            size = self._runs_at_once or len(numbers)
            for start in range(0, len(numbers), size):
                chosen = numbers[start : start + size]
                wanted = min(size, len(numbers))
                records = self._run_together(kind, [specs[n] for n in chosen], wanted)
                yield from zip(chosen, records, strict=True)

    def environment(self, changes: Changes) -> NetworkTraining:
        """The grid's environment with some arguments changed, built once."""
        if changes not in self._envs:
            self._envs[changes] = self.env.replace(**dict(changes))
        return self._envs[changes]

    def _run_together(self, kind: _Kind, specs: Sequence[RunSpec], size: int) -> list[RunRecord]:
        """Runs of one program: the last is repeated until there are `size`, on all devices."""
        began = time.monotonic()
        env = self.environment(kind.changes)
        devices = jax.devices()[:size]
        mesh = jax.make_mesh((len(devices),), (RUNS,), (AxisType.Auto,), devices=devices)
        size += -size % len(devices)
        padded = [*specs, *[specs[-1]] * (size - len(specs))]
        carries = [spec.controller.begin(env, spec.learning_rate) for spec in padded]
        arguments = (
            jnp.stack([jax.random.PRNGKey(spec.seed) for spec in padded]),
            jnp.array([spec.learning_rate for spec in padded], jnp.float32),
            jnp.array([spec.weight_decay for spec in padded], jnp.float32),
            jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries),
        )
        batched = jax.device_get(self._program(kind, mesh)(*arguments))
        seconds = np.float32((time.monotonic() - began) / len(specs))
        records = [
            jax.tree.map(lambda x, i=i: np.asarray(x[i]), batched) for i in range(len(specs))
        ]
        return [dataclasses.replace(record, seconds=seconds) for record in records]

    def _program(self, kind: _Kind, mesh: Mesh) -> Callable[..., RunRecord]:
        if (kind, mesh) not in self._programs:
            env = self.environment(kind.changes)
            run = partial(run_episode, env, kind.decide, kind.schedules, self._test_every_step)
            spec = PartitionSpec(RUNS)
            sharded = jax.shard_map(
                jax.vmap(run), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
            )
            everywhere = NamedSharding(mesh, PartitionSpec())
            self._programs[kind, mesh] = jit_with_data(sharded, data_sharding=everywhere)
        return self._programs[kind, mesh]


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
            seconds=jnp.float32(0),
        )
        return (state, timestep, carry), record

    (state, _, _), record = jax.lax.scan(
        step, (state, timestep, carry), jax.random.split(key, env.time_limit)
    )
    last = record.test_accuracy if test_every_step else test_accuracy(state)[None]
    # The time is known to who calls this program alone.
    return dataclasses.replace(record, test_accuracy=last, seconds=jnp.float32(0))
