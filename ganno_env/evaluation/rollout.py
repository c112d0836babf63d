"""Runs under a controller, many at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from ganno_env.compilation import jit_with_data
from ganno_env.env import NetworkTraining
from ganno_env.evaluation import programs
from ganno_env.evaluation.controller import Carry
from ganno_env.evaluation.planning import Batch, RunSpec, plan
from ganno_env.types import RunRecord

RUNS = "runs"
AHEAD = 2
"""Steps that are handed to the devices before the host waits for the one before them."""
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 1}
"""For programs that run for a moment: on a CPU, random numbers alone take LLVM's higher levels
seconds for each array that is drawn (`docs/performance.md`)."""
BRIEF = 1_000
"""Gradient updates of a run that ends before LLVM's usual work would have paid."""
QUICKEST_TO_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
"""For all programs of such runs: compiled in a sixth of the time."""
Row = dict[str, Any]
"""What a step adds to the records of a batch's runs: arrays [runs, ...] on devices."""


class Done(NamedTuple):
    """A step that devices have made.

    Attributes:
        batch: whose.
        rows: its own and those of the batch's steps before it.
    """

    batch: Batch
    rows: list[Row]


class GridRunner:
    """Runs grids in one environment, keeping what it has compiled.

    Runs with the same seed start from the same weights and see the same batches, whoever controls
    them. An episode is a loop on the host over a few compiled programs: those in which networks
    train are shared by all controllers, and each controller adds a small one of its own. The host
    is a step or two ahead of the devices, which wait neither for it nor for a batch's records.

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

    def plan(self, specs: Sequence[RunSpec]) -> list[Batch]:
        """The batches that `iterate` makes, in order."""
        return plan(specs, self._runs_at_once, len(jax.devices()))

    def iterate(
        self, specs: Sequence[RunSpec], after_step: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, RunRecord]]:
        """Each run's place in `specs` and its record, as they are done.

        Args:
            specs: the runs.
            after_step: is called as each step of each batch is done; a group's first compiles.
        """
        last = time.monotonic()
        for batch, rows in self._done(specs):
            after_step()
            if len(rows) == self.env.time_limit:
                now = time.monotonic()
                yield from zip(batch.numbers, _records(batch, rows, now - last), strict=True)
                last = now

    def _done(self, specs: Sequence[RunSpec]) -> Iterator[Done]:
        """The steps of all batches, each after the host has gone on to the next ones."""
        under_way: deque[Done] = deque()
        for batch in self.plan(specs):
            # While programs are compiled nothing is under way that would seem to be slow.
            ahead = 0 if batch.is_first else AHEAD
            yield from _wait(under_way, ahead)
            rows: list[Row] = []
            for row in self._episodes(batch, [specs[number] for number in batch.numbers]):
                rows = [*rows, row]
                under_way.append(Done(batch, rows))
                yield from _wait(under_way, ahead)
        yield from _wait(under_way, 0)

    def _episodes(self, batch: Batch, specs: Sequence[RunSpec]) -> Iterator[Row]:
        """Hands whole episodes, side by side, to the devices, step by step."""
        group, mesh = batch.group, _mesh(batch.num_devices)
        env, variant = group.variant.of(self.env), group.variant.training(self.env)
        training = variant.of(self.env)
        compiled = partial(self._program, mesh=mesh)
        begin = compiled((variant, "begin"), partial(programs.begin, training), quick=True)
        train = compiled((variant, "train"), partial(programs.train, training))
        test = compiled((variant, "test"), partial(programs.test, training))
        choose = partial(programs.choose, env, group.decide, group.schedules)
        decide = compiled(group, choose, quick=True)

        spread = NamedSharding(mesh, PartitionSpec(RUNS))
        is_run, carry, start = jax.device_put(_beginnings(env, batch, specs), spread)
        state, keys = begin(*start)
        if batch.is_first:
            test(state)  # compiled now: the later steps of a group compile nothing
        for step in range(env.time_limit):
            carry, values, actions = decide(carry, state, keys)
            state, row = train(is_run, state, values, actions)
            if self._test_every_step or step == env.time_limit - 1:
                row["test_accuracy"] = test(state)
            yield row | {"actions": actions}

    def _program(
        self, key: Any, function: Callable[..., Any], *, mesh: Mesh, quick: bool = False
    ) -> Callable[..., Any]:
        """`function` of one run as a compiled function of many, spread over the mesh."""
        if (key, mesh) not in self._programs:
            spec = PartitionSpec(RUNS)
            sharded = jax.shard_map(
                jax.vmap(function), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
            )
            everywhere = NamedSharding(mesh, PartitionSpec())
            self._programs[key, mesh] = jit_with_data(
                sharded, data_sharding=everywhere, compiler_options=self._options(quick)
            )
        return self._programs[key, mesh]

    def _options(self, quick: bool) -> dict[str, Any] | None:
        """How a program is compiled: a question of the environment, never of how many runs."""
        if jax.default_backend() != "cpu":
            return None
        if self.env.time_limit * self.env.updates_per_step < BRIEF:
            return QUICKEST_TO_COMPILE
        return QUICK_TO_COMPILE if quick else None


def _mesh(num_devices: int) -> Mesh:
    devices = jax.devices()[:num_devices]
    return jax.make_mesh((num_devices,), (RUNS,), (AxisType.Auto,), devices=devices)


def _beginnings(
    env: NetworkTraining, batch: Batch, specs: Sequence[RunSpec]
) -> tuple[Array, Carry, tuple[Array, ...]]:
    """Of each place: whether it is a run's, what its controller carries, and how it begins."""
    # A place that is no run's has some run's values.
    placed = [specs[-1]] * batch.size
    for place, spec in zip(batch.places, specs, strict=True):
        placed[place] = spec
    carries = [spec.controller.begin(env, spec.learning_rate) for spec in placed]
    return (
        jnp.isin(jnp.arange(batch.size), jnp.array(batch.places)),
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries),
        (
            jnp.stack([jax.random.PRNGKey(spec.seed) for spec in placed]),
            jnp.array([spec.learning_rate for spec in placed], jnp.float32),
            jnp.array([spec.weight_decay for spec in placed], jnp.float32),
        ),
    )


def _wait(under_way: deque[Done], most: int) -> Iterator[Done]:
    """Waits until no more than `most` steps are under way; yields the others, as they are done."""
    while len(under_way) > most:
        done = under_way.popleft()
        jax.block_until_ready(done.rows[-1])
        yield done


def _records(batch: Batch, rows: Sequence[Row], seconds: float) -> list[RunRecord]:
    """The records of a batch's runs, whose episodes are over."""
    rows = jax.device_get(rows)
    columns = {
        name: jax.tree.map(
            lambda *x: np.stack(x, axis=1), *(row[name] for row in rows if name in row)
        )
        for name in rows[-1]
    }
    share = np.asarray(seconds / len(batch.numbers), np.float32)
    return [
        RunRecord(**jax.tree.map(lambda column, i=place: column[i], columns), seconds=share)
        for place in batch.places
    ]
