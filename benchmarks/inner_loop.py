"""How fast the environment trains networks, beside what else one could write.

Every contender runs in one process on the same cores, in turn, several rounds over; rates are
medians over rounds, in gradient updates per second, all replicas together:

    environment   a step as the systems make it: 4 environments, 2 branches each, sharded over
                  cores, with observations, validation, reward and auto-reset
    bare          a hand-written, jitted `lax.scan` of the same network with the same lowering, one
                  replica, nothing else; batches whole or in chunks, whichever is faster
    flax          the same loop with stock layers such as `nn.Conv` and `nn.max_pool`, one replica
    flax_vmapped  that, under `vmap` over the 8 replicas
    torch         PyTorch, eager, one replica after another

A network that is registered with no counterpart in Flax or PyTorch here has nothing in that column.

Usage: python -m benchmarks.inner_loop [--json] [--rounds N] [networks=[cnn2,mlp]] [--case NAME ...]
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import jax
import numpy as np
from rich.table import Table

from benchmarks import contenders
from benchmarks.cases import Case, choose
from benchmarks.measurement import machine, measure
from systems.training.devices import available_cores, configure
from systems.utils.output import echo, make_console, protect_standard_streams
from systems.utils.strict_json import to_json

RATES = ("environment", "bare", "flax", "flax_vmapped", "torch")


def run_case(case: Case, mesh: jax.sharding.Mesh, rounds: int) -> dict[str, Any]:
    """One case's rates, ratios and fraction of the machine's peak."""
    env = case.environment()
    generator = np.random.default_rng(1)

    def batches(count: int) -> np.ndarray:
        return generator.integers(0, case.num_examples, (count, case.batch_size), dtype=np.int32)

    stock = batches(case.stock_updates)
    cores = available_cores()
    runs: dict[str, contenders.Contender | None] = {
        "environment": contenders.environment(env, mesh),
        "bare_whole": contenders.bare(env, batches(2 * case.updates_per_step), chunked=False),
        "bare_chunked": contenders.bare(env, batches(2 * case.updates_per_step), chunked=True),
        "flax": contenders.flax(case, env, stock, 1),
        "flax_vmapped": contenders.flax(case, env, stock[:2], contenders.NUM_REPLICAS),
        "torch": contenders.torch(case, env, batches(case.updates_per_step), cores),
        "peak": contenders.peak_flops(),
    }
    rates = measure({name: run for name, run in runs.items() if run is not None}, rounds)
    rates["bare"] = max(rates["bare_whole"], rates["bare_chunked"])
    flops = contenders.update_flops(env)
    environment = rates["environment"]
    return {name: rates.get(name) for name in (*RATES, "bare_whole", "bare_chunked")} | {
        **{
            f"environment_over_{name}": environment / rates[name] if name in rates else None
            for name in RATES[1:]
        },
        "megaflops_per_update": flops / 1e6,
        "peak_gigaflops": rates["peak"] / 1e9,
        "fraction_of_peak": environment * flops / rates["peak"],
        "width": case.width,
        "updates_per_step": case.updates_per_step,
    }


def as_table(results: dict[str, dict[str, Any]]) -> Table:
    """The results for people."""
    table = Table(title="Gradient updates per second, all replicas together")
    columns = (*RATES, "÷ bare", "÷ flax_vmapped", "÷ torch", "of peak")
    for column in ("case", *columns):
        table.add_column(column, justify="left" if column == "case" else "right")
    for name, row in results.items():
        ratios = [row[f"environment_over_{k}"] for k in ("bare", "flax_vmapped", "torch")]
        table.add_row(
            name,
            *("-" if row[rate] is None else f"{row[rate]:,.4g}" for rate in RATES),
            *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            f"{row['fraction_of_peak']:.0%}",
        )
    return table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--rounds", type=int, help="measurements of each contender, not 5 or 3")
    parser.add_argument(
        "--case", nargs="+", default=[], metavar="NAME", help="only these, such as cnn2/64"
    )
    parser.add_argument("--networks", nargs="+", default=[], metavar="NAME", help="only of these")
    parser.add_argument(
        "more_networks",
        nargs="*",
        type=listed,
        metavar="networks=[NAME,...]",
        help="the same as --networks",
    )
    arguments = parser.parse_intermixed_args()
    networks = [*arguments.networks, *itertools.chain(*arguments.more_networks)]
    try:
        cases = choose(networks, arguments.case)
    except ValueError as error:
        parser.error(str(error))
    mesh = configure()
    protect_standard_streams()
    console = make_console(stderr=True)
    results: dict[str, dict[str, Any]] = {}
    for case in cases:
        start = time.perf_counter()
        with console.status(f"{case.name}: compiling and measuring"):
            results[case.name] = run_case(case, mesh, arguments.rounds or case.rounds)
        console.print(f"{case.name} took {time.perf_counter() - start:.0f} s")
        jax.clear_caches()
    if arguments.json:
        echo(to_json(results | {"machine": machine()}, indent=2))
    else:
        make_console(width=120).print(as_table(results))


def listed(text: str) -> list[str]:
    """The names in an argument such as networks=[cnn2,mlp].

    Raises:
        argparse.ArgumentTypeError: for another argument.
    """
    key, _, names = text.partition("=")
    if key != "networks" or not names:
        raise argparse.ArgumentTypeError(f"{text!r} is not networks=[NAME,...]")
    return [name.strip() for name in names.strip("[]").split(",")]


if __name__ == "__main__":
    main()
