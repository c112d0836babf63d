import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from systems.ppo.normalisation import (
    denormalise,
    initial_statistics,
    normalise,
    normalise_observations,
    normalised_features,
    standard_deviation,
    update_statistics,
)
from tests.toys import Recall

FLOATS = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
ANYTHING = st.floats(width=32, allow_nan=True, allow_infinity=True)
update = jax.jit(update_statistics, static_argnums=2)


def batches(elements):
    # Of few shapes, each of which is compiled once.
    batch = st.sampled_from([(1, 1, 2), (5, 3, 2)]).flatmap(
        lambda shape: arrays(np.float32, shape, elements=elements).map(jnp.asarray)
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
        statistics = update(statistics, batch)
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
        statistics = update(statistics, batch)
        assert np.isfinite(normalise_observations(statistics, batch, None)).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(statistics))


@given(batches(FLOATS), arrays(np.float32, (4, 2), elements=FLOATS))
def test_normalise_as_numpy_does(stream, x):
    statistics = initial_statistics((2,))
    for batch in stream:
        statistics = update(statistics, batch)
    everything = np.concatenate([batch.reshape(-1, 2) for batch in stream]).astype(np.float64)
    mean, std = everything.mean(0), everything.std(0)
    # Far above float32's rounding of the values, and its square within what float32 has.
    clear = std > np.maximum(1e-3 * np.abs(everything).max(0), 1e-15)
    constant = (everything == everything[0]).all(0)
    expected = (x - mean) / np.where(clear, std, 1.0)
    actual = normalise(statistics, jnp.asarray(x))
    tolerance = 1e-2 * (1 + np.abs(expected))
    assert (np.abs(actual - expected) < tolerance)[:, clear].all()
    assert (actual[:, constant] == 0).all()


@given(FLOATS, st.lists(st.sampled_from([1, 7, 7000]), min_size=1, max_size=4), FLOATS)
def test_what_never_varied_is_0_whatever_it_is_later(constant, sizes, later):
    statistics = initial_statistics((1,))
    for size in sizes:
        statistics = update(statistics, jnp.full((size, 1), constant))
    assert statistics.mean == np.float32(constant)
    assert normalise_observations(statistics, jnp.full((1,), later), 10.0) == 0.0


@pytest.mark.parametrize("scale", [1e-8, 1e-5, 1.0, 1e6])
def test_variation_is_told_from_rounding_in_any_unit(scale):
    """A constant that two programs round apart by a bit has no variance; a tenth of it does."""
    value = np.float32(scale)
    rounded = np.array([[value], [np.nextafter(value, np.float32(np.inf))]] * 50)
    statistics = update(initial_statistics((1,)), jnp.asarray(rounded))
    assert normalise(statistics, jnp.full((1,), 2 * value)) == 0.0
    varied = jnp.array([[value], [1.1 * value]] * 50, jnp.float32)
    statistics = update(initial_statistics((1,)), varied)
    np.testing.assert_allclose(normalise(statistics, varied[:2]), [[-1.0], [1.0]], rtol=1e-3)


@given(batches(FLOATS))
def test_columns_that_are_not_normalised_come_out_as_they_are(stream):
    statistics = both = initial_statistics((2,))
    for batch in stream:
        statistics = update(statistics, batch, (False, True))
        both = update(both, batch)
    assert (statistics.mean[0], statistics.variance[0]) == (0.0, 1.0)
    np.testing.assert_allclose(statistics.mean[1], both.mean[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics.variance[1], both.variance[1], rtol=1e-4, atol=1e-6)
    normalised = normalise_observations(statistics, stream[0], None)
    np.testing.assert_array_equal(normalised[..., 0], stream[0][..., 0])


def test_an_environment_that_does_not_say_has_all_columns_normalised():
    assert normalised_features(Recall()) == (True, True, True)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.0])
def test_value_targets_without_variance_stay_of_their_size(constant):
    """Their normalised value is 0, and every value stands for the one that there is."""
    targets = jnp.full((64, 4, 2), constant)
    statistics = update(initial_statistics(), targets)
    np.testing.assert_array_equal(normalise(statistics, targets), 0.0)
    np.testing.assert_array_equal(normalise(statistics, jnp.float32(7.0)), 0.0)
    np.testing.assert_array_equal(denormalise(statistics, jnp.float32(7.0)), np.float32(constant))


def test_scalar_statistics_take_batches_of_any_shape():
    batch = jnp.arange(24.0).reshape(2, 3, 4)
    statistics = update(initial_statistics(), batch)
    np.testing.assert_allclose(statistics.mean, 11.5)
    np.testing.assert_allclose(standard_deviation(statistics), np.arange(24).std(), rtol=1e-6)
    np.testing.assert_allclose(
        denormalise(statistics, normalise(statistics, batch)), batch, atol=1e-4
    )


@pytest.mark.parametrize("x64", [False, True])
def test_stay_in_float32_whatever_jax_is_set_to(x64):
    with jax.enable_x64(x64), jax.numpy_dtype_promotion("strict"):
        statistics = initial_statistics((2,))
        updated = update_statistics(statistics, jnp.ones((3, 2), jnp.float32), (True, False))
        assert jax.tree.map(jax.typeof, updated) == jax.tree.map(jax.typeof, statistics)
        assert normalise_observations(updated, jnp.ones((3, 2)), 10.0).dtype == np.float32
