"""Layers as pure functions, and how they are lowered.

Inside a network, feature maps are channel-major with the batch last, [C, H, W, N]: the batch is
the contiguous axis, so that a shifted slice, a pooling window and an activation are all plain
vector loads. Kernels keep Flax's shapes ([k, k, C, O] and [D, O]).

Convolutions have a module of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float
from pydantic import Field

from ganno_env.types import LayerParams, PRNGKey

Lowering: TypeAlias = Literal["matmul", "convolution"]
LoweringOption: TypeAlias = Literal["auto", "matmul", "convolution"]

LARGEST_SIZE = 2**16
"""Of a layer: more channels or units than anyone trains here."""
MOST_BLOCKS = 2**10
Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
Sizes = Annotated[Sequence[Size], Field(min_length=1)]
Width = Annotated[float, Field(gt=0)]
"""Multiplies the size of every layer."""

_kernel_init = jax.nn.initializers.lecun_normal()


def resolve_lowering(lowering: LoweringOption = "auto") -> Lowering:
    """The lowering of convolutions to use: for "auto", the faster one of the default backend."""
    if lowering != "auto":
        return lowering
    return "matmul" if jax.default_backend() == "cpu" else "convolution"


def scale_widths(widths: Sequence[int], width: float) -> tuple[int, ...]:
    """Each layer's number of channels or units, times `width`; at least 1.

    Raises:
        ValueError: if one of them is too large.
    """
    scaled = tuple(max(1, round(min(size * width, 2.0 * LARGEST_SIZE))) for size in widths)
    if max(scaled) > LARGEST_SIZE:
        raise ValueError(
            f"width={width!r} makes layers of more than {LARGEST_SIZE} channels or units of "
            f"{max(widths)}; choose a smaller one"
        )
    return scaled


def to_feature_maps(x: Float[Array, "N *HW C"]) -> Float[Array, "C *HW N"]:
    """From the layout of datasets to that of networks."""
    return x.transpose(x.ndim - 1, *range(1, x.ndim - 1), 0)


def flatten(x: Float[Array, "C *HW N"]) -> Float[Array, "D N"]:
    """Feature maps to feature vectors."""
    return x.reshape(-1, x.shape[-1])


def init_linear(key: PRNGKey, num_inputs: int, num_outputs: int) -> LayerParams:
    """Flax's initial values: LeCun-normal kernel [D, O], zero bias [O]."""
    return {
        "kernel": _kernel_init(key, (num_inputs, num_outputs), jnp.float32),
        "bias": jnp.zeros((num_outputs,), jnp.float32),
    }


def linear(params: LayerParams, x: Float[Array, "D N"]) -> Float[Array, "O N"]:
    """An affine map of each example's features."""
    return product(params["kernel"], x) + params["bias"][:, None]


@jax.custom_vjp
def product(kernel: Float[Array, "D O"], x: Float[Array, "D M"]) -> Float[Array, "O M"]:
    """`kernel.T @ x`, with the small kernel transposed in memory first.

    XLA's product on a CPU takes an operand as it lies or transposed, the latter up to a third
    slower. It would fold the transposition into the product, were it not for the barrier.
    """
    return lax.optimization_barrier(kernel.T) @ x


def _product_backward(operands: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    kernel, x = operands
    return lax.dot_general(x, cotangent, (((1,), (1,)), ((), ()))), kernel @ cotangent


product.defvjp(lambda kernel, x: (product(kernel, x), (kernel, x)), _product_backward)


def init_convolution(
    key: PRNGKey, num_inputs: int, num_outputs: int, kernel_size: int = 3
) -> LayerParams:
    """Flax's initial values: LeCun-normal kernel [k, k, C, O], zero bias [O]."""
    shape = (kernel_size, kernel_size, num_inputs, num_outputs)
    return {
        "kernel": _kernel_init(key, shape, jnp.float32),
        "bias": jnp.zeros((num_outputs,), jnp.float32),
    }


def add_bias(params: LayerParams, x: Float[Array, "C H W N"]) -> Float[Array, "C H W N"]:
    """Adds each channel's bias."""
    return x + params["bias"][:, None, None, None]


def max_pool(x: Float[Array, "C H W N"]) -> Float[Array, "C H2 W2 N"]:
    """The maximum over 2x2 windows with stride 2; an odd last row or column is dropped.

    Two maxima of strided slices: their gradients are selects and pads, where a `reduce_window`'s
    is a slow `select_and_scatter`. Where values tie, the gradient is shared between them.
    """
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    rows = jnp.maximum(x[:, 0:height:2], x[:, 1:height:2])
    return jnp.maximum(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


def global_average_pool(x: Float[Array, "C H W N"]) -> Float[Array, "C N"]:
    """The mean over space."""
    return x.mean((1, 2))
