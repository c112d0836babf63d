"""Losses, accuracies and statistics against NumPy."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganno_env.inner import chunks, loss
from ganno_env.inner.statistics import layer_statistics
from ganno_env.networks import NETWORKS, build
from ganno_env.tasks import build as build_task
from ganno_env.tasks import measures
from ganno_env.tasks.image_classification import channel_statistics
from ganno_env.types import Batch, Dataset, InputSpec, LayerSpec, Network
from tests.inputs import IMAGES, input_spec_for
from tests.small import small_env


@pytest.fixture(scope="module")
def env():
    return small_env()


def logits_of(env, params, images):
    mean, std = channel_statistics(np.asarray(env.task.data.train.inputs))
    pixels = (np.asarray(images) / 255.0 - np.array(mean)) / np.array(std)
    return np.asarray(env.network.apply(params, {}, jnp.asarray(pixels, jnp.float32), False)[0])


@pytest.mark.parametrize("size", [1, 7, 256, 300])
def test_evaluation_is_the_mean_over_the_split(size):
    env = small_env(train_size=400)
    split = jax.tree.map(lambda x: x[:size], env.task.data.train)
    params, state = env.network.init(jax.random.key(0))
    value, metrics = loss.evaluate(params, env.network, state, env.task, split)
    assert set(metrics) == {"accuracy"}
    actual = (value, metrics["accuracy"])
    logits = logits_of(env, params, split.inputs).astype(np.float64)
    labels = np.asarray(split.targets)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -log_probabilities[np.arange(size), labels].mean()
    np.testing.assert_allclose(actual, (expected, (logits.argmax(1) == labels).mean()), rtol=1e-5)


def test_chunks_add_up_to_the_batch(env, monkeypatch):
    batch = jax.tree.map(lambda x: x[:16], env.task.data.train)
    params, state = env.network.init(jax.random.key(0))
    arguments = (params, env.network, state, env.task, batch)
    whole = loss.batch_gradient(*arguments)
    monkeypatch.setattr(chunks, "CACHE_BYTES", 5 * 9 * 16 * 4)
    assert chunks.chunk_size(env.network, env.task.input_spec, 16) == 4
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        loss.batch_gradient(*arguments),
        whole,
    )


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_a_small_networks_batch_passes_whole(shape):
    """Kernels don't grow with the batch, so they say nothing about how to cut it."""
    spec = InputSpec(shape)
    for width in (0.25, 1.0):
        assert chunks.chunk_size(build("mlp", spec, 10, {"width": width}), spec, 64) == 64


@given(
    largest=st.integers(1, 2**22),
    others=st.integers(0, 2**26),
    parameters=st.integers(1, 2**28),
    batch_size=st.integers(1, 512),
    accumulates=st.booleans(),
)
def test_chunks_never_move_more_bytes_than_the_whole_batch(
    largest, others, parameters, batch_size, accumulates
):
    held = chunks.Footprint(largest, largest + others, parameters)
    size = held.cheapest(batch_size, accumulates=accumulates)
    assert batch_size % size == 0
    traffic = [held.traffic(batch_size, n, accumulates=accumulates) for n in (size, batch_size)]
    assert traffic[0] <= traffic[1]
    if size < batch_size:
        # A smaller chunk is taken only for staying in the cache.
        assert size * largest <= chunks.CACHE_BYTES < batch_size * largest


def test_traffic_by_hand(monkeypatch):
    monkeypatch.setattr(chunks, "CACHE_BYTES", 40)
    held = chunks.Footprint(largest=10, total=30, parameters=7)
    # Four of ten bytes stay in the cache; of eight, all is written and read again.
    assert held.traffic(8, 4, accumulates=True) == 3 * 7
    assert held.traffic(8, 4, accumulates=False) == 0
    assert held.traffic(8, 8, accumulates=True) == 2 * 8 * 30
    assert held.traffic(8, 1, accumulates=True) == 7 * 3 * 7
    assert held.cheapest(8, accumulates=True) == 4
    assert chunks.divisors(12) == [1, 2, 3, 4, 6, 12]
    assert chunks.divisors(1) == [1]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_networks_footprint_is_known(name):
    spec = input_spec_for(name)
    network = build(name, spec, 10, {"width": 0.0625})
    held = chunks.footprint(network, spec)
    assert held.total >= held.largest >= 4 * 64
    assert 64 % chunks.chunk_size(network, spec, 64) == 0


