"""Loss, accuracy and perplexity of tokens, recomputed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env import datasets, networks, tasks
from ganno_env.inner import loss


@pytest.fixture(scope="module")
def task():
    return tasks.build(datasets.load("text", train_size=64, validation_size=70, test_size=10))


@pytest.fixture(scope="module")
def network(task):
    options = {"width": 0.25, "depth": 1}
    return networks.build("transformer", task.input_spec, task.num_outputs, options)


def test_a_network_is_given_tokens_and_gives_as_many_logits(task):
    assert task.name == "text"
    assert (task.input_spec.shape, task.input_spec.num_tokens) == ((64,), 98)
    assert task.num_outputs == 98
    prepared = task.prepare(task.data.train.inputs)
    assert prepared.dtype == jnp.int32
    np.testing.assert_array_equal(prepared, task.data.train.inputs)


def test_an_examples_measures_are_means_over_its_places(task):
    logits = 3 * jax.random.normal(jax.random.key(0), (5, 64, 98))
    targets = task.data.train.targets[:5]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    np.testing.assert_allclose(task.loss(logits, targets), losses.mean(1), rtol=1e-5)
    accuracies = task.metrics["accuracy"].per_example(logits, targets)
    right = np.asarray(logits).argmax(-1) == np.asarray(targets)
    np.testing.assert_allclose(accuracies, right.mean(1), rtol=1e-6)


def test_evaluation_equals_numpy(task, network, monkeypatch):
    monkeypatch.setattr(loss, "chunk_size", lambda *_, **__: 32)  # 70 are not a multiple of it
    params, state = network.init(jax.random.key(0))
    params = jax.tree.map(lambda x: 3 * x, params)
    split = task.data.validation
    value, metrics = jax.jit(lambda p: loss.evaluate(p, network, state, task, split))(params)
    logits = np.asarray(network.apply(params, state, task.prepare(split.inputs), False)[0])
    logits = logits.astype(np.float64).reshape(-1, 98)
    targets = np.asarray(split.targets).ravel()
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -log_probabilities[np.arange(len(targets)), targets].mean()
    assert set(metrics) == {"accuracy", "perplexity"}
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["perplexity"], np.exp(expected), rtol=1e-4)
    np.testing.assert_allclose(metrics["accuracy"], (logits.argmax(1) == targets).mean(), rtol=1e-5)


def test_a_batch_of_chunks_is_the_whole_batch(task, network, monkeypatch):
    params, state = network.init(jax.random.key(0))
    arguments = (params, network, state, task, jax.tree.map(lambda x: x[:12], task.data.train))

    def differentiate():  # anew, so that it is traced anew
        return jax.jit(lambda p: loss.batch_gradient(p, *arguments[1:]))(params)

    value, accuracy, _, gradient = differentiate()
    monkeypatch.setattr(loss, "chunk_size", lambda *_, **__: 4)
    in_chunks = differentiate()
    np.testing.assert_allclose(in_chunks[:2], (value, accuracy), rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), in_chunks[3], gradient
    )
