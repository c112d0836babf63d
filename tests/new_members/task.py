"""Regression, as a task: how bright an image is on average, from any dataset of images."""

import dataclasses

import jax.numpy as jnp

from ganno_env.tasks import TASKS
from ganno_env.types import Batch, InputSpec, Metric, Task

TOLERANCE = 0.02
"""How far from its target a prediction counts as right."""


def brightness(dataset):
    """The mean of each image's pixels, by squared error."""

    def bright(batch):
        pixels = batch.inputs.reshape(batch.size, -1).astype(jnp.float32) / jnp.float32(255)
        return Batch(inputs=batch.inputs, targets=pixels.mean(1))

    names = ("train", "validation", "test")
    splits = {name: bright(getattr(dataset, name)) for name in names}

    def squared_error(outputs, targets):
        return jnp.square(outputs[:, 0] - targets)

    def near(outputs, targets):
        return (jnp.abs(outputs[:, 0] - targets) < TOLERANCE).astype(jnp.float32)

    return Task(
        name=f"{dataset.name}_brightness",
        data=dataclasses.replace(dataset, **splits),
        input_spec=InputSpec(dataset.train.inputs.shape[1:]),
        num_outputs=1,
        prepare=lambda images: images.astype(jnp.float32) / jnp.float32(255),
        loss=squared_error,
        metrics={"accuracy": Metric(near), "rmse": Metric(squared_error, jnp.sqrt)},
    )


TASKS.add("brightness", brightness)
