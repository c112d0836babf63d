"""How many examples go through a network at once: as many as stay in a core's cache."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from ganno_env.types import Network

CACHE_BYTES = 2 * 2**20
"""What one pass may hold of its largest intermediate: about a core's second-level cache."""
ACCELERATOR_CHUNK = 1024
"""Examples a pass on an accelerator, which wants them many: a bound on memory, for evaluation."""


def chunk_size(network: Network, image_shape: tuple[int, int, int], batch_size: int) -> int:
    """The largest divisor of `batch_size` whose passes stay in cache, on a CPU.

    A batch of 64 32x32 colour images makes a patch matrix of 7 MB in the first convolution. Passing
    through it 16 images at a time, and adding up the gradients, was measured to be 1.8 times as
    fast on two cores, and 2.8 times at a batch of 128 (`docs/performance.md`).
    """
    if jax.default_backend() != "cpu":
        fitting = ACCELERATOR_CHUNK
    else:
        fitting = max(1, CACHE_BYTES // _largest_intermediate(network, image_shape))
    return max(d for d in range(1, batch_size + 1) if batch_size % d == 0 and d <= max(fitting, 1))


def _largest_intermediate(network: Network, image_shape: tuple[int, int, int]) -> int:
    """Bytes of the largest array that one image becomes on its way through the network."""
    params, state = jax.eval_shape(network.init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    jaxpr = jax.make_jaxpr(lambda p, s, x: network.apply(p, s, x, False))(params, state, image)
    return max(
        math.prod(variable.aval.shape) * variable.aval.dtype.itemsize
        for equation in jaxpr.eqns
        for variable in equation.outvars
    )
