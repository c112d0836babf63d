"""Convolutions of feature maps [C, H, W, N], and how they are lowered.

On CPU, XLA's convolutions inside loops are an order of magnitude slower than matrix products, so
a convolution becomes k*k shifted slices, the rows of a patch matrix, and one product
(`docs/performance.md` has the figures). Where that matrix would leave the cache, it is made and
multiplied one row of the image at a time. On accelerators a convolution stays one, which their
libraries do best.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ganno_env.networks.layers import Lowering, product

LARGEST_PATCHES = 8 * 2**20
"""Bytes of a patch matrix that is made as a whole: about a core's share of the last cache."""


def convolution(
    kernel: Float[Array, "k k C O"],
    x: Float[Array, "C H W N"],
    stride: int = 1,
    lowering: Lowering = "matmul",
) -> Float[Array, "O H2 W2 N"]:
    """A convolution with zero padding of (k - 1) / 2 on each side, for odd k."""
    return _CONVOLUTIONS[lowering](kernel, x, stride)


def _as_convolution(kernel: Array, x: Array, stride: int) -> Array:
    pad = (kernel.shape[0] - 1) // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("CHWN", "HWIO", "CHWN"),
    )


def _as_matmul(kernel: Array, x: Array, stride: int) -> Array:
    size = kernel.shape[0]
    if stride == 1 and size > 1 and size * size * x.nbytes > LARGEST_PATCHES:
        return row_by_row(kernel, x)
    height, width = (-(-side // stride) for side in x.shape[1:3])
    rows = patches(padded(x, size), size, height, width, stride)
    return product(_flat(kernel), rows).reshape(kernel.shape[-1], height, width, x.shape[-1])


_CONVOLUTIONS: dict[Lowering, Callable[[Array, Array, int], Array]] = {
    "matmul": _as_matmul,
    "convolution": _as_convolution,
}


def padded(x: Float[Array, "C H W N"], kernel_size: int) -> Float[Array, "C H2 W2 N"]:
    """Maps with zeros around them, as many as a kernel of odd size reaches over the edge."""
    pad = (kernel_size - 1) // 2
    return jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))) if pad else x


def patches(
    x: Float[Array, "C H W N"], kernel_size: int, height: int, width: int, stride: int = 1
) -> Float[Array, "kkC HWN"]:
    """The patch matrix: what each tap of a kernel sees at height x width places of padded maps."""
    ends = (stride * (height - 1) + 1, stride * (width - 1) + 1)
    taps = [
        x[:, i : i + ends[0] : stride, j : j + ends[1] : stride]
        for i in range(kernel_size)
        for j in range(kernel_size)
    ]
    return jnp.stack(taps).reshape(len(taps) * x.shape[0], height * width * x.shape[-1])


@jax.custom_vjp
def row_by_row(
    kernel: Float[Array, "k k C O"], x: Float[Array, "C H W N"]
) -> Float[Array, "O H W N"]:
    """A convolution of stride 1 whose patch matrix is made and multiplied row by row.

    The gradient makes its own, of the cotangent, which serves kernel and input alike: the input's
    is a convolution of it with the kernel turned round.
    """

    def row(y: Array, i: Array) -> tuple[Array, None]:
        outputs = product(flat, _row_patches(around, i, width))
        return _put_row(y, outputs, i), None

    (size, _, _, num_outputs), (_, height, width, batch) = kernel.shape, x.shape
    flat, around = _flat(kernel), padded(x, size)
    empty = jnp.zeros((num_outputs, height, width, batch), x.dtype)
    return lax.scan(row, empty, jnp.arange(height))[0]


def _row_by_row_backward(
    operands: tuple[Array, Array], cotangent: Float[Array, "O H W N"]
) -> tuple[Float[Array, "k k C O"], Float[Array, "C H W N"]]:
    kernel, x = operands
    size, _, num_inputs, num_outputs = kernel.shape
    around = padded(cotangent, size)
    turned = _flat(kernel[::-1, ::-1].swapaxes(2, 3))

    def row(gradients: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
        to_kernel, to_x = gradients
        rows = _row_patches(around, i, x.shape[2])
        inputs = lax.dynamic_slice_in_dim(x, i, 1, 1).reshape(num_inputs, -1)
        to_kernel = to_kernel + lax.dot_general(rows, inputs, (((1,), (1,)), ((), ())))
        return (to_kernel, _put_row(to_x, product(turned, rows), i)), None

    zeros = (jnp.zeros_like(turned), jnp.zeros_like(x))
    (to_turned, to_x), _ = lax.scan(row, zeros, jnp.arange(x.shape[1]))
    to_kernel = to_turned.reshape(size, size, num_outputs, num_inputs)[::-1, ::-1]
    return to_kernel.swapaxes(2, 3), to_x


row_by_row.defvjp(lambda kernel, x: (row_by_row(kernel, x), (kernel, x)), _row_by_row_backward)


def _flat(kernel: Float[Array, "k k C O"]) -> Float[Array, "kkC O"]:
    return kernel.reshape(-1, kernel.shape[-1])


def _row_patches(around: Array, i: Array, width: int) -> Float[Array, "kkC WN"]:
    size = around.shape[2] - width + 1
    return patches(lax.dynamic_slice_in_dim(around, i, size, 1), size, 1, width)


def _put_row(maps: Float[Array, "C H W N"], row: Float[Array, "C WN"], i: Array) -> Array:
    channels, _, width, batch = maps.shape
    return lax.dynamic_update_slice_in_dim(maps, row.reshape(channels, 1, width, batch), i, 1)
