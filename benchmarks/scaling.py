"""What a step costs as the number of environments, agents and examples grows.

Each row is a process of its own, so that its compile time and peak memory are its own too; a second
process then compiles from the cache that the first one left.

Usage: python -m benchmarks.scaling [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
from rich.table import Table

from benchmarks import contenders
from benchmarks.cases import Case
from systems.training.devices import configure
from systems.utils.output import echo, make_console, protect_standard_streams
from systems.utils.strict_json import to_json

BASE: dict[str, Any] = {
    "network": "cnn2", "num_envs": 4, "num_examples": 10_000, "validation_size": 500,
}  # fmt: skip
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    *({"num_envs": n} for n in (1, 2, 8)),
    *({"network": name} for name in ("cnn3", "cnn5")),
    *({"num_examples": n} for n in (1_000, 60_000)),
    *({"validation_size": n} for n in (100, 5_000)),
)
COLUMNS = ("agents", "compile_cold_s", "compile_cached_s", "step_s", "peak_mb", "state_mb")


def measure(settings: dict[str, Any]) -> dict[str, float]:
    """Compiles and times a step in this process, whose memory it then reads."""
    mesh = configure(num_envs=settings["num_envs"])
    env = Case(
        settings["network"],
        64,
        "cifar10" if settings["network"] == "cnn5" else "fashion_mnist",
        num_examples=settings["num_examples"],
        validation_size=settings["validation_size"],
        updates_per_step=50 if settings["num_examples"] < 5_000 else 100,
    ).environment()
    contender = contenders.environment(env, mesh, settings["num_envs"])
    start = time.perf_counter()
    contender.run()
    first = time.perf_counter() - start
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        contender.run()
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds)
    state = jax.eval_shape(env.reset, jax.random.key(0))[0]
    return {
        "agents": env.num_agents,
        "compile_s": max(first - step, 0.0),
        "step_s": step * 100 / env.updates_per_step,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "state_mb": sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state)) / 2**20,
    }


def in_own_process(settings: dict[str, Any], cache: str) -> dict[str, float]:
    """`measure`, in a new process with its own compilation cache."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-m", "benchmarks.scaling", "--one", to_json(settings)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(output.stdout.splitlines()[-1])


def run_row(change: dict[str, Any]) -> dict[str, Any]:
    """One row: cold, and again from the cache."""
    settings = BASE | change
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (in_own_process(settings, cache) for _ in range(2))
    compile_times = {"compile_cold_s": cold["compile_s"], "compile_cached_s": warm["compile_s"]}
    return settings | cold | compile_times


def as_table(rows: list[dict[str, Any]]) -> Table:
    """The rows for people."""
    table = Table(title="Cost of a step of 100 updates, batch 64, width 0.25")
    for column in (*BASE, *COLUMNS):
        table.add_column(column, justify="right")
    for row in rows:
        cells = (row[column] for column in (*BASE, *COLUMNS))
        table.add_row(*(f"{c:,.3g}" if isinstance(c, float) else str(c) for c in cells))
    return table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        echo(to_json(measure(arguments.one)))
        return
    rows = []
    protect_standard_streams()
    console = make_console(stderr=True)
    for number, change in enumerate(CHANGES, start=1):
        with console.status(f"row {number} of {len(CHANGES)}: {change or 'base'}"):
            rows.append(run_row(change))
    if arguments.json:
        echo(to_json(rows, indent=2))
    else:
        make_console(width=140).print(as_table(rows))


if __name__ == "__main__":
    main()
