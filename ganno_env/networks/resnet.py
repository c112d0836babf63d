"""Residual networks with batch norm: an agent for each convolution and one for the linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import jax
from jaxtyping import Array, Float
from pydantic import Field

from ganno_env.networks import inputs, layers, norms
from ganno_env.networks.convolutions import convolution as convolve
from ganno_env.types import (
    InputSpec,
    LayerParams,
    LayerSpec,
    Network,
    NetworkState,
    Params,
    PRNGKey,
)

FourSizes = Annotated[Sequence[layers.Size], Field(min_length=4, max_length=4)]

SHORTCUT = "shortcut_"
"""What the names of a 1x1 shortcut's parameters begin with, in its block's last convolution."""


class Convolution(NamedTuple):
    """A 3x3 convolution with batch norm, and what stands around it.

    Attributes:
        name: the layer's.
        inputs, outputs: channels.
        stride: of the convolution.
        pool: whether 2x2 max-pooling follows the ReLU.
        opens: whether a residual block begins here: its input is kept for the shortcut.
        closes: whether a block ends here: the shortcut is added before the ReLU.
        shortcut: where a block ends, its 1x1 shortcut's (inputs, stride), if it needs one.
    """

    name: str
    inputs: int
    outputs: int
    stride: int = 1
    pool: bool = False
    opens: bool = False
    closes: bool = False
    shortcut: tuple[int, int] | None = None


def resnet9(
    input_spec: InputSpec,
    num_outputs: int,
    channels: FourSizes = (64, 128, 256, 512),
    width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:
    """ResNet-9: eight convolutions, two residual blocks among them, and a linear layer.

    Args:
        input_spec: images [H, W, C].
        num_outputs: the number of logits.
        channels: output channels of the four convolutions outside of blocks.
        width: multiplies every one of `channels`.
        lowering: how convolutions are computed; see `layers.resolve_lowering`.
    """
    *_, num_inputs = inputs.image_shape(input_spec)
    a, b, c, d = layers.scale_widths(channels, width)
    convolutions = (
        Convolution("convolution_0", num_inputs, a),
        Convolution("convolution_1", a, b, pool=True),
        *_block("block_0", b, b, 1),
        Convolution("convolution_2", b, c, pool=True),
        Convolution("convolution_3", c, d, pool=True),
        *_block("block_1", d, d, 1),
    )
    return _residual_network("resnet9", convolutions, num_outputs, lowering)


def resnet18(
    input_spec: InputSpec,
    num_outputs: int,
    channels: FourSizes = (64, 128, 256, 512),
    width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:
    """ResNet-18 (He et al., 2015) with the stem that small images get: 3x3 and no pooling.

    Seventeen convolutions, in four stages of two blocks after the stem, and a linear layer. A 1x1
    shortcut belongs to its block's last convolution.

    Args:
        input_spec: images [H, W, C].
        num_outputs: the number of logits.
        channels: output channels of the four stages.
        width: multiplies every one of `channels`.
        lowering: how convolutions are computed; see `layers.resolve_lowering`.
    """
    *_, num_inputs = inputs.image_shape(input_spec)
    sizes = layers.scale_widths(channels, width)
    convolutions = [Convolution("stem", num_inputs, sizes[0])]
    width_before = sizes[0]
    for stage, outputs in enumerate(sizes):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            convolutions += _block(f"stage_{stage}_block_{block}", width_before, outputs, stride)
            width_before = outputs
    return _residual_network("resnet18", tuple(convolutions), num_outputs, lowering)


def _block(name: str, inputs: int, outputs: int, stride: int) -> tuple[Convolution, Convolution]:
    needs_shortcut = inputs != outputs or stride != 1
    return (
        Convolution(f"{name}_convolution_0", inputs, outputs, stride, opens=True),
        Convolution(
            f"{name}_convolution_1",
            outputs,
            outputs,
            closes=True,
            shortcut=(inputs, stride) if needs_shortcut else None,
        ),
    )


def _residual_network(
    name: str,
    convolutions: Sequence[Convolution],
    num_outputs: int,
    lowering: layers.LoweringOption,
) -> Network:
    how = layers.resolve_lowering(lowering)

    def init(key: PRNGKey) -> tuple[Params, NetworkState]:
        *keys, linear_key = jax.random.split(key, len(convolutions) + 1)
        params: Params = {}
        network_state: NetworkState = {}
        for convolution, layer_key in zip(convolutions, keys, strict=True):
            params[convolution.name], network_state[convolution.name] = _init(
                layer_key, convolution
            )
        features = convolutions[-1].outputs
        params["linear"] = layers.init_linear(linear_key, features, num_outputs)
        return params, network_state

    def apply(
        params: Params, network_state: NetworkState, images: Float[Array, "N H W C"], train: bool
    ) -> tuple[Float[Array, "N K"], NetworkState]:
        x = kept = layers.to_feature_maps(images)
        new_state: NetworkState = {}
        for convolution in convolutions:
            kept = x if convolution.opens else kept
            x, new_state[convolution.name] = _apply(
                convolution,
                params[convolution.name],
                network_state[convolution.name],
                (x, kept),
                train,
                how,
            )
        return layers.linear(params["linear"], layers.global_average_pool(x)).T, new_state

    specs = [LayerSpec(convolution.name, "convolutional") for convolution in convolutions]
    return Network(name, (*specs, LayerSpec("linear", "linear")), init, apply)


def _init(key: PRNGKey, convolution: Convolution) -> tuple[LayerParams, dict[str, Array]]:
    params, state = _init_normalised(key, convolution.inputs, convolution.outputs, 3)
    if convolution.shortcut is None:
        return params, state
    key = jax.random.fold_in(key, 1)
    extra = _init_normalised(key, convolution.shortcut[0], convolution.outputs, 1)
    more_params, more_state = ({SHORTCUT + k: v for k, v in tree.items()} for tree in extra)
    return params | more_params, state | more_state


def _init_normalised(
    key: PRNGKey, inputs: int, outputs: int, kernel_size: int
) -> tuple[LayerParams, dict[str, Array]]:
    kernel = layers.init_convolution(key, inputs, outputs, kernel_size)["kernel"]
    norm, statistics = norms.init_batch_norm(outputs)
    return {"kernel": kernel} | norm, statistics


def _apply(
    convolution: Convolution,
    params: LayerParams,
    state: dict[str, Array],
    inputs: tuple[Float[Array, "C H W N"], Float[Array, "C2 H2 W2 N"]],
    train: bool,
    how: layers.Lowering,
) -> tuple[Float[Array, "O H3 W3 N"], dict[str, Array]]:
    """One convolution, and the end of its block where it ends one; `inputs` are (x, kept)."""
    x, kept = inputs
    x = convolve(params["kernel"], x, convolution.stride, how)
    x, new_state = norms.batch_norm(params, state, x, train)
    if convolution.shortcut is not None:
        own_params, own_state = (_without_prefix(tree) for tree in (params, state))
        kept = convolve(own_params["kernel"], kept, convolution.shortcut[1], how)
        kept, own_state = norms.batch_norm(own_params, own_state, kept, train)
        new_state = new_state | {SHORTCUT + k: v for k, v in own_state.items()}
    x = jax.nn.relu(x + kept if convolution.closes else x)
    return layers.max_pool(x) if convolution.pool else x, new_state


def _without_prefix(tree: dict[str, Array]) -> dict[str, Array]:
    return {k.removeprefix(SHORTCUT): v for k, v in tree.items() if k.startswith(SHORTCUT)}
