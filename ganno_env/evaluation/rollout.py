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
from jax.sharding import SingleDeviceSharding
from jaxtyping import Array

from ganno_env.compilation import jit_with_data
from ganno_env.env import NetworkTraining
from ganno_env.evaluation import programs
from ganno_env.evaluation.controller import Carry
from ganno_env.evaluation.planning import Batch, Group, RunSpec, Work, plan
from ganno_env.evaluation.threads import side_by_side
from ganno_env.types import RunRecord, State

AHEAD = 2
"""Steps that are handed to the devices before the host waits for the one before them."""
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 1}
"""For programs that run for a moment: on a CPU, random numbers alone take LLVM's higher levels
seconds for each array that is drawn (`docs/performance.md`)."""
BRIEF = 150
"""Gradient updates of a run that ends before LLVM's usual work would have paid."""
QUICKEST_TO_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
"""For all programs of such runs: compiled in a sixth of the time."""
Row = dict[str, Any]
"""What a step adds to the records of a batch's runs: arrays [runs, ...] on devices."""


class Step(NamedTuple):
    """A step of a batch, made by a device.

    Attributes:
        batch: whose.
        compiled: whether the device had to compile its programs first.
        seconds: since the device's step before.
        records: of its runs, if it was their last.
    """

    batch: Batch
    compiled: bool
    seconds: float
    records: list[RunRecord]


