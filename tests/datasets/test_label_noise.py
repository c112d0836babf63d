"""Wrong labels: as many as asked for, really wrong, in the training split alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganno_env import datasets
from ganno_env.datasets.label_noise import with_wrong

TARGETS = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


@given(TARGETS, st.floats(0, 1), st.integers(0, 9))
def test_as_many_are_wrong_as_asked_for(targets: np.ndarray, fraction: float, seed: int) -> None:
    before = targets.copy()
    changed = with_wrong(targets, 4, fraction, seed)
    assert np.array_equal(targets, before)
    assert np.sum(changed != targets) == round(fraction * targets.size)
    assert set(changed) <= set(range(4))


def test_wrong_classes_are_equally_probable() -> None:
    changed = with_wrong(np.zeros(30_000, int), 4, 1.0, 0)
    np.testing.assert_allclose(np.bincount(changed) / 30_000, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.01)


def test_a_smaller_part_is_within_a_larger_one() -> None:
    targets = np.arange(200) % 10
    few, many = (with_wrong(targets, 10, part, 3) for part in (0.1, 0.5))
    assert np.array_equal(few[few != targets], many[few != targets])


def test_only_the_training_split_is_wrong() -> None:
    sizes = {"train_size": 500, "validation_size": 100, "test_size": 100}
    clean = datasets.load("digits", **sizes)
    noisy = datasets.load("digits", label_noise=0.2, **sizes)
    assert np.sum(np.asarray(noisy.train.targets) != np.asarray(clean.train.targets)) == 100
    for split in ("validation", "test"):
        assert np.array_equal(getattr(noisy, split).targets, getattr(clean, split).targets)
    assert np.array_equal(noisy.train.inputs, clean.train.inputs)


def test_a_part_is_between_none_and_all() -> None:
    with pytest.raises(ValueError, match=r"label_noise=1\.2"):
        datasets.load("digits", label_noise=1.2)
