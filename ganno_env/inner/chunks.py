"""How many examples go through a network at once: as many as stay in a core's cache."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax

from ganno_env.types import InputSpec, Network

CACHE_BYTES = 2 * 2**20
"""What one pass may hold of its largest intermediate: about a core's second-level cache."""
ACCELERATOR_CHUNK = 1024
"""Examples a pass on an accelerator, which wants them many: a bound on memory, for evaluation."""


class Footprint(NamedTuple):
    """Bytes that a forward pass holds.

    Attributes:
        largest: of one example's largest intermediate.
        total: of all of one example's intermediates.
        parameters: of the network's, and so of a gradient.
    """

    largest: int
    total: int
    parameters: int

    def traffic(self, batch_size: int, size: int, *, accumulates: bool) -> int:
        """Bytes moved between cache and memory as a batch passes in chunks of `size` examples.

        Intermediates beyond the cache are written and read again. Where gradients are added up,
        each chunk but the first reads its gradient and the sum, and writes the sum.
        """
        spilled = 2 * batch_size * self.total if size * self.largest > CACHE_BYTES else 0
        additions = batch_size // size - 1 if accumulates else 0
        return spilled + 3 * additions * self.parameters

    def cheapest(self, batch_size: int, *, accumulates: bool) -> int:
        """The divisor of `batch_size` with the least traffic, and of several the largest."""

        def cost(size: int) -> tuple[int, int]:
            return self.traffic(batch_size, size, accumulates=accumulates), -size

        return min(divisors(batch_size), key=cost)


def chunk_size(
    network: Network,
    input_spec: InputSpec,
    batch_size: int,
    *,
    accumulates: bool = True,
) -> int:
    """The divisor of `batch_size` whose passes move the fewest bytes, on a CPU; the largest such.

    A batch of 64 maps of eight channels at 16x16 makes a patch matrix of 4.7 MB. Passing 16 of them
    at a time, and adding up the gradients, leaves less to be written and read again
    (`docs/performance.md`).

    Args:
        network: what the batch passes through.
        input_spec: what the network takes.
        batch_size: examples in the batch.
        accumulates: whether a gradient is added up over the chunks, which has a price.
    """
    if jax.default_backend() != "cpu":
        return max(d for d in divisors(batch_size) if d <= ACCELERATOR_CHUNK)
    return footprint(network, input_spec).cheapest(batch_size, accumulates=accumulates)


def divisors(number: int) -> list[int]:
    """All of them, in ascending order."""
    return [d for d in range(1, number + 1) if number % d == 0]


@functools.lru_cache(maxsize=64)
def footprint(network: Network, input_spec: InputSpec) -> Footprint:
    """What a network's forward pass holds: only arrays that grow with the batch are intermediates.

    Others, such as a transposed kernel, are the same for any number of examples.
    """
    params, state = jax.eval_shape(network.init, jax.random.key(0))

    def sizes(num_examples: int) -> list[int]:
        inputs = input_spec.batch(num_examples)
        jaxpr = jax.make_jaxpr(lambda p, s, x: network.apply(p, s, x, True))(params, state, inputs)
        return [
            math.prod(variable.aval.shape) * variable.aval.dtype.itemsize
            for equation in jaxpr.eqns
            for variable in equation.outvars
        ]

    # Of 2 and 3 examples, because with one alone axes may be dropped.
    growth = [more - fewer for fewer, more in zip(sizes(2), sizes(3), strict=True)]
    parameters = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(params))
    return Footprint(largest=max(growth), total=sum(growth), parameters=parameters)
