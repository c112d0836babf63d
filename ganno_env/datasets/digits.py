"""Digits: 1,797 real handwritten digits of 8x8, which scikit-learn ships. Needs no download."""

from __future__ import annotations

import importlib.metadata

import numpy as np

from ganno_env.datasets.base import DatasetSpec, HostArray, LoadResult, RawSplits

FILE = "sklearn/datasets/data/digits.csv.gz"
"""64 pixels a line, and the label."""
TEST_FRACTION = 5  # one in five is for testing: nobody published a split


def _is_test(labels: HostArray) -> HostArray:
    """Every fifth example of each class, so that the split needs no random numbers. [N] bool."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[::TEST_FRACTION]] = True
    return chosen


def _from_scikit_learn() -> LoadResult:
    # The file that `load_digits` reads; to import that takes longer than to import JAX.
    file = importlib.metadata.distribution("scikit-learn").locate_file(FILE)
    rows = np.loadtxt(str(file), delimiter=",")
    # Pixels are counts from 0 to 16; 16 goes to 255.
    images = np.round(rows[:, :-1].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    labels = rows[:, -1].astype(np.int64)
    test = _is_test(labels)
    splits = RawSplits(images[~test], labels[~test], images[test], labels[test])
    return LoadResult(splits, "shipped in scikit-learn")


DIGITS = DatasetSpec(
    name="digits",
    input_shape=(8, 8, 1),
    num_classes=10,
    num_train=1433,
    num_test=364,
    validation_size=233,
    package=_from_scikit_learn,
)
