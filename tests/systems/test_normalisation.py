import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from systems.normalisation import (
    MINIMUM_STD,
    denormalise,
    initial_statistics,
    normalise,
    normalise_observations,
    standard_deviation,
    update_statistics,
)

FLOATS = st.floats(-1e3, 1e3, width=32)
ANYTHING = st.floats(width=32, allow_nan=True, allow_infinity=True)


def batches(elements):
    batch = st.tuples(st.integers(1, 5), st.integers(1, 3)).flatmap(
        lambda shape: arrays(np.float32, (*shape, 2), elements=elements)
    )
    return st.lists(batch, min_size=1, max_size=5)


def test_begin_at_mean_0_and_standard_deviation_1():
    statistics = initial_statistics((3,))
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(normalise(statistics, x), x)
    np.testing.assert_array_equal(normalise_observations(statistics, x, None), x)
    np.testing.assert_array_equal(denormalise(statistics, x), x)


@given(batches(FLOATS))
def test_equal_numpys_over_the_whole_stream(stream):
    statistics = initial_statistics((2,))
    for batch in stream:
        statistics = update_statistics(statistics, batch)
    everything = np.concatenate([batch.reshape(-1, 2) for batch in stream]).astype(np.float64)
    scale = np.abs(everything).max() + 1e-6
    assert statistics.count == len(everything)
    np.testing.assert_allclose(statistics.mean / scale, everything.mean(0) / scale, atol=1e-5)
    variance = everything.var(0)
    np.testing.assert_allclose(statistics.variance / scale**2, variance / scale**2, atol=1e-5)


@given(batches(ANYTHING))
def test_stay_finite_whatever_comes(stream):
    statistics = initial_statistics((2,))
    for batch in stream:
        statistics = update_statistics(statistics, batch)
        assert np.isfinite(normalise_observations(statistics, batch, 10.0)).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(statistics))
    assert (standard_deviation(statistics) >= MINIMUM_STD).all()


def test_a_feature_that_never_varied_is_cut_off_when_it_does():
    statistics = update_statistics(initial_statistics((1,)), jnp.zeros((8, 1)))
    assert normalise_observations(statistics, jnp.ones((1,)), 10.0) == 10.0
    assert normalise_observations(statistics, jnp.zeros((1,)), 10.0) == 0.0


def test_scalar_statistics_take_batches_of_any_shape():
    batch = jnp.arange(24.0).reshape(2, 3, 4)
    statistics = update_statistics(initial_statistics(), batch)
    np.testing.assert_allclose(statistics.mean, 11.5)
    np.testing.assert_allclose(standard_deviation(statistics), np.arange(24).std(), rtol=1e-6)
    np.testing.assert_allclose(
        denormalise(statistics, normalise(statistics, batch)), batch, atol=1e-4
    )
