"""Where an environment's step spends its time: XLA's operations, as its profiler sees them.

One environment; on one core, as a replica has it, if the process is given no more. An operation is
a matrix product, a reduction, or a fusion, which XLA names after what is in it.

Usage: taskset -c 0 python -m benchmarks.profile [--case NAME] [--top N] [--json]
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.table import Table

from benchmarks.cases import NUM_BRANCHES, choose
from systems.utils.output import echo, make_console, protect_standard_streams
from systems.utils.strict_json import to_json

CONTAINERS = ("while", "call", "conditional")
"""Operations whose time is that of the operations within."""


def profile(compiled: jax.stages.Compiled, *arguments: Any) -> dict[str, float]:
    """Microseconds of each operation in one run of a compiled function, of the second of two."""
    jax.block_until_ready(compiled(*arguments))
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(compiled(*arguments))
        (trace,) = Path(folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    times: dict[str, float] = collections.defaultdict(float)
    for event in events:
        if "hlo_op" in event.get("args", {}) and not event["name"].startswith(CONTAINERS):
            times[event["name"]] += event["dur"]
    return dict(times)


def kinds(program: str) -> dict[str, tuple[str, str]]:
    """The kind of each operation of a compiled program's text, and the shape that it makes."""
    bodies = dict(re.findall(r"^%(\S+) \(.*?\{\n(.*?)^\}", program, re.MULTILINE | re.DOTALL))
    found = {}
    for name, shape, rest in re.findall(
        r"^\s+(?:ROOT )?%(\S+) = (\S+) (.*)$", program, re.MULTILINE
    ):
        called = re.search(r"calls=%([\w.-]+)", rest)
        inside = rest + bodies.get(called[1], "") if called else rest
        found[name] = (_kind(name, inside), re.sub(r"\{.*?\}", "", shape))
    return found


def _kind(name: str, inside: str) -> str:
    if re.search(r"\bdot\(", inside):
        return "matrix product"
    if re.search(r"\breduce\(", inside):
        return "reduction"
    return re.sub(r"(\.\d+|\.clone)+$", "", name)


def by_kind(times: Mapping[str, float], known: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Microseconds of all operations of a kind, the longest first."""
    sums: dict[str, float] = collections.defaultdict(float)
    for name, duration in times.items():
        sums[known[name][0] if name in known else _kind(name, "")] += duration
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def as_table(times: Mapping[str, float], updates: int, title: str, top: int) -> Table:
    """The largest of these times, for people."""
    table = Table(title=title)
    for column in ("operation", "µs an update", "share"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    total = sum(times.values())
    for name, duration in sorted(times.items(), key=lambda x: -x[1])[:top]:
        table.add_row(name, f"{duration / updates:,.1f}", f"{duration / total:.1%}")
    return table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--case", default="cnn2/64", metavar="NAME", help="of benchmarks.inner_loop"
    )
    parser.add_argument("--top", type=int, default=12, help="rows of a table")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    arguments = parser.parse_args()
    try:
        (case,) = choose([], [arguments.case])
    except ValueError as error:
        parser.error(str(error))
    protect_standard_streams()
    env = case.environment()
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    action = jnp.ones((env.num_agents,), jnp.int32)
    compiled = jax.jit(env.step).lower(state, action).compile()
    times, known = profile(compiled, state, action), kinds(compiled.as_text() or "")
    sums, updates = by_kind(times, known), NUM_BRANCHES * env.updates_per_step
    if arguments.json:
        echo(to_json({"updates": updates, "kinds": sums, "operations": times}, indent=2))
        return
    named = {" ".join((name, *known.get(name, ()))): t for name, t in times.items()}
    console = make_console(width=100)
    console.print(as_table(sums, updates, f"{case.name}: kinds of operations", arguments.top))
    console.print(as_table(named, updates, f"{case.name}: single operations", arguments.top))


if __name__ == "__main__":
    main()
