"""Random examples: speed does not depend on what they show, so a benchmark needs no dataset."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ganno_env.datasets.base import DatasetSpec
from ganno_env.types import Batch, Dataset

COLOURS = 256


def random_dataset(spec: DatasetSpec, num_examples: int, validation_size: int) -> Dataset:
    """Uniformly random inputs and targets in a dataset's shapes; test is as large as validation."""
    generator = np.random.default_rng(0)

    def split(size: int) -> Batch:
        inputs = generator.integers(
            0, spec.num_tokens or COLOURS, (size, *spec.input_shape), dtype=np.uint8
        )
        targets = generator.integers(
            0, spec.num_classes, (size, *spec.target_shape), dtype=np.int32
        )
        return Batch(inputs=jnp.asarray(inputs), targets=jnp.asarray(targets))

    return Dataset(
        name=f"random_{spec.name}",
        train=split(num_examples),
        validation=split(validation_size),
        test=split(validation_size),
        num_classes=spec.num_classes,
        source="random numbers",
        task=spec.task,
    )
