"""How replicas of the inner loop run: the one place that chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax

Function = TypeVar("Function", bound=Callable)


def replicated(function: Function) -> Function:
    """`function`, with the fastest meaning of `jax.vmap` for it on the default backend.

    On CPU, `vmap` turns every matrix product of the loop into a batched one, which is slower than
    the same products one after the other, so a batch of replicas is a `lax.map`: one core's caches
    hold one replica at a time (`docs/performance.md`). More cores are used by sharding replicas
    over devices. On accelerators, batching is what fills the machine.
    """
    if jax.default_backend() == "cpu":
        return jax.custom_batching.sequential_vmap(function)
    return function
