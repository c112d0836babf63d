"""Splits never mix, keep the classes in proportion, and depend on nothing that they should not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganno_env.datasets import DATASETS
from ganno_env.datasets.splits import (
    Sizes,
    resolve_sizes,
    split_groups,
    split_indices,
    stratified_order,
)

SPEC = DATASETS["fashion_mnist"]
LABELS = st.lists(st.integers(0, 4), min_size=3, max_size=80).map(np.array)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Sizes, int]:
    """Labels of both official sets, sizes that they allow, and a seed."""
    train, test = draw(LABELS), draw(LABELS)
    validation_size = draw(st.integers(1, len(train) - 1))
    train_size = draw(st.integers(1, len(train) - validation_size))
    sizes = Sizes(train_size, validation_size, draw(st.integers(1, len(test))))
    return train, test, sizes, draw(st.integers(0, 2**32))


@given(problems())
def test_splits_never_mix(problem: tuple[np.ndarray, np.ndarray, Sizes, int]) -> None:
    train, test, sizes, seed = problem
    indices = split_indices(train, test, sizes, seed)
    assert not set(indices.train) & set(indices.validation)
    for chosen, size, official in zip(indices, sizes, (train, train, test), strict=True):
        assert len(set(chosen)) == len(chosen) == size
        assert set(chosen) <= set(range(len(official)))
        assert np.all(np.diff(chosen) > 0)


@given(problems())
def test_a_smaller_split_is_part_of_a_larger(
    problem: tuple[np.ndarray, np.ndarray, Sizes, int],
) -> None:
    train, test, sizes, seed = problem
    whole = sizes._replace(train=len(train) - sizes.validation, test=len(test))
    part, full = (split_indices(train, test, wanted, seed) for wanted in (sizes, whole))
    np.testing.assert_array_equal(part.validation, full.validation)
    assert set(part.train) <= set(full.train)
    assert set(part.test) <= set(full.test)
    assert set(full.train) | set(full.validation) == set(range(len(train)))
    np.testing.assert_array_equal(full.test, np.arange(len(test)))


@given(problems())
def test_the_seed_decides(problem: tuple[np.ndarray, np.ndarray, Sizes, int]) -> None:
    train, test, sizes, seed = problem
    for first, second in zip(
        split_indices(train, test, sizes, seed),
        split_indices(train, test, sizes, seed),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)


def test_another_seed_holds_out_others() -> None:
    labels = np.arange(1000) % 10
    sizes = Sizes(train=500, validation=100, test=100)
    first, second = (split_indices(labels, labels, sizes, seed) for seed in (0, 1))
    for one, other in zip(first, second, strict=True):
        assert set(one) != set(other)


@given(LABELS, st.integers(0, 100), st.data())
def test_every_stretch_has_the_classes_in_proportion(
    labels: np.ndarray, seed: int, data: st.DataObject
) -> None:
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    length = data.draw(st.integers(0, len(labels)))
    start = data.draw(st.integers(0, len(labels) - length))
    counts = np.bincount(labels[order[start : start + length]], minlength=5)
    expected = np.bincount(labels, minlength=5) * length / len(labels)
    # One at each end for the class itself, and as much for where the others put the ends.
    num_classes = len(np.unique(labels))
    assert np.all(np.abs(counts - expected) <= 1 + num_classes)


def test_a_balanced_set_stays_balanced() -> None:
    labels = np.arange(60_000) % 10
    indices = split_indices(labels, labels[:10_000], Sizes(777, 10_000, 1_000), seed=3)
    for chosen in indices:
        counts = np.bincount(labels[chosen])
        assert counts.max() - counts.min() <= 2


def test_without_sizes_all_there_is() -> None:
    assert resolve_sizes(SPEC, None, None, None) == Sizes(50_000, 10_000, 10_000)
    assert resolve_sizes(SPEC, None, 20_000, None) == Sizes(40_000, 20_000, 10_000)
    assert resolve_sizes(SPEC, 100, 200, 300) == Sizes(100, 200, 300)


@pytest.mark.parametrize("name", list(DATASETS))
def test_each_dataset_leaves_something_to_train_on(name: str) -> None:
    sizes = resolve_sizes(DATASETS[name], None, None, None)
    assert sizes.train > sizes.validation > 0


@pytest.mark.parametrize(
    ("sizes", "choices"),
    [
        ((50_001, None, None), r"train_size=50001 .* 1 to 50000 \(.*less 10000 for validation"),
        ((40_001, 20_000, None), r"train_size=40001 .* 1 to 40000"),
        ((None, 60_000, None), r"validation_size=60000 .* 1 to 59999 \(a part of the 60000"),
        ((None, None, 10_001), r"test_size=10001 .* 1 to 10000 \(the official test examples"),
    ],
)
def test_a_size_is_no_more_than_there_is(sizes: tuple[int | None, ...], choices: str) -> None:
    with pytest.raises(ValueError, match=choices):
        resolve_sizes(SPEC, *sizes)


def test_descriptions_are_not_to_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.num_train = 1  # type: ignore[misc]


@st.composite
def grouped_problems(draw: st.DrawFn) -> tuple[np.ndarray, Sizes, int]:
    """Groups of up to five examples, in any order, sizes that they allow, and a seed."""
    counts = draw(st.lists(st.integers(1, 5), min_size=3, max_size=30))
    groups = np.array(draw(st.permutations(np.repeat(np.arange(len(counts)), counts).tolist())))
    left = len(groups) - (max(counts) - 1)
    validation_size = draw(st.integers(1, max(1, left - 1)))
    train_size = draw(st.integers(0, max(0, left - validation_size)))
    return groups, Sizes(train_size, validation_size, 3), draw(st.integers(0, 2**32))


@given(grouped_problems())
def test_no_group_is_in_two_splits(problem: tuple[np.ndarray, Sizes, int]) -> None:
    groups, sizes, seed = problem
    indices = split_groups(groups, 7, sizes, seed)
    assert tuple(map(len, indices)) == sizes
    assert not set(groups[indices.train]) & set(groups[indices.validation])
    for chosen, most in zip(indices, (len(groups), len(groups), 7), strict=True):
        assert len(set(chosen)) == len(chosen)
        assert set(chosen) <= set(range(most))
        assert np.all(np.diff(chosen) > 0)
    smaller = split_groups(groups, 7, sizes._replace(train=sizes.train // 2, test=1), seed)
    np.testing.assert_array_equal(smaller.validation, indices.validation)
    assert set(smaller.train) <= set(indices.train)
    assert set(smaller.test) <= set(indices.test)


def test_groups_are_held_out_whole_but_the_last() -> None:
    groups = np.repeat(np.arange(50), 4)
    indices = split_groups(groups, 7, Sizes(80, 30, 3), seed=0)
    counts = np.bincount(groups[indices.validation], minlength=50)
    assert sorted(counts[counts > 0].tolist()) == [2, *[4] * 7]
    assert set(indices.validation) != set(split_groups(groups, 7, Sizes(80, 30, 3), 1).validation)


def test_groups_leave_room_for_one_that_is_cut() -> None:
    spec = DATASETS["text"]
    assert resolve_sizes(spec, None, None, None) == Sizes(38_000, 2_000, 4_000)
    with pytest.raises(ValueError, match=r"train_size=38001 .*2000 for validation and 255 for gr"):
        resolve_sizes(spec, 38_001, None, None)