SHAPES = {"digits": (8, 8, 1), "fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


@pytest.mark.parametrize("width", [0.125, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_chosen_chunk_costs_no_more_than_the_whole_batch(name, shape, width):
    """By counted bytes, and in operations: sums of gradients are few beside the products."""
    spec = InputSpec(SHAPES[shape]) if input_spec_for(name) is IMAGES else input_spec_for(name)
    network = build(name, spec, 10, {"width": width})
    held = chunks.footprint(network, spec)
    # One multiplication and addition for each parameter and example, forwards and twice back.
    least_operations = 6 * 64 * held.parameters / 4
    for accumulates in (True, False):
        size = chunks.chunk_size(network, spec, 64, accumulates=accumulates)
        costs = [held.traffic(64, n, accumulates=accumulates) for n in (size, 64)]
        assert costs[0] <= costs[1]
    additions = (64 // chunks.chunk_size(network, spec, 64) - 1) * held.parameters / 4
    assert additions <= 0.2 * least_operations


def test_intermediates_are_what_grows_with_the_batch():
    network = build("mlp", IMAGES, 10, {"widths": (32,)})
    held = chunks.footprint(network, IMAGES)
    assert held.parameters == 4 * (64 * 32 + 32 + 32 * 10 + 10)
    assert held.largest == 4 * 64
    assert held.total % 4 == 0
    assert held.total >= 4 * (64 + 32 + 32 + 10)


def test_statistics_equal_numpy(env):
    keys = jax.random.split(jax.random.key(0), 3)
    params, gradient, direction = (env.network.init(key)[0] for key in keys)
    names = env.inner.layer_names
    statistics = layer_statistics(names, params, gradient, direction)
    for i, name in enumerate(names):
        weights, slopes, updates = (
            np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree[name])])
            for tree in (params, gradient, direction)
        )
        expected = {
            "gradient_norm": np.linalg.norm(slopes),
            "update_norm": np.linalg.norm(updates),
            "weight_norm": np.linalg.norm(weights),
            "weight_mean": weights.mean(),
            "weight_variance": weights.var(),
        }
        for field, value in expected.items():
            np.testing.assert_allclose(getattr(statistics, field)[i], value, rtol=1e-4, atol=1e-7)


def test_a_logit_that_is_no_number_is_never_right():
    logits = jnp.array([[jnp.nan, 0.0], [jnp.inf, 0.0], [1.0, 0.0]])
    right = measures.correct(logits, jnp.array([0, 0, 0]))
    np.testing.assert_array_equal(right, [0.0, 0.0, 1.0])


def test_images_are_normalised_by_the_training_split(env):
    pixels = np.asarray(env.task.prepare(env.task.data.train.inputs))
    np.testing.assert_allclose([pixels.mean(), pixels.std()], [0.0, 1.0], atol=1e-3)


def test_a_batch_is_a_tree():
    batch = Batch(inputs=jnp.zeros((3, 2, 2, 1), jnp.uint8), targets=jnp.zeros(3, jnp.int32))
    assert batch.size == 3
    assert dataclasses.is_dataclass(batch)


def counting_network(keeps_state):
    """Logits of a single weight; it counts passes in training and tells training from the rest."""

    def apply(params, state, images, train):
        shift = 1.0 if train else 3.0
        score = images.mean((1, 2, 3)) * params["layer"]["weight"] * shift
        logits = jnp.stack([score, -score], axis=1)
        if not keeps_state:
            return logits, {}
        return logits, {"layer": {"passes": state["layer"]["passes"] + jnp.int32(train)}}

    def init(key):
        return {"layer": {"weight": jnp.float32(0.5)}}, (
            {"layer": {"passes": jnp.int32(0)}} if keeps_state else {}
        )

    return Network(name="counting", layers=(LayerSpec("layer", "linear"),), init=init, apply=apply)


@pytest.mark.parametrize("keeps_state", [True, False])
def test_training_and_evaluation_are_told_apart_and_a_kept_state_needs_its_batch_whole(
    keeps_state, monkeypatch
):
    monkeypatch.setattr(chunks, "CACHE_BYTES", 1)
    monkeypatch.setattr(loss, "chunk_size", lambda *args, **kwargs: 2)
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 1), np.uint8)
    split = Batch(inputs=jnp.asarray(images), targets=jnp.array([0, 1, 0, 1, 1, 0]))
    data = Dataset(name="noise", train=split, validation=split, test=split, num_classes=2)

    def prepare(inputs):  # round numbers in place of the split's own statistics
        return (inputs.astype(jnp.float32) / 255.0 - 0.5) / 0.25

    task = dataclasses.replace(build_task(data), prepare=prepare)
    network = counting_network(keeps_state)
    params, state = network.init(jax.random.key(0))
    score = (images.astype(np.float64).mean((1, 2, 3)) / 255.0 - 0.5) / 0.25 * 0.5

    def by_hand(score):
        wrong_way = np.where(np.asarray(split.targets) == 0, -2 * score, 2 * score)
        return np.log1p(np.exp(wrong_way)).mean(), (wrong_way < 0).mean()

    value, accuracy, new_state, gradient = loss.batch_gradient(params, network, state, task, split)
    np.testing.assert_allclose((value, accuracy), by_hand(score), rtol=1e-5)
    slope = (by_hand(score * 1.001)[0] - by_hand(score * 0.999)[0]) / (0.002 * 0.5)
    np.testing.assert_allclose(gradient["layer"]["weight"], slope, rtol=1e-4)
    assert new_state == ({"layer": {"passes": 1}} if keeps_state else {})
    measured, metrics = loss.evaluate(params, network, state, task, split)
    np.testing.assert_allclose((measured, metrics["accuracy"]), by_hand(3 * score), rtol=1e-5)
