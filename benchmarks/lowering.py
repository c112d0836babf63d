"""Each choice in how networks are lowered to XLA on a CPU, beside what one would write instead.

Both run within a `lax.scan`, in turn, nine rounds over; medians. A choice whose ratio is about one
or below was tried and left alone: it is kept here so that it can be tried again. With one core to
itself a program is as fast as a replica beside others; with more, XLA shares some operations out.

Usage: taskset -c 0 python -m benchmarks.lowering [--json]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from rich.table import Table

from ganno_env.networks import convolutions, layers
from ganno_env.networks.pooled import pooled_convolution
from systems.utils.output import echo, make_console, protect_standard_streams
from systems.utils.strict_json import to_json

REPEATS = 20
ROUNDS = 9
BATCH = 64


class Choice(NamedTuple):
    """Two functions of the same arguments that compute the same.

    Attributes:
        ours: what the networks do, or were made to do.
        other: the alternative.
        arguments: of ours; the first is what a loop carries.
        others: of the other, if they have another form.
    """

    ours: Callable[..., Any]
    other: Callable[..., Any]
    arguments: tuple[Any, ...]
    others: tuple[Any, ...] | None = None


def normal(seed: int, *shape: int) -> jax.Array:
    """Standard normal numbers."""
    return jax.random.normal(jax.random.key(seed), shape, jnp.float32)


def slope(function: Callable[..., jax.Array]) -> Callable[..., Any]:
    """A small step down the gradient of a function's sum of squares, by its first argument."""

    def step(params: Any, *others: Any) -> Any:
        gradient = jax.grad(lambda p: jnp.square(function(p, *others)).mean())(params)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient)

    return step


def choices() -> dict[str, Callable[[], Choice]]:
    """What is measured, by what is chosen and for what, in the order of `docs/performance.md`."""
    return {
        "corner by corner: cnn2's first layer": lambda: pooled_layer(1, 28),
        "corner by corner: cnn5's first layer": lambda: pooled_layer(3, 32),
        **{
            f"row by row: {channels} channels of {side} x {side}": partial(rows, channels, side)
            for channels, side in ((8, 32), (16, 16), (32, 8))
        },
        **{
            f"kernel transposed first: [{size}, {outputs}] by [{size}, {columns}]": partial(
                transposed, size, outputs, columns
            )
            for size, outputs, columns in ((9, 8, 12544), (27, 8, 16384), (1568, 10, 64))
        },
        **{
            f"flat arrays: Adam, [{size}, {outputs}]": partial(flat_optimiser, size, outputs)
            for size, outputs in ((1568, 10), (3072, 16))
        },
        "patches written in place": patches_in_place,
        "examples as rows: mlp's first layer": examples_as_rows,
    }


