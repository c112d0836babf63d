"""The lowerings against XLA's own convolution and pooling, in values and gradients."""

from __future__ import annotations

import typing
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from ganno_env.networks import convolutions, layers
from ganno_env.networks.convolutions import convolution
from ganno_env.networks.pooled import pooled_convolution


def reference_convolution(kernel, x, stride):
    """Batch first and channels last, as everyone else has it."""
    pad = (kernel.shape[0] - 1) // 2
    y = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        kernel,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y.transpose(3, 1, 2, 0)


def reference_pool(x):
    return nn.max_pool(x.transpose(3, 1, 2, 0), (2, 2), (2, 2)).transpose(3, 1, 2, 0)


@partial(jax.jit, static_argnums=0)
def values_and_gradients(function, *arguments):
    """Also the gradients of a sum with random weights, by each argument."""
    values, gradients = jax.vjp(function, *arguments)
    return values, gradients(jax.random.normal(jax.random.key(9), values.shape))


def assert_same_function(function, reference, *arguments):
    values, gradients = values_and_gradients(function, *arguments)
    expected, wanted = values_and_gradients(reference, *arguments)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("lowering", typing.get_args(layers.Lowering))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(3, 8, 8, 4), (1, 7, 5, 2), (2, 1, 1, 3)])
def test_convolutions(lowering, stride, size, shape):
    x = jax.random.normal(jax.random.key(0), shape)
    kernel = jax.random.normal(jax.random.key(1), (size, size, shape[0], 6))
    assert_same_function(
        lambda k, x: convolution(k, x, stride, lowering),
        lambda k, x: reference_convolution(k, x, stride),
        kernel,
        x,
    )


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(3, 8, 8, 4), (1, 7, 5, 2), (2, 1, 1, 3)])
def test_convolutions_row_by_row(monkeypatch, size, shape):
    """As patch matrices beyond the cache are made."""
    monkeypatch.setattr(convolutions, "LARGEST_PATCHES", 0)
    x = jax.random.normal(jax.random.key(0), shape)
    kernel = jax.random.normal(jax.random.key(1), (size, size, shape[0], 6))
    jaxpr = str(jax.make_jaxpr(convolution)(kernel, x))
    assert f"length={shape[1]}" in jaxpr
    assert_same_function(convolution, lambda k, x: reference_convolution(k, x, 1), kernel, x)


@pytest.mark.parametrize("shape", [(3, 8, 8, 4), (1, 7, 5, 2), (2, 2, 3, 3)])
def test_a_pooled_convolution_is_both_in_turn(shape):
    """In values and gradients, where pixels of a window tie too: of whole numbers, many do."""
    sizes = {"images": shape, "kernel": (3, 3, shape[0], 6), "bias": (6,)}
    generator = np.random.default_rng(0)
    params = {k: jnp.asarray(generator.integers(-1, 2, s), jnp.float32) for k, s in sizes.items()}
    images = params.pop("images")

    def in_turn(params):
        maps = layers.add_bias(params, convolution(params["kernel"], images))
        return jax.nn.relu(layers.max_pool(maps))

    pooled, expected = pooled_convolution(params, images), in_turn(params)
    np.testing.assert_array_equal(pooled, expected)
    weights = jax.random.normal(jax.random.key(9), expected.shape)
    actual, wanted = (
        jax.jit(jax.grad(lambda p, f=f: (f(p) * weights).sum()))(params)
        for f in (lambda p: pooled_convolution(p, images), in_turn)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), actual, wanted
    )


@pytest.mark.parametrize("shape", [(3, 8, 8, 4), (1, 7, 5, 2), (2, 2, 3, 3)])
def test_max_pool(shape):
    x = jax.random.normal(jax.random.key(0), shape)
    assert_same_function(layers.max_pool, reference_pool, x)


def test_the_lowering_follows_the_backend():
    assert layers.resolve_lowering("auto") == "matmul"  # tests run on CPU
    assert layers.resolve_lowering("convolution") == "convolution"


@pytest.mark.parametrize(("width", "expected"), [(0.25, (8, 16)), (0.001, (1, 1)), (2, (64, 128))])
def test_widths(width, expected):
    assert layers.scale_widths((32, 64), width) == expected
