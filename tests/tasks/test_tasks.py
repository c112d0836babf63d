"""Tasks by name: which there are, whom they fit, and one of one's own."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganno_env import datasets, networks, tasks
from ganno_env.inner import loss
from ganno_env.networks import NETWORKS
from ganno_env.tasks import TASKS
from ganno_env.types import Batch, Dataset, InputSpec, Metric, Task


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", train_size=200, validation_size=50, test_size=60)


@pytest.fixture(scope="module")
def text():
    return datasets.load("text", train_size=20, validation_size=10, test_size=10)


def brightness(dataset: Dataset) -> Task:
    """A regression: each image's mean pixel, right if within a twentieth."""

    def scaled(images):
        return images.astype(jnp.float32) / 255.0

    def with_targets(batch: Batch) -> Batch:
        return Batch(inputs=batch.inputs, targets=scaled(batch.inputs).mean((1, 2, 3)))

    splits = {
        name: with_targets(getattr(dataset, name)) for name in ("train", "validation", "test")
    }
    return Task(
        name=dataset.name,
        data=dataclasses.replace(dataset, **splits),
        input_spec=InputSpec(dataset.train.inputs.shape[1:]),
        num_outputs=1,
        prepare=scaled,
        loss=lambda outputs, targets: jnp.square(outputs[:, 0] - targets),
        metrics={
            "accuracy": Metric(
                lambda outputs, targets: (jnp.abs(outputs[:, 0] - targets) < 0.05).astype(
                    jnp.float32
                )
            ),
            "rmse": Metric(lambda o, t: jnp.square(o[:, 0] - t), of_mean=jnp.sqrt),
        },
    )


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(TASKS._members, "brightness", brightness)


def test_each_dataset_has_a_usual_task(digits, text):
    assert tasks.build(digits).name == "digits"
    assert tasks.build(text).name == "text"
    assert {spec.task for spec in datasets.DATASETS.values()} == set(TASKS)


def test_built_twice_it_is_one_object(digits):
    assert tasks.build(digits) is tasks.build(digits)
    assert tasks.build(digits) is not tasks.build(datasets.load("digits", train_size=100))


def test_a_task_that_does_not_fit_names_both(digits, text):
    with pytest.raises(ValueError, match="unknown task 'image_clasification'"):
        tasks.build(digits, "image_clasification")
    for dataset, name, message in (
        (
            digits,
            "language_modelling",
            r"it takes tokens \[N, T\].*not inputs uint8 \[N, 8, 8, 1\]",
        ),
        (
            text,
            "image_classification",
            r"with targets int32 \[N, 64\]; its usual task is 'language",
        ),
    ):
        with pytest.raises(ValueError, match=message) as error:
            tasks.build(dataset, name)
        assert f"task {name!r} does not fit dataset {dataset.name!r}" in str(error.value)


def test_a_task_without_accuracy_is_refused(digits):
    with pytest.raises(ValueError, match="needs a metric called 'accuracy'"):
        dataclasses.replace(tasks.build(digits), metrics={})


@pytest.mark.usefixtures("registered")
def test_a_task_of_ones_own_learns(digits):
    task = tasks.build(digits, "brightness")
    assert task.name == "digits_brightness"
    network = networks.build("mlp", task.input_spec, task.num_outputs, {"widths": (16,)})
    params, state = network.init(jax.random.key(0))

    @jax.jit
    def train(params):
        def one(_, params):
            *_, gradient = loss.batch_gradient(params, network, state, task, task.data.train)
            return jax.tree.map(lambda x, slope: x - 0.1 * slope, params, gradient)

        return jax.lax.fori_loop(0, 1000, one, params)

    measure = jax.jit(lambda p: loss.evaluate(p, network, state, task, task.data.validation))
    before, _ = measure(params)
    after, metrics = measure(train(params))
    assert after < 0.1 * before
    assert metrics["accuracy"] > 0.8
    np.testing.assert_allclose(metrics["rmse"], np.sqrt(after), rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_takes_images_or_tokens_and_says_which(name):
    specs = (InputSpec((8, 8, 1)), InputSpec((8,), 10))
    refusals = []
    for spec in specs:
        try:
            networks.check_takes(name, spec)
        except ValueError as error:
            refusals.append(str(error))
    (refusal,) = refusals
    assert refusal.startswith(f"network {name!r} takes ")
    assert "; those that do take them: " in refusal
    with pytest.raises(ValueError, match="those that do take them: none"):
        networks.build(name, InputSpec((2, 3), 10), 4)


def test_the_mlp_takes_numbers_of_any_shape():
    for shape in ((5,), (3, 4), (2, 3, 4, 5)):
        spec = InputSpec(shape)
        network = networks.build("mlp", spec, 3, {"widths": (6,)})
        params, state = network.init(jax.random.key(0))
        inputs = jax.random.normal(jax.random.key(1), spec.batch(2).shape)
        outputs, _ = jax.jit(network.apply, static_argnums=3)(params, state, inputs, True)
        assert outputs.shape == (2, 3)
        # Channels first, as in images.
        flat = np.moveaxis(np.asarray(inputs), -1, 1).reshape(2, -1)
        hidden = np.maximum(flat @ params["linear_0"]["kernel"], 0)
        np.testing.assert_allclose(outputs, hidden @ params["linear_1"]["kernel"], atol=1e-5)
