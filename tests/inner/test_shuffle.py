"""Every epoch visits each example once, in an order of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganno_env.inner import example_indices, shuffle

compiled = jax.jit(example_indices, static_argnums=(2, 3))


def stream(seed, start, count, size):
    return np.asarray(compiled(jax.random.key(seed), jnp.uint32(start), count, size))


@settings(max_examples=30, deadline=None)
@given(
    size=st.sampled_from([1, 2, 3, 64, 77, 300]),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 50),
)
def test_each_epoch_is_a_permutation(size, seed, epoch):
    assert sorted(stream(seed, epoch * size, size, size)) == list(range(size))


@settings(max_examples=20, deadline=None)
@given(
    size=st.sampled_from([8, 13, 120]),
    batch=st.sampled_from([1, 5, 8]),
    seed=st.integers(0, 2**31 - 1),
    start=st.integers(0, 500),
)
def test_batches_are_slices_of_the_stream(size, batch, seed, start):
    whole = stream(seed, 0, 600, size)
    pieces = [stream(seed, start + i * batch, batch, size) for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole[start : start + 3 * batch])


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


def numpys_stream(words, start, count, size):
    """Swap-or-not (Hoang et al., 2012) on Python's integers, round by round from the paper."""

    def mix(word):
        word = (word ^ (word >> 16)) * 0x85EBCA6B % 2**32
        word = (word ^ (word >> 13)) * 0xC2B2AE35 % 2**32
        return word ^ (word >> 16)

    for position in range(start, start + count):
        epoch, index = divmod(position, size)
        for one, other in words.tolist():
            # The round's key K_i: of a word's upper 24 bits, as a fraction of the size.
            fraction = np.float32(mix(epoch ^ one) >> 8) * np.float32(2.0**-24)
            offset = min(int(fraction * np.float32(size)), size - 1)
            partner = (offset - index) % size
            if mix(mix(max(index, partner) ^ other) ^ epoch) & 1:
                index = partner
        yield index


@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_cipher_is_the_published_one(size):
    key = jax.random.key(5)
    words = np.asarray(jax.random.bits(key, (shuffle.NUM_ROUNDS, 2), jnp.uint32))
    count = 2 * size + 40
    assert list(stream(5, 3, count, size)) == list(numpys_stream(words, 3, count, size))


@pytest.mark.parametrize("size", [1, 2, 3, 1000, shuffle.MAX_EXAMPLES - 1, shuffle.MAX_EXAMPLES])
def test_offsets_are_below_the_size_and_reach_its_end(size):
    words = jnp.array([0, 2**32 - 1], jnp.uint32)
    assert shuffle._below(words, jnp.uint32(size)).tolist() == [0, size - 1]
    assert shuffle.MAX_EXAMPLES == 2**24
