"""Our parameters as counterparts in other libraries have them."""

from __future__ import annotations

import numpy as np

from benchmarks.sizes import NUM_HEADS, PATCH_SIZE


def as_flax(network, input_spec, params):
    """The variables of the Flax module, under the names that Flax gives its parts."""
    layers = [params[layer.name] for layer in network.layers]
    if network.name == "resnet9":
        return {"params": _flax_resnet9(layers)}
    if network.name in ("vit", "transformer"):
        return {"params": _flax_transformer(layers, input_spec)}
    convolutions = [layer for layer in layers if layer["kernel"].ndim == 4]
    linear = layers[len(convolutions) :]
    channels = layers[len(convolutions) - 1]["kernel"].shape[-1] if convolutions else 3
    linear[0] = linear[0] | {"kernel": _channels_last(linear[0]["kernel"], channels)}
    return {
        "params": {f"Conv_{i}": layer for i, layer in enumerate(convolutions)}
        | {f"Dense_{i}": layer for i, layer in enumerate(linear)}
    }


def _channels_last(kernel, channels):
    """A linear layer's kernel for flattened maps [H, W, C], from that for [C, H, W]."""
    rows, num_outputs = kernel.shape
    return kernel.reshape(channels, -1, num_outputs).swapaxes(0, 1).reshape(rows, num_outputs)


def _flax_resnet9(layers):
    def convolutions(chosen):
        named = {}
        for i, layer in enumerate(chosen):
            named[f"Conv_{i}"] = {"kernel": layer["kernel"]}
            named[f"BatchNorm_{i}"] = {"scale": layer["scale"], "bias": layer["bias"]}
        return named

    outside = convolutions([layers[i] for i in (0, 1, 4, 5)])
    blocks = {f"ResidualBlock_{i}": convolutions(layers[j : j + 2]) for i, j in ((0, 2), (1, 6))}
    return outside | blocks | {"Dense_0": layers[-1]}


def _norm(layer):
    return {"scale": layer["norm_scale"], "bias": layer["norm_bias"]}


def _dense(layer):
    return {"kernel": layer["kernel"], "bias": layer["bias"]}


def _flax_transformer(layers, input_spec):
    embedding, *blocks, head = layers
    variables = {"positions": embedding["positions"]}
    if "tokens" in embedding:
        variables["Embed_0"] = {"embedding": embedding["tokens"]}
    else:
        kernel = embedding["kernel"]
        shape = (PATCH_SIZE, PATCH_SIZE, input_spec.shape[-1], kernel.shape[-1])
        variables["Conv_0"] = {"kernel": kernel.reshape(shape), "bias": embedding["bias"]}
    for i in range(0, len(blocks), 3):
        attention, expand, contract = blocks[i : i + 3]
        variables[f"TransformerBlock_{i // 3}"] = {
            "LayerNorm_0": _norm(attention),
            "MultiHeadDotProductAttention_0": _flax_attention(attention),
            "LayerNorm_1": _norm(expand),
            "Dense_0": _dense(expand),
            "Dense_1": _dense(contract),
        }
    return variables | {"LayerNorm_0": _norm(head), "Dense_0": _dense(head)}


def _flax_attention(layer):
    features = layer["out_kernel"].shape[0]
    head = (NUM_HEADS, features // NUM_HEADS)
    kernels = layer["qkv_kernel"].reshape(features, 3, *head)
    biases = layer["qkv_bias"].reshape(3, *head)
    return {
        name: {"kernel": kernels[:, i], "bias": biases[i]}
        for i, name in enumerate(("query", "key", "value"))
    } | {"out": {"kernel": layer["out_kernel"].reshape(*head, -1), "bias": layer["out_bias"]}}


def as_torch(network, input_spec, params):
    """The PyTorch model's parameters in order: kernels turned round, and nothing else moved."""
    first = params[network.layers[0].name]
    arrays = [first["positions"]] if "positions" in first else []
    for spec in network.layers:
        arrays += _torch_layer(params[spec.name], input_spec)
    return arrays


def _torch_layer(layer, input_spec):
    if "tokens" in layer:
        return [layer["tokens"]]
    if "positions" in layer:
        shape = (PATCH_SIZE, PATCH_SIZE, input_spec.shape[-1], -1)
        return [_turned(layer["kernel"].reshape(shape)), layer["bias"]]
    keys = ("norm_scale", "norm_bias", "qkv_kernel", "qkv_bias", "out_kernel", "out_bias", "kernel",
            "scale", "bias", "shortcut_kernel", "shortcut_scale", "shortcut_bias")  # fmt: skip
    return [_turned(layer[key]) for key in keys if key in layer]


def _turned(array):
    """Outputs first, as PyTorch's kernels have them: [O, D] and [O, C, k, k]."""
    return np.moveaxis(array, (-1, -2), (0, 1)) if array.ndim == 4 else array.T
