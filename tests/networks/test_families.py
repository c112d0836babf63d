"""Residual networks and the transformer against Flax, with weights copied."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from benchmarks.stock_flax import ResNet18
from ganno_env.networks import build
from ganno_env.types import InputSpec

IMAGES = jax.random.normal(jax.random.key(1), (3, 16, 16, 3))


def as_flax_resnet18(params, state):
    """Our layers' parameters and running statistics under Flax's automatic names."""
    new_params, new_stats = {}, {}

    def put(scope_params, scope_stats, number, layer, prefix=""):
        layer_params, layer_state = params[layer], state[layer]
        scope_params[f"Conv_{number}"] = {"kernel": layer_params[f"{prefix}kernel"]}
        scope_params[f"BatchNorm_{number}"] = {
            "scale": layer_params[f"{prefix}scale"],
            "bias": layer_params[f"{prefix}bias"],
        }
        scope_stats[f"BatchNorm_{number}"] = {
            "mean": layer_state[f"{prefix}mean"],
            "var": layer_state[f"{prefix}variance"],
        }

    put(new_params, new_stats, 0, "stem")
    for i in range(8):
        name = f"stage_{i // 2}_block_{i % 2}_convolution"
        block_params, block_stats = {}, {}
        put(block_params, block_stats, 0, f"{name}_0")
        put(block_params, block_stats, 1, f"{name}_1")
        if "shortcut_kernel" in params[f"{name}_1"]:
            put(block_params, block_stats, 2, f"{name}_1", "shortcut_")
        new_params[f"ResidualBlock_{i}"] = block_params
        new_stats[f"ResidualBlock_{i}"] = block_stats
    new_params["Dense_0"] = params["linear"]
    return {"params": new_params, "batch_stats": new_stats}


@pytest.mark.parametrize("train", [True, False])
def test_resnet18_equals_flax(train):
    network = build("resnet18", InputSpec((16, 16, 3)), 10, {"width": 0.0625})
    params, state = jax.jit(network.init)(jax.random.key(0))
    # Statistics and norms that are not their initial values, so that their use shows.
    state = jax.tree.map(lambda x: 0.5 * x + 0.1, state)
    params = jax.tree.map(lambda x: x * 1.5, params)
    logits, new_state = jax.jit(network.apply, static_argnums=3)(params, state, IMAGES, train)
    apply = jax.jit(partial(ResNet18(4, 10).apply, mutable=["batch_stats"]), static_argnums=2)
    expected, changed = apply(as_flax_resnet18(params, state), IMAGES, train)
    np.testing.assert_allclose(logits, expected, rtol=2e-3, atol=2e-3)
    ours = as_flax_resnet18(params, new_state)["batch_stats"]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
        ours,
        jax.tree.map(jnp.asarray, dict(changed["batch_stats"])),
    )


@pytest.mark.parametrize(
    ("name", "agents"), [("resnet9", 9), ("resnet18", 18), ("vit", 8), ("cnn2", 2), ("cnn5", 5)]
)
def test_the_number_of_agents(name, agents):
    assert len(build(name, InputSpec((32, 32, 3)), 10).layers) == agents


def test_resnet9_has_two_blocks_around_which_its_input_goes():
    """With its blocks' last norms at 0, a block is the identity (its input is not negative)."""
    network = build("resnet9", InputSpec((16, 16, 3)), 10, {"width": 0.0625})
    params, state = jax.jit(network.init)(jax.random.key(0))
    for block in ("block_0_convolution_1", "block_1_convolution_1"):
        params[block]["scale"] = jnp.zeros_like(params[block]["scale"])
    logits, _ = jax.jit(network.apply, static_argnums=3)(params, state, IMAGES, False)

    def layer(name, x):
        x = nn.Conv(params[name]["kernel"].shape[-1], (3, 3), use_bias=False).apply(
            {"params": {"kernel": params[name]["kernel"]}}, x
        )
        return nn.relu(x / np.sqrt(1 + 1e-5))

    x = layer("convolution_0", IMAGES)
    for name in ("convolution_1", "convolution_2", "convolution_3"):
        x = nn.max_pool(layer(name, x), (2, 2), (2, 2))
    expected = x.mean((1, 2)) @ params["linear"]["kernel"] + params["linear"]["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_attention_equals_flax():
    network = build(
        "vit", InputSpec((16, 16, 3)), 10, {"depth": 1, "num_features": 16, "num_heads": 2}
    )
    params, state = network.init(jax.random.key(0))
    logits, _ = network.apply(params, state, IMAGES, False)

    def norm(layer, x):
        values = {"scale": layer["norm_scale"], "bias": layer["norm_bias"]}
        return nn.LayerNorm(epsilon=1e-6).apply({"params": values}, x)

    def dense(layer, x):
        return x @ layer["kernel"] + layer["bias"]

    patches = IMAGES.reshape(3, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(3, 16, 48)
    x = dense(params["embedding"], patches) + params["embedding"]["positions"]
    layer = params["block_0_attention"]
    kernels = layer["qkv_kernel"].reshape(16, 3, 2, 8)
    biases = layer["qkv_bias"].reshape(3, 2, 8)
    attention = {
        name: {"kernel": kernels[:, i], "bias": biases[i]}
        for i, name in enumerate(("query", "key", "value"))
    } | {"out": {"kernel": layer["out_kernel"].reshape(2, 8, 16), "bias": layer["out_bias"]}}
    module = nn.MultiHeadDotProductAttention(num_heads=2)
    x = x + module.apply({"params": attention}, norm(layer, x))
    layer = params["block_0_expand"]
    x = x + dense(params["block_0_contract"], nn.gelu(dense(layer, norm(layer, x))))
    expected = dense(params["head"], norm(params["head"], x).mean(1))
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_patches_must_divide_images():
    with pytest.raises(ValueError, match="patch_size=5 does not divide images of 16 x 16"):
        build("vit", InputSpec((16, 16, 3)), 10, {"patch_size": 5})
