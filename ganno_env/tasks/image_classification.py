"""Image classification: one class for each image."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from ganno_env.tasks.measures import check_fit, correct, cross_entropy
from ganno_env.types import Dataset, InputSpec, Metric, Task

NAME = "image_classification"


def image_classification(dataset: Dataset) -> Task:
    """The class of each image: cross-entropy, and the fraction that is right.

    Images are normalised by the training split's statistics.
    """
    images, labels = dataset.train.inputs, dataset.train.targets
    fits = images.dtype == jnp.uint8 and images.ndim == 4 and labels.ndim == 1
    check_fit(fits, NAME, dataset, "images uint8 [N, H, W, C] with one class each")
    mean, std = channel_statistics(np.asarray(images))

    def normalise(images: UInt8[Array, "N H W C"]) -> Float[Array, "N H W C"]:
        scale = 1.0 / (255.0 * jnp.array(std, jnp.float32))
        shift = jnp.array(mean, jnp.float32) / jnp.array(std, jnp.float32)
        return images.astype(jnp.float32) * scale - shift

    return Task(
        name=dataset.name,
        data=dataset,
        input_spec=InputSpec(images.shape[1:]),
        num_outputs=dataset.num_classes,
        prepare=normalise,
        loss=cross_entropy,
        metrics={"accuracy": Metric(correct)},
    )


def channel_statistics(
    images: np.ndarray[Any, np.dtype[np.uint8]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Each channel's mean and standard deviation, of pixels as fractions of 255.

    They are exact, being taken from counts of the 256 values, and need no copy of the images in
    floating point. A channel that never varies has a deviation of 1, so that one can divide by it.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[-1]):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        deviation = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
        means.append(mean)
        deviations.append(deviation if counts.max() < counts.sum() else 1.0)
    return tuple(means), tuple(deviations)