class GridRunner:
    """Runs grids in one environment, keeping what it has compiled.

    Runs with the same seed start from the same weights and see the same batches, whoever controls
    them. An episode is a loop on the host over a few compiled programs: those in which networks
    train are shared by all controllers, and each controller adds a small one of its own. Each
    device makes batches of its own, in a thread that is a step or two ahead of it; while one
    compiles, the others go on.

    Args:
        env: what to train; its reward, sampled rates and second branch play no part.
        test_every_step: measure the test split after every step, not the last alone.
        runs_at_once: how many runs are under way at once, spread over all devices; all of a kind,
            if not given.
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
        self._groups: dict[jax.Device, set[Group]] = {}

    @property
    def num_devices(self) -> int:
        """On how many devices batches are made side by side."""
        return min(len(jax.devices()), self._runs_at_once or len(jax.devices()))

    def run(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        """A record for each run, on the host, in the order of `specs`."""
        records = dict(self.iterate(specs))
        return [records[number] for number in range(len(specs))]

    def plan(self, specs: Sequence[RunSpec]) -> list[Batch]:
        """The batches that `iterate` makes."""
        return plan(specs, self._runs_at_once, self.num_devices)

    def iterate(
        self, specs: Sequence[RunSpec], after_step: Callable[[Step], None] = lambda step: None
    ) -> Iterator[tuple[int, RunRecord]]:
        """Each run's place in `specs` and its record, as they are done.

        Args:
            specs: the runs.
            after_step: is called as each step of each batch is done.
        """
        batches = self.plan(specs)
        work = Work(batches)
        devices = jax.devices()[: min(self.num_devices, len(batches))]
        makers = [partial(self._steps, device, work, specs) for device in devices]
        for step in side_by_side(makers):
            after_step(step)
            if step.records:
                yield from zip(step.batch.numbers, step.records, strict=True)

    def _steps(self, device: jax.Device, work: Work, specs: Sequence[RunSpec]) -> Iterator[Step]:
        """What one device makes, each step after the host has gone on to the next ones."""
        last = begun = time.monotonic()
        for batch, compiled, rows in self._made(device, work, specs):
            now = time.monotonic()
            records: list[RunRecord] = []
            if len(rows) == self.env.time_limit:
                records, begun = _records(batch, rows, now - begun), now
            yield Step(batch, compiled, now - last, records)
            last = now

    def _made(self, device: jax.Device, work: Work, specs: Sequence[RunSpec]) -> Iterator[_Made]:
        """The steps of the batches that a device makes, as soon as each is there."""
        compiled = self._groups.setdefault(device, set())
        under_way: deque[_Made] = deque()
        while (batch := work.take(compiled)) is not None:
            compiles = batch.group not in compiled
            # While programs are compiled nothing is under way that would seem to be slow.
            ahead = 0 if compiles else AHEAD
            yield from _wait(under_way, ahead)
            rows: list[Row] = []
            for row in self._episodes(device, batch, [specs[number] for number in batch.numbers]):
                rows = [*rows, row]
                under_way.append(_Made(batch, compiles and len(rows) == 1, rows))
                yield from _wait(under_way, ahead)
            compiled.add(batch.group)
        yield from _wait(under_way, 0)

    def _episodes(
        self, device: jax.Device, batch: Batch, specs: Sequence[RunSpec]
    ) -> Iterator[Row]:
        """Hands whole episodes, side by side, to a device, step by step."""
        group = batch.group
        env, variant = group.variant.of(self.env), group.variant.training(self.env)
        training = variant.of(self.env)
        compiled = partial(self._program, device=device)
        initialise = compiled("initialise", partial(programs.initialise, self.env), quick=True)
        first_state = partial(programs.begin, training, not group.schedules)
        begin = compiled((variant, "begin", group.schedules), first_state, quick=True)
        train = compiled((variant, "train"), partial(programs.train, training))
        evaluate_with = partial(programs.evaluated, training)
        evaluated = compiled((variant, "evaluated"), evaluate_with, quick=True)
        test_network = compiled("test", partial(programs.test, self.env))
        choose = partial(programs.choose, env, group.decide, group.schedules)
        decide = compiled(group, choose, quick=True)

        def test(state: State) -> Array:
            return test_network(evaluated(state))

        is_run, carry, start = jax.device_put(_beginnings(env, batch, specs), device)
        state, keys = begin(initialise(start[0]), *start)
        if group not in self._groups[device]:
            test(state)  # compiled now: the later steps of a group compile nothing
        for step in range(env.time_limit):
            carry, values, actions = decide(carry, state, keys)
            state, row = train(is_run, state, values, actions)
            if self._test_every_step or step == env.time_limit - 1:
                row["test_accuracy"] = test(state)
            yield row | {"actions": actions}

    def _program(
        self, key: Any, function: Callable[..., Any], *, device: jax.Device, quick: bool = False
    ) -> Callable[..., Any]:
        """`function` of one run as a compiled function of many, on a device."""
        if (key, device) not in self._programs:
            self._programs[key, device] = jit_with_data(
                jax.vmap(function),
                data_sharding=SingleDeviceSharding(device),
                compiler_options=self._options(quick),
            )
        return self._programs[key, device]

    def _options(self, quick: bool) -> dict[str, Any] | None:
        """How a program is compiled: a question of the environment, never of how many runs."""
        if jax.default_backend() != "cpu":
            return None
        if self.env.time_limit * self.env.updates_per_step < BRIEF:
            return QUICKEST_TO_COMPILE
        return QUICK_TO_COMPILE if quick else None


class _Made(NamedTuple):
    """A step that a device was given to make.

    Attributes:
        batch: whose.
        compiled: whether programs were compiled for it.
        rows: its own and those of the batch's steps before it.
    """

    batch: Batch
    compiled: bool
    rows: list[Row]


def _beginnings(
    env: NetworkTraining, batch: Batch, specs: Sequence[RunSpec]
) -> tuple[Array, Carry, tuple[Array, ...]]:
    """Of each place: whether it is a run's, what its controller carries, and how it begins."""
    # A place that is no run's has some run's values.
    placed = [*specs, *[specs[-1]] * (batch.size - len(specs))]
    carries = [spec.controller.begin(env, spec.learning_rate) for spec in placed]
    return (
        jnp.arange(batch.size) < len(specs),
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries),
        (
            jnp.stack([jax.random.PRNGKey(spec.seed) for spec in placed]),
            jnp.array([spec.learning_rate for spec in placed], jnp.float32),
            jnp.array([spec.weight_decay for spec in placed], jnp.float32),
        ),
    )


def _wait(under_way: deque[_Made], most: int) -> Iterator[_Made]:
    """Waits until no more than `most` steps are under way; yields the others, as they are done."""
    while len(under_way) > most:
        made = under_way.popleft()
        jax.block_until_ready(made.rows[-1])
        yield made


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
        for place in range(len(batch.numbers))
    ]
