"""Every epoch visits each example once, in an order of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ganno_env.inner import example_indices


def stream(seed, start, count, size):
    return np.asarray(example_indices(jax.random.key(seed), jnp.uint32(start), count, size))


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 50))
def test_each_epoch_is_a_permutation(size, seed, epoch):
    assert sorted(stream(seed, epoch * size, size, size)) == list(range(size))


@settings(max_examples=20, deadline=None)
@given(
    size=st.integers(8, 120),
    batch=st.integers(1, 8),
    seed=st.integers(0, 2**31 - 1),
    start=st.integers(0, 500),
)
def test_batches_are_slices_of_the_stream(size, batch, seed, start):
    whole = stream(seed, 0, start + 3 * batch, size)
    pieces = [stream(seed, start + i * batch, batch, size) for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole[start:])


def test_epochs_and_keys_have_orders_of_their_own():
    orders = stream(0, 0, 5 * 100, 100).reshape(5, 100)
    others = stream(1, 0, 5 * 100, 100).reshape(5, 100)
    agreements = [
        (a == b).mean()
        for i, a in enumerate([*orders, *others])
        for b in [*orders, *others][i + 1 :]
    ]
    # Two random permutations of 100 agree in one place on average.
    assert np.mean(agreements) < 0.02
    assert max(agreements) < 0.1


def test_positions_are_uniform():
    """Where an example comes in its epoch is uniform over epochs and keys (chi-square)."""
    size, epochs, seeds = 20, 40, 25
    orders = np.stack([stream(s, 0, epochs * size, size) for s in range(seeds)])
    orders = orders.reshape(-1, size)
    counts = np.stack([np.bincount(orders[:, place], minlength=size) for place in range(size)])
    expected = len(orders) / size
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = (size - 1) ** 2
    # Six standard deviations of a chi-square's normal approximation.
    assert abs(statistic - freedom) < 6 * np.sqrt(2 * freedom)


def test_neighbours_are_parted():
    """Examples next to each other in storage don't stay so: classes often are, in files."""
    order = stream(3, 0, 1000, 1000)
    assert np.mean(np.abs(np.diff(order)) == 1) < 0.01
