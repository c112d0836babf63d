"""A small dataset in a folder, for what would be slow with a real one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ganno_env.datasets import DatasetSpec, RawSplits, loading
from ganno_env.datasets.base import HostArray
from ganno_env.datasets.sources import from_folder
from ganno_env.registry import Registry

TOY = DatasetSpec(
    name="toy",
    input_shape=(4, 4, 1),
    num_classes=3,
    num_train=60,
    num_test=30,
    validation_size=12,
    idx=True,
)


def toy_arrays() -> dict[str, HostArray]:
    """Arrays in which each image's first two pixels number it: 0 to 59 train, 100 to 129 test."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count, first in (("train", 60, 0), ("test", 30, 100)):
        images = rng.integers(0, 256, (count, 4, 4), dtype=np.uint8)
        images[:, 0, 0] = np.arange(first, first + count)
        arrays[f"x_{split}"] = images
        arrays[f"y_{split}"] = (np.arange(count) % 3).astype(np.uint8)
    return arrays


@pytest.fixture
def toy_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that has toy.npz, and nowhere else to look for a dataset."""
    registry = Registry[DatasetSpec]("dataset")
    registry.add("toy", TOY)
    monkeypatch.setattr(loading, "DATASETS", registry)
    monkeypatch.setattr(loading, "SOURCES", (from_folder,))
    monkeypatch.delenv(loading.DATA_DIR_VARIABLE, raising=False)
    loading.clear_cache()
    np.savez(tmp_path / "toy.npz", **toy_arrays())
    yield tmp_path
    loading.clear_cache()


@pytest.fixture
def toy_splits() -> RawSplits:
    return RawSplits(**toy_arrays())
