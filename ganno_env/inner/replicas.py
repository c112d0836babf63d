"""How replicas of the inner loop run: the one place that chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

from ganno_env.compilation import lift

Function = TypeVar("Function", bound=Callable)
Batch = Callable[[Callable[..., Any]], Callable[..., Any]]
"""A meaning of `jax.vmap` for functions of one argument."""


def replicated(function: Function) -> Function:
    """`function`, with the fastest meaning of `jax.vmap` for it on the default backend.

    On CPU, `vmap` turns every matrix product of the loop into a batched one, which is slower than
    the same products one after the other, so a batch of replicas is a `lax.map`: one core's caches
    hold one replica at a time (`docs/performance.md`). More cores are used by sharding replicas
    over devices. On accelerators, batching is what fills the machine.
    """
    return in_turn(function) if jax.default_backend() == "cpu" else side_by_side(function)


def in_turn(function: Function) -> Function:
    """`function`, of which `jax.vmap` makes a loop over the batch."""
    return _batched_by(lambda one: lambda batch: jax.lax.map(one, batch), function)


def side_by_side(function: Function) -> Function:
    """`function`, of which `jax.vmap` makes what it would, but that constants stay single."""
    return _batched_by(jax.vmap, function)


def _batched_by(batch: Batch, function: Function) -> Function:
    """`function` of arrays, with `batch` for `jax.vmap`, however deep in other transformations.

    A `cond` whose predicate differs between replicas, such as an auto-reset under `vmap`, hands
    its branches everything with a batch axis: constants too, of which
    `jax.custom_batching.sequential_vmap` cannot take any so, and a copy of the dataset for each
    replica. So what `function` closes over is lifted out of it, and one copy serves all replicas.
    """

    def call(*args: Any) -> Any:
        lifted, constants = lift(function, *args)
        run = jax.custom_batching.custom_vmap(lifted)

        @run.def_vmap
        def rule(_axis_size: int, batched: list[Any], *given: Any) -> Any:
            leaves, tree = jax.tree.flatten(given)
            varies = jax.tree.leaves(batched)
            for i, constant in enumerate(constants):
                # An array that is there already is the same in each replica.
                # A tracer is not, and JAX has no public name for it.
                is_there = not isinstance(constant, jax.core.Tracer)  # noqa: TID251
                if varies[i] and is_there:
                    leaves[i], varies[i] = constant, False

            def one(varying: list[Any]) -> Any:
                rest = iter(varying)
                now = [next(rest) if v else x for v, x in zip(varies, leaves, strict=True)]
                return lifted(*jax.tree.unflatten(tree, now))

            varying = [x for v, x in zip(varies, leaves, strict=True) if v]
            out = _batched_by(batch, batch(one))(varying) if varying else one([])
            return out, jax.tree.map(lambda _: bool(varying), out)

        return run(constants, *args)

    return cast(Function, call)
