"""Every registered id without real images, at sizes that trace and compile quickly."""

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
    """One random image, as often as the official splits have any, under every label in turn."""
    del folder
    image = np.random.default_rng(0).integers(0, 256, spec.input_shape, dtype=np.uint8)
    splits = []
    for count in (spec.num_train, spec.num_test):
        labels = np.arange(count, dtype=np.int32) % spec.num_classes
        splits += [np.broadcast_to(image, (count, *spec.input_shape)), labels]
    return LoadResult(RawSplits(*splits), "made up")


@pytest.fixture(scope="module")
def made_up_images() -> Iterator[None]:
    """`datasets.load` finds made-up images, so that no test depends on what a machine has."""
    with pytest.MonkeyPatch.context() as patch:
        loading.clear_cache()
        patch.setattr(loading, "find", made_up)
        yield
    loading.clear_cache()
