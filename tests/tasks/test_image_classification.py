"""Images are normalised by the training split, and judged by cross-entropy and accuracy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganno_env import datasets, tasks
from ganno_env.tasks import measures
from ganno_env.tasks.image_classification import channel_statistics
from tests.datasets.conftest import toy_folder  # noqa: F401


def test_statistics_are_of_the_images_trained_on(toy_folder):  # noqa: F811
    dataset = datasets.load("toy", data_dir=toy_folder, train_size=7)
    mean, std = channel_statistics(np.asarray(dataset.train.inputs))
    pixels = np.asarray(dataset.train.inputs, np.float64) / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std((0, 1, 2)), rtol=1e-12)
    assert all(type(value) is float for value in (*mean, *std))
    task = tasks.build(dataset)
    for split in (dataset.train, dataset.validation, dataset.test):
        expected = (np.asarray(split.inputs, np.float64) / 255 - mean) / std
        np.testing.assert_allclose(task.prepare(split.inputs), expected, atol=1e-5)


def test_statistics_of_a_channel_that_never_varies():
    images = np.zeros((3, 2, 2, 2), np.uint8)
    images[..., 1] = 51
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((0.0, 0.2))
    assert std == (1.0, 1.0)


def test_a_task_built_while_tracing_is_not_traced(toy_folder):  # noqa: F811
    @jax.jit
    def prepared(images):
        return tasks.build(datasets.load("toy", data_dir=toy_folder)).prepare(images)

    images = jnp.zeros((1, 4, 4, 1), jnp.uint8)
    task = tasks.build(datasets.load("toy", data_dir=toy_folder))
    np.testing.assert_array_equal(prepared(images), jax.jit(task.prepare)(images))


def test_measures_equal_optax_on_indices():
    logits = jax.random.normal(jax.random.key(0), (6, 5, 7))
    targets = jax.random.randint(jax.random.key(1), (6, 5), 0, 7)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    np.testing.assert_allclose(measures.cross_entropy(logits, targets), expected, rtol=1e-5)
    right = np.asarray(logits).argmax(-1) == np.asarray(targets)
    np.testing.assert_array_equal(measures.correct(logits, targets), right)


def test_the_loss_and_who_is_right_share_one_cross_entropy():
    logits, targets = jnp.ones((8, 10)), jnp.zeros(8, jnp.int32)

    def both(logits, targets):
        return measures.cross_entropy(logits, targets), measures.correct(logits, targets)

    def exponentials(function):
        return jax.jit(function).lower(logits, targets).compile().as_text().count("exponential(")

    assert exponentials(both) == exponentials(measures.cross_entropy)
