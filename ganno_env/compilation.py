"""Compiling functions that close over datasets."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def lift(function: Callable[..., Any], *args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """`function` without closures: the same function of `(data, *args)`, and that data.

    Args:
        function: pure, with positional arguments that are trees of arrays.
        args: what it will be called with, or their like: structures, shapes and dtypes count.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    tree = jax.tree.structure(shapes)

    def lifted(data: list[Any], *args: Any) -> Any:
        # Nothing else in JAX evaluates a program with other constants.
        flat = jax.core.eval_jaxpr(closed.jaxpr, data, *jax.tree.leaves(args))  # noqa: TID251
        return jax.tree.unflatten(tree, flat)

    return lifted, closed.consts


def jit_with_data(
    function: Callable[..., Any],
    *,
    donate_argnums: Sequence[int] = (),
    out_shardings: Any = None,
    data_sharding: jax.sharding.Sharding | None = None,
    compiler_options: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """`jax.jit`, but arrays that `function` closes over are arguments of the compiled program.

    `jit` would write a dataset that an environment holds into the program as a constant: copied,
    hashed and compiled with it. Here neither compile time nor the program grows with the data, and
    each device holds it once, whatever the number of programs.

    Args:
        function: pure, with positional arguments that are trees of arrays.
        donate_argnums: arguments whose memory the results may take.
        out_shardings: as `jax.jit`'s.
        data_sharding: where the arrays closed over should live; where they are, if not given. Its
            devices may be those of several processes, each of which closes over the same data.
        compiler_options: as `jax.jit`'s.
    """
    programs: dict[Any, Callable[..., Any]] = {}

    def trace(*args: Any) -> Callable[..., Any]:
        run, constants = lift(function, *args)
        data = constants if data_sharding is None else _placed(constants, data_sharding)
        donated = tuple(argnum + 1 for argnum in donate_argnums)
        kwargs = {} if out_shardings is None else {"out_shardings": out_shardings}
        options = None if compiler_options is None else dict(compiler_options)
        compiled = jax.jit(run, donate_argnums=donated, compiler_options=options, **kwargs)
        return lambda *args: compiled(data, *args)

    def call(*args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        signature = (tree, *map(jax.typeof, leaves))
        if signature not in programs:
            programs[signature] = trace(*args)
        return programs[signature](*args)

    return call


_PLACED: weakref.WeakValueDictionary[tuple[int, jax.sharding.Sharding], jax.Array]
_PLACED = weakref.WeakValueDictionary()
"""Where data of programs are, by the original array's id and the sharding, while a program that
uses them lives."""


def _placed(data: list[Any], sharding: jax.sharding.Sharding) -> list[Any]:
    """`data` on the devices of `sharding`: one copy there for all programs."""
    if not sharding.is_fully_addressable:
        _check_alike(data)
    return [_place(x, sharding) for x in data]


def _place(x: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    key = (id(x), sharding)
    # What may change in place, as NumPy's arrays may, is not taken for what it was.
    kept = _PLACED.get(key) if isinstance(x, jax.Array) else None
    if kept is not None:
        return kept
    if sharding.is_fully_addressable:
        placed = jax.device_put(x, sharding)
    else:
        # Each process puts its own copy onto its own devices.
        placed = jax.make_array_from_callback(np.shape(x), sharding, np.asarray(x).__getitem__)
    if isinstance(x, jax.Array):
        _PLACED[key] = placed
        weakref.finalize(x, _PLACED.pop, key, None)
    return placed


def _check_alike(data: list[Any]) -> None:
    """Refuses data that differ between processes, of which it compares a checksum."""
    checksum = 0
    for x in data:
        checksum = zlib.crc32(np.asarray(x).tobytes(), checksum)
    if len(set(multihost_utils.process_allgather(np.int32(checksum >> 1)).tolist())) > 1:
        raise ValueError("the processes have different data; give each the same files")
