"""What a grid of runs takes beside its gradient updates, as `systems.reproduce` makes it.

A slice of table 1 at `scale=cpu`: hand-made rows, whole episodes, the test split at their ends. The
rate of updates is of the same process, before and after the grid: steps of 4 environments with 2
branches, as `benchmarks.inner_loop` has them. What is compiled is the same for few runs and for
many, so it is measured apart, and the ratio is also told of table 1's 165 hand-made runs.

Usage: python -m benchmarks.grid [--json] [--methods NAME ...] [--runs N] [--epochs N]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import contenders
from benchmarks.cases import NUM_ENVS, Case
from benchmarks.measurement import machine
from ganno_env import NetworkTraining, tasks
from ganno_env.evaluation import GridRunner, RunSpec
from ganno_env.evaluation.methods import Setting, make_method
from ganno_env.evaluation.rollout import Step
from systems.training.devices import configure
from systems.utils.output import echo, make_console
from systems.utils.strict_json import to_json

RUNS_AT_ONCE = 4
"""As `scale=cpu` has it."""
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WEIGHT_DECAY = 0.1
TABLE_1_RUNS, TABLE_1_OPTIMISERS = 165, 3
"""Of the rows that are no trained agents'; each optimiser has programs of its own."""


def environment(epochs: float) -> NetworkTraining:
    """Table 1's at `scale=cpu`, on random images."""
    env = Case("cnn5", 64, "cifar10").environment()
    # A test split as large as the training split: its images may as well be the same.
    data = dataclasses.replace(env.task.data, test=env.task.data.train)
    return env.replace(task=tasks.build(data), epochs=epochs)


def specs(env: NetworkTraining, methods: Sequence[str], runs: int) -> list[RunSpec]:
    """So many runs of each method, from one initial rate after the other."""
    return [
        make_method(name, Setting(env)).runs(RATES[run % len(RATES)], WEIGHT_DECAY, run)
        for name in methods
        for run in range(runs)
    ]


def run_grid(env: NetworkTraining, grid: Sequence[RunSpec]) -> dict[str, float]:
    """The grid's seconds, and how many of them devices waited for compilation."""
    runner = GridRunner(env, runs_at_once=RUNS_AT_ONCE)
    steps: list[Step] = []
    begun = time.perf_counter()
    for _ in runner.iterate(grid, steps.append):
        pass
    seconds = time.perf_counter() - begun
    later = [(step.seconds, len(step.batch.numbers)) for step in steps if not step.compiled]
    pace = sum(took for took, _ in later) / sum(runs for _, runs in later)
    waits = [s.seconds - len(s.batch.numbers) * pace for s in steps if s.compiled]
    return {
        "seconds": seconds,
        "compilation": sum(waits) / runner.num_devices,
        "groups": len({step.batch.group for step in steps}),
    }


def ratios(grid: dict[str, float], updates: int, num_runs: int, rate: float) -> dict[str, float]:
    """Seconds over those that the updates alone would have taken."""
    alone = updates / rate
    working = grid["seconds"] - grid["compilation"]
    whole_table = TABLE_1_RUNS / num_runs
    compilation = grid["compilation"] / grid["groups"] * TABLE_1_OPTIMISERS
    return {
        "ratio": grid["seconds"] / alone,
        "ratio_without_compilation": working / alone,
        "ratio_of_table_1": (working * whole_table + compilation) / (alone * whole_table),
    }


def measure(env: NetworkTraining, grid: Sequence[RunSpec], rounds: int) -> dict[str, float]:
    """All figures."""
    contender = contenders.environment(env.replace(reward="accuracy_difference"), configure())
    contender.run()

    def rates() -> list[float]:
        times = [time.perf_counter()]
        for _ in range(rounds):
            contender.run()
            times.append(time.perf_counter())
        return [contender.num_updates / (b - a) for a, b in itertools.pairwise(times)]

    before = rates()
    took = run_grid(env, grid)
    rate = statistics.median([*before, *rates()])
    updates = len(grid) * env.time_limit * env.updates_per_step
    return took | ratios(took, updates, len(grid), rate) | {
        "runs": len(grid), "updates": updates, "updates_per_second_alone": rate,
    }  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--methods", nargs="+", default=["constant", "lamb"], metavar="NAME")
    parser.add_argument("--runs", type=int, default=6, help="of each method")
    parser.add_argument("--epochs", type=float, default=20.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3, help="of the updates alone, twice")
    arguments = parser.parse_args()
    configure(num_envs=NUM_ENVS)
    env = environment(arguments.epochs)
    grid = specs(env, arguments.methods, arguments.runs)
    figures: dict[str, Any] = measure(env, grid, arguments.rounds)
    if arguments.json:
        echo(to_json(figures | {"machine": machine()}, indent=2))
        return
    console = make_console()
    for name, value in figures.items():
        console.print(f"{name}: {value:,.4g}", highlight=False)


if __name__ == "__main__":
    main()
