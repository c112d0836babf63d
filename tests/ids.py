"""Every registered id without real data, at sizes that trace and compile quickly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ganno_env.datasets import DatasetSpec, RawSplits, loading
from ganno_env.datasets.base import LoadResult

TINY: dict[str, Any] = {
    "train_size": 24,
    "validation_size": 10,
    "test_size": 10,
    "batch_size": 4,
    "epochs": 1,
    "updates_per_step": 2,
    "network_options": {"width": 0.05},
}
"""Three steps of two updates."""


def made_up(spec: DatasetSpec, folder: object) -> LoadResult:
    """One random input, as often as the official splits have any, under every label in turn."""
    del folder
    generator = np.random.default_rng(0)
    example = generator.integers(0, spec.num_tokens or 256, spec.input_shape, dtype=np.uint8)
    splits = []
    for count in (spec.num_train, spec.num_test):
        labels = np.arange(count, dtype=np.int32) % spec.num_classes
        labels = labels.reshape(count, *(1 for _ in spec.target_shape))
        splits += [
            np.broadcast_to(example, (count, *spec.input_shape)),
            np.broadcast_to(labels, (count, *spec.target_shape)),
        ]
    groups = np.arange(spec.num_train) if spec.group_size > 1 else None
    return LoadResult(RawSplits(*splits, groups=groups), "made up")


@pytest.fixture(scope="module")
def made_up_images() -> Iterator[None]:
    """`datasets.load` finds made-up images, so that no test depends on what a machine has."""
    with pytest.MonkeyPatch.context() as patch:
        loading.clear_cache()
        patch.setattr(loading, "find", made_up)
        yield
    loading.clear_cache()