def pooled_layer(channels: int, side: int) -> Choice:
    """The corners of pooling windows as maps of their own, or all pixels in their places."""
    params = {"kernel": normal(0, 3, 3, channels, 8), "bias": normal(1, 8)}

    def in_turn(params: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        maps = convolutions.convolution(params["kernel"], images)
        return jax.nn.relu(layers.max_pool(layers.add_bias(params, maps)))

    return Choice(
        slope(pooled_convolution),
        slope(in_turn),
        (params, normal(2, channels, side, side, BATCH)),
    )


def rows(channels: int, side: int) -> Choice:
    """A patch matrix of one row of the image at a time, or of the whole."""
    kernel, maps = normal(0, 3, 3, channels, channels) / 9, normal(1, channels, side, side, BATCH)

    def whole(kernel: jax.Array, maps: jax.Array) -> jax.Array:
        patches = convolutions.patches(convolutions.padded(maps, 3), 3, side, side)
        products = layers.product(kernel.reshape(-1, channels), patches)
        return products.reshape(channels, side, side, BATCH)

    def by(convolution: Callable[..., jax.Array]) -> Callable[..., Any]:
        return slope(lambda both: convolution(*both))

    return Choice(
        by(convolutions.row_by_row),
        by(whole),
        ((kernel, maps),),
    )


def transposed(size: int, outputs: int, columns: int) -> Choice:
    """A kernel transposed in memory before its product, or by it."""
    return Choice(
        lambda kernel, x: kernel + 1e-3 * layers.product(kernel, x)[:, 0],
        lambda kernel, x: kernel + 1e-3 * (kernel.T @ x)[:, 0],
        (normal(0, size, outputs), normal(1, size, columns)),
    )


def flat_optimiser(*shape: int) -> Choice:
    """Adam on arrays of one axis, as a step of updates carries them, or on a kernel [D, O]."""
    adam = optax.adam(1e-3)
    x = normal(1, shape[0], BATCH)

    def update(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        params, state = carry
        gradient = x @ layers.product(params, x).T
        with jax.numpy_dtype_promotion("standard"):
            updates, state = adam.update(gradient, state)
        return params + updates, state

    def flat(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        shaped = jax.tree.map(lambda x, y: x.reshape(y.shape), carry, start)
        return jax.tree.map(jnp.ravel, update(shaped))

    params = normal(0, *shape)
    start = (params, adam.init(params))
    return Choice(flat, update, (jax.tree.map(jnp.ravel, start),), (start,))


def patches_in_place() -> Choice:
    """A patch matrix written tap by tap into one array, or slices stacked."""
    images = normal(1, 1, 30, 30, BATCH)

    def in_place(kernel: jax.Array, images: jax.Array) -> jax.Array:
        matrix = jnp.zeros((9, 1, 28, 28, BATCH), jnp.float32)
        for tap in range(9):
            row, column = divmod(tap, 3)
            seen = images[None, :, row : row + 28, column : column + 28]
            matrix = lax.dynamic_update_slice_in_dim(matrix, seen, tap, 0)
        return layers.product(kernel, matrix.reshape(9, -1))

    def stacked(kernel: jax.Array, images: jax.Array) -> jax.Array:
        return layers.product(kernel, convolutions.patches(images, 3, 28, 28))

    return Choice(slope(in_place), slope(stacked), (normal(0, 9, 8), images))


def examples_as_rows() -> Choice:
    """The first product of `mlp`, with examples as the rows that datasets have, or as columns."""
    images = jax.random.randint(jax.random.key(1), (BATCH, 3072), 0, 255).astype(jnp.uint8)

    def as_rows(kernel: jax.Array, images: jax.Array) -> jax.Array:
        return images.astype(jnp.float32) @ kernel

    def as_columns(kernel: jax.Array, images: jax.Array) -> jax.Array:
        return layers.product(kernel, images.astype(jnp.float32).T)

    return Choice(
        slope(as_rows),
        slope(as_columns),
        (normal(0, 3072, 16), images),
    )


def in_a_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function repeated, each time on what came out: XLA lowers less well inside loops."""

    def run(carry: Any, *others: Any) -> Any:
        return lax.scan(lambda x, _: (function(x, *others), None), carry, None, length=REPEATS)[0]

    return jax.jit(run)


def measure(choice: Choice) -> dict[str, float]:
    """Microseconds of both, and how much faster ours is; each ran once before."""
    runs = {
        "ours": (in_a_loop(choice.ours), choice.arguments),
        "other": (in_a_loop(choice.other), choice.others or choice.arguments),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for count in range(ROUNDS + 1):
        for name, (run, arguments) in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run(*arguments))
            seconds[name] += [time.perf_counter() - start] if count else []
    times = {name: 1e6 * statistics.median(x) / REPEATS for name, x in seconds.items()}
    return times | {"ratio": times["other"] / times["ours"]}


def as_table(results: dict[str, dict[str, float]]) -> Table:
    """The results for people."""
    table = Table(title="Microseconds, and how many times as fast ours is")
    for column in ("choice", "ours", "other", "ratio"):
        table.add_column(column, justify="left" if column == "choice" else "right")
    for name, row in results.items():
        table.add_row(name, f"{row['ours']:,.0f}", f"{row['other']:,.0f}", f"{row['ratio']:.2f}")
    return table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    arguments = parser.parse_args()
    protect_standard_streams()
    console = make_console(stderr=True)
    results = {}
    for name, make in choices().items():
        with console.status(name):
            results[name] = measure(make())
    if arguments.json:
        echo(to_json(results, indent=2))
    else:
        make_console(width=100).print(as_table(results))


if __name__ == "__main__":
    main()
