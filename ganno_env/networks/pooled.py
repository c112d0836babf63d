"""A convolution of images, pooled at once: each corner of the pooling windows is a map of its own.

A pooling window's four pixels are computed as four contiguous maps, so that the maximum and its
gradient are passes over whole maps. Of pixels in their places, that gradient has to be interleaved.
It pays where the input needs no gradient, whose own interleaving costs more: for the images
themselves (`benchmarks.lowering` measures it).
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ganno_env.networks import layers
from ganno_env.networks.convolutions import padded, patches
from ganno_env.types import LayerParams

CORNERS = tuple(itertools.product((0, 1), repeat=2))
"""Row and column of each pixel of a window."""

Corners = tuple[Array, Array, Array, Array]


def pooled_convolution(
    params: LayerParams, images: Float[Array, "C H W N"]
) -> Float[Array, "O H2 W2 N"]:
    """`relu(max_pool(add_bias(params, convolution(params["kernel"], images))))`."""
    size, num_outputs = params["kernel"].shape[0], params["kernel"].shape[-1]
    height, width = images.shape[1] // 2, images.shape[2] // 2
    kernel, around = params["kernel"].reshape(-1, num_outputs), padded(images, size)
    corners = (
        layers.product(kernel, patches(around[:, row:, column:], size, height, width, stride=2))
        for row, column in CORNERS
    )
    pooled = _largest(tuple(corners), params["bias"])
    return pooled.reshape(num_outputs, height, width, images.shape[-1])


@jax.custom_vjp
def _largest(corners: Corners, bias: Float[Array, " O"]) -> Float[Array, "O M"]:
    """The largest of four, plus the bias, or 0."""
    upper_left, upper_right, lower_left, lower_right = corners
    left, right = jnp.maximum(upper_left, lower_left), jnp.maximum(upper_right, lower_right)
    return jax.nn.relu(jnp.maximum(left, right) + bias[:, None])


def _largest_forward(
    corners: Corners, bias: Array
) -> tuple[Float[Array, "O M"], tuple[Corners, Array]]:
    largest = _largest(corners, bias)
    return largest, (corners, largest)


def _largest_backward(
    residuals: tuple[Corners, Array], cotangent: Float[Array, "O M"]
) -> tuple[Corners, Float[Array, " O"]]:
    """As `layers.max_pool` has it, in four passes; written out, XLA makes twice as many of it."""
    (upper_left, upper_right, lower_left, lower_right), largest = residuals
    cotangent = jnp.where(largest > 0, cotangent, 0)
    left, right = jnp.maximum(upper_left, lower_left), jnp.maximum(upper_right, lower_right)
    to_left, to_right = cotangent * _share(left, right), cotangent * _share(right, left)
    corners = (
        to_left * _share(upper_left, lower_left),
        to_right * _share(upper_right, lower_right),
        to_left * _share(lower_left, upper_left),
        to_right * _share(lower_right, upper_right),
    )
    return corners, cotangent.sum(1)


def _share(x: Array, other: Array) -> Array:
    """The derivative by `x` of the larger of the two: half where they tie."""
    return jnp.where(x > other, 1.0, jnp.where(x == other, 0.5, 0.0)).astype(x.dtype)


_largest.defvjp(_largest_forward, _largest_backward)
