"""The lowerings against XLA's own convolution and pooling, in values and gradients."""

from __future__ import annotations

import typing

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from ganno_env.networks import layers


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


def assert_same_function(function, reference, *arguments):
    """Same values, and the same gradients of a sum with random weights."""
    expected = reference(*arguments)
    weights = jax.random.normal(jax.random.key(9), expected.shape)
    np.testing.assert_allclose(function(*arguments), expected, rtol=1e-4, atol=1e-4)
    numbers = tuple(range(len(arguments)))
    for actual, wanted in zip(
        jax.grad(lambda *a: (function(*a) * weights).sum(), numbers)(*arguments),
        jax.grad(lambda *a: (reference(*a) * weights).sum(), numbers)(*arguments),
        strict=True,
    ):
        np.testing.assert_allclose(actual, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("lowering", typing.get_args(layers.Lowering))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(3, 8, 8, 4), (1, 7, 5, 2), (2, 1, 1, 3)])
def test_convolutions(lowering, stride, size, shape):
    x = jax.random.normal(jax.random.key(0), shape)
    kernel = jax.random.normal(jax.random.key(1), (size, size, shape[0], 6))
    assert_same_function(
        lambda k, x: layers.convolution(k, x, stride, lowering),
        lambda k, x: reference_convolution(k, x, stride),
        kernel,
        x,
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
