"""A perceptron without a hidden layer, as a network: one agent."""

import math

from ganno_env.networks import NETWORKS, layers
from ganno_env.types import InputSpec, LayerSpec, Network


def softmax_regression(
    input_spec: InputSpec, num_outputs: int, width: layers.Width = 1.0,
    lowering: layers.LoweringOption = "auto",
) -> Network:  # fmt: skip
    """One linear layer on flattened inputs; there is nothing that a width could multiply."""
    size = math.prod(input_spec.shape)

    def apply(params, network_state, inputs, train):
        flat = inputs.reshape(len(inputs), size)
        return layers.linear(params["linear"], flat.T).T, network_state

    return Network(
        "softmax_regression",
        (LayerSpec("linear", "linear"),),
        lambda key: ({"linear": layers.init_linear(key, size, num_outputs)}, {}),
        apply,
    )


NETWORKS.add("softmax_regression", softmax_regression)
