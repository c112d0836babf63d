"""Plain convolutional networks: 3x3 convolutions with pooling, then one linear layer."""

from __future__ import annotations

import jax

from ganno_env.networks import inputs, layers
from ganno_env.networks.convolutions import convolution
from ganno_env.networks.pooled import pooled_convolution
from ganno_env.types import InputSpec, LayerSpec, Network

SMALLEST_POOLED_SIDE = 4
"""Maps are pooled as long as their shorter side has at least this many pixels."""


def cnn(
    input_spec: InputSpec,
    num_outputs: int,
    channels: layers.Sizes,
    width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:
    """3x3 convolutions, each with ReLU and 2x2 max-pooling, and a linear layer on what is left.

    There are len(channels) + 1 agents. Small images are pooled fewer times.

    Args:
        input_spec: images [H, W, C].
        num_outputs: the number of logits.
        channels: the number of output channels of each convolution.
        width: multiplies every one of `channels`.
        lowering: how convolutions are computed; see `layers.resolve_lowering`.
    """
    rows, columns, num_inputs = inputs.image_shape(input_spec)
    how = layers.resolve_lowering(lowering)
    channels = layers.scale_widths(channels, width)
    names = tuple(f"convolution_{i}" for i in range(len(channels)))
    pooled = []
    for _ in names:
        pooled.append(min(rows, columns) >= SMALLEST_POOLED_SIDE)
        rows, columns = (rows // 2, columns // 2) if pooled[-1] else (rows, columns)
    num_features = rows * columns * channels[-1]

    def init(key):
        keys = jax.random.split(key, len(names) + 1)
        sizes = (num_inputs, *channels)
        params = {
            name: layers.init_convolution(keys[i], sizes[i], sizes[i + 1])
            for i, name in enumerate(names)
        }
        return params | {"linear": layers.init_linear(keys[-1], num_features, num_outputs)}, {}

    def apply(params, network_state, images, train):
        del train
        x = layers.to_feature_maps(images)
        for i, (name, pool) in enumerate(zip(names, pooled, strict=True)):
            if i == 0 and pool and how == "matmul":
                x = pooled_convolution(params[name], x)
                continue
            x = convolution(params[name]["kernel"], x, lowering=how)
            x = layers.add_bias(params[name], x)
            x = jax.nn.relu(layers.max_pool(x) if pool else x)
        return layers.linear(params["linear"], layers.flatten(x)).T, network_state

    specs = (*(LayerSpec(name, "convolutional") for name in names), LayerSpec("linear", "linear"))
    return Network(f"cnn{len(names) + 1}", specs, init, apply)
