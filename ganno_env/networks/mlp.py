"""Multi-layer perceptrons."""

from __future__ import annotations

import math

import jax

from ganno_env.networks import inputs, layers
from ganno_env.types import InputSpec, LayerSpec, Network


def mlp(
    input_spec: InputSpec,
    num_outputs: int,
    widths: layers.Sizes = (64, 64),
    width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:
    """Linear layers with ReLU between them, on flattened inputs: len(widths) + 1 agents.

    Args:
        input_spec: numbers of any shape.
        num_outputs: how many numbers it gives.
        widths: the number of units of each hidden layer.
        width: multiplies every one of `widths`.
        lowering: accepted for uniformity; there is no convolution here.
    """
    num_inputs = math.prod(inputs.numbers_shape(input_spec))
    layers.resolve_lowering(lowering)
    sizes = (num_inputs, *layers.scale_widths(widths, width), num_outputs)
    names = tuple(f"linear_{i}" for i in range(len(sizes) - 1))

    def init(key):
        keys = jax.random.split(key, len(names))
        params = {
            name: layers.init_linear(k, sizes[i], sizes[i + 1])
            for i, (name, k) in enumerate(zip(names, keys, strict=True))
        }
        return params, {}

    def apply(params, network_state, x, train):
        del train
        x = layers.flatten(layers.to_feature_maps(x))
        for name in names[:-1]:
            x = jax.nn.relu(layers.linear(params[name], x))
        return layers.linear(params[names[-1]], x).T, network_state

    return Network("mlp", tuple(LayerSpec(name, "linear") for name in names), init, apply)
