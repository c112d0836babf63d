"""One training, in three loops: the environment's, optax's and (see `test_torch`) PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ganno.optax
from tests.ganno.traced import DECAY, EPSILON, RATE, golden, trace


@pytest.mark.slow
def test_the_trace_is_what_the_environment_does():
    now, then = trace(), golden()
    assert set(now) == set(then)
    for name in ("actions", "rates", "batches", "targets"):
        np.testing.assert_array_equal(now[name], then[name], err_msg=name)
    for name in set(now) - {"actions", "rates", "batches", "targets"}:
        np.testing.assert_allclose(now[name], then[name], rtol=1e-3, atol=1e-4, err_msg=name)


def logits(params, images):
    """The trace's network, by stock convolutions: channels come first as it is flattened."""
    layer = params["convolution_0"]
    maps = jax.lax.conv_general_dilated(
        images, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    maps = jax.nn.relu(maps + layer["bias"])
    n, height, width, channels = maps.shape
    pooled = maps.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
    flat = pooled.transpose(0, 3, 1, 2).reshape(n, -1)
    return flat @ params["linear"]["kernel"] + params["linear"]["bias"]


def test_optax_goes_the_same_way():
    """Every feature, action and rate, in one program that is traced once."""
    then = golden()
    params = {}
    for name, value in then.items():
        if name.startswith("weights/"):
            _, layer, part = name.split("/")
            params.setdefault(layer, {})[part] = jnp.asarray(value)
    optimiser = optax.chain(
        optax.scale_by_adam(eps=EPSILON),
        optax.add_decayed_weights(DECAY),
        ganno.optax.schedule_by_agents(total_steps=len(then["batches"]), learning_rate=RATE),
    )
    inputs, targets = jnp.asarray(then["inputs"]), jnp.asarray(then["targets"])

    def loss(params, batch):
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits(params, inputs[batch]), targets[batch]
        )
        return losses.mean()

    traces = []

    @jax.jit
    def step(params, state, batch):
        traces.append(batch)
        value, gradient = jax.value_and_grad(loss)(params, batch)
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
            updates, state = optimiser.update(gradient, state, params, value=value, other=1)
        return optax.apply_updates(params, updates), state

    state = optimiser.init(params)
    for batch in jnp.asarray(then["batches"]):
        params, state = step(params, state, batch)
    history = ganno.optax.history(state, params)
    np.testing.assert_allclose(history.features, then["features"], atol=1e-4)
    np.testing.assert_array_equal(history.actions, then["actions"])
    np.testing.assert_array_equal(history.rates, then["rates"])
    assert len(traces) == 1
    shown = optax.tree_utils.tree_get(state, "learning_rate")
    assert [shown[name] for name in history.layers] == pytest.approx(then["rates"][-1].tolist())
