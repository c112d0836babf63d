"""The inner loop against plain loops with optax's own optimisers and stock convolutions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from ganno_env.inner import example_indices
from tests.small import small_env

BATCH, RATE, DECAY = 16, 3e-3, 0.05


class StockCnn2(nn.Module):
    channels: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(self.channels, (3, 3), name="convolution_0")(x))
        # Channel-major, as the project flattens: flax would put channels last.
        x = nn.max_pool(x, (2, 2), (2, 2)).transpose(0, 3, 1, 2)
        return nn.Dense(10, name="linear")(x.reshape(x.shape[0], -1))


def plain_loop(env, params, optimiser, indices):
    """A training loop that shares nothing with the inner loop but the dataset and the batches."""
    module = StockCnn2(params["convolution_0"]["bias"].shape[0])
    data = env.task.data
    mean, std = (f(np.asarray(data.train.inputs) / 255.0) for f in (np.mean, np.std))

    def loss(params, images, labels):
        pixels = (images.astype(jnp.float32) / 255.0 - mean) / std
        logits = module.apply({"params": params}, pixels.astype(jnp.float32))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def update(params, state, batch):
        images, labels = data.train.inputs[batch], data.train.targets[batch]
        value, gradient = jax.value_and_grad(loss)(params, images, labels)
        with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic mixes types
            updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    state, losses = optimiser.init(params), []
    for batch in indices:
        params, state, value = update(params, state, batch)
        losses.append(float(value))
    return params, losses


def inner_loop(env, state, rate, decay, indices):
    shape = (1, len(indices), env.num_layers)
    controls = {
        "learning_rate": jnp.broadcast_to(jnp.asarray(rate, jnp.float32), shape),
        "weight_decay": jnp.broadcast_to(jnp.asarray(decay, jnp.float32), shape),
    }
    return jax.tree.map(lambda x: x[0], jax.jit(env.inner.step)(state, controls, indices))


def batches(env, num_updates):
    count = num_updates * BATCH
    indices = example_indices(jax.random.key(7), jnp.uint32(0), count, env.task.data.train.size)
    return indices.reshape(num_updates, BATCH)


def assert_close(actual, expected, tolerance):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        dict(actual),
        dict(expected),
    )


@pytest.mark.parametrize(
    ("name", "plain", "num_updates"),
    [
        ("adam", optax.adamw(RATE, weight_decay=DECAY), 200),
        ("lamb", optax.lamb(RATE, weight_decay=DECAY), 50),
        ("lion", optax.lion(RATE / 10, b2=0.99, weight_decay=DECAY), 20),
        (
            "sgd",
            optax.chain(
                optax.trace(0.9),
                optax.add_decayed_weights(DECAY),
                optax.scale_by_learning_rate(RATE),
            ),
            50,
        ),
    ],
)
def test_constant_rates_equal_optax(name, plain, num_updates):
    env = small_env(optimiser=name)
    state = env.inner.init(jax.random.key(3))
    indices = batches(env, num_updates)
    rate = RATE / 10 if name == "lion" else RATE
    after, metrics, _ = inner_loop(env, state, rate, DECAY, indices)
    params, losses = plain_loop(env, state.params, plain, indices)
    assert losses[-1] < 0.9 * losses[0]  # it learned, so that equality means something
    np.testing.assert_allclose(metrics.train_loss, np.mean(losses), rtol=1e-3)
    # Lion takes signs, so a rounding error can be as large as a step.
    assert_close(after.params, params, 2e-3 if name == "lion" else 1e-3)
    assert int(after.num_updates) == num_updates


def test_sgd_without_decay_equals_optax_sgd():
    env = small_env(optimiser="sgd")
    state = env.inner.init(jax.random.key(3))
    indices = batches(env, 30)
    after, _, _ = inner_loop(env, state, RATE, 0.0, indices)
    params, _ = plain_loop(env, state.params, optax.sgd(RATE, momentum=0.9), indices)
    assert_close(after.params, params, 1e-4)


def test_each_layer_moves_at_its_own_rate():
    env = small_env()
    state = env.inner.init(jax.random.key(0))
    indices = batches(env, 5)
    after, _, _ = inner_loop(env, state, [0.0, RATE], DECAY, indices)
    assert_close(after.params["convolution_0"], state.params["convolution_0"], 0.0)
    moved = np.abs(after.params["linear"]["kernel"] - state.params["linear"]["kernel"])
    assert moved.max() > RATE


def test_a_schedule_is_followed_at_every_update():
    env = small_env()
    state = env.inner.init(jax.random.key(0))
    indices = batches(env, 20)
    schedule = optax.cosine_decay_schedule(RATE, 20)
    with jax.numpy_dtype_promotion("standard"):
        rates = jnp.stack([schedule(jnp.arange(20))] * 2, axis=1)
    after, _, _ = inner_loop(env, state, rates, DECAY, indices)
    params, _ = plain_loop(env, state.params, optax.adamw(schedule, weight_decay=DECAY), indices)
    assert_close(after.params, params, 1e-4)


def test_steps_are_pieces_of_one_run():
    env = small_env()
    state = env.inner.init(jax.random.key(0))
    indices = batches(env, 10)
    whole, _, _ = inner_loop(env, state, RATE, DECAY, indices)
    half, _, _ = inner_loop(env, state, RATE, DECAY, indices[:5])
    pieces, _, _ = inner_loop(env, half, RATE, DECAY, indices[5:])
    assert_close(pieces.params, whole.params, 1e-6)
