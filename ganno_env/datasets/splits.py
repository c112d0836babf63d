"""Which examples belong to which split, as indices into the official training and test sets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ganno_env.datasets.base import DatasetSpec, HostArray


class Sizes(NamedTuple):
    """How many examples each split has."""

    train: int
    validation: int
    test: int


class Indices(NamedTuple):
    """Each split's examples, in ascending order; train and validation have none in common."""

    train: HostArray
    validation: HostArray
    test: HostArray


def resolve_sizes(
    spec: DatasetSpec, train: int | None, validation: int | None, test: int | None
) -> Sizes:
    """The sizes asked for, or all there is; raises `ValueError` for more than that."""
    validation = spec.validation_size if validation is None else validation
    official = f"the {spec.num_train} official training examples of {spec.name}"
    # The group that the end of validation cuts is left out of training.
    spare = spec.group_size - 1
    most = spec.num_train - spare - 1
    _check_size("validation_size", validation, most, f"a part of {official}")
    left = spec.num_train - spare - validation
    train = left if train is None else train
    less = f"{validation} for validation" + (f" and {spare} for groups kept whole" * (spare > 0))
    _check_size("train_size", train, left, f"{official}, less {less}")
    test = spec.num_test if test is None else test
    _check_size("test_size", test, spec.num_test, f"the official test examples of {spec.name}")
    return Sizes(train, validation, test)


def _check_size(argument: str, value: int, most: int, of: str) -> None:
    if value > most:
        raise ValueError(
            f"{argument}={value!r} is more than there are; choose from 1 to {most} ({of})"
        )


def split_indices(
    train_labels: HostArray, test_labels: HostArray, sizes: Sizes, seed: int
) -> Indices:
    """Divides the official training set, and takes the part of either set that was asked for.

    Every split has each class in the proportion of the set it is from, as nearly as whole numbers
    allow. For one seed, validation depends on its own size alone, and a smaller split is a part
    of a larger one.

    Args:
        train_labels: labels of the official training set, [N].
        test_labels: labels of the official test set, [M].
        sizes: each split's size; train and validation are at most N together, test at most M.
        seed: fixes who is chosen.
    """
    train_stream, test_stream = np.random.SeedSequence(seed).spawn(2)
    train_order = stratified_order(train_labels, np.random.default_rng(train_stream))
    test_order = stratified_order(test_labels, np.random.default_rng(test_stream))
    return Indices(
        train=np.sort(train_order[sizes.validation : sizes.validation + sizes.train]),
        validation=np.sort(train_order[: sizes.validation]),
        test=np.sort(test_order[: sizes.test]),
    )


def split_groups(groups: HostArray, num_test: int, sizes: Sizes, seed: int) -> Indices:
    """`split_indices` for examples that belong together: no group is in two splits.

    Groups are held out one after another in random order. What validation leaves of its last one
    is in no split.

    Args:
        groups: each official training example's group, [N].
        num_test: official test examples, M, which are a set of other groups.
        sizes: each split's size; train leaves the largest group's size, less one, of N.
        seed: fixes which groups are held out.
    """
    train_stream, test_stream = np.random.SeedSequence(seed).spawn(2)
    names, members = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(train_stream)
    rank = rng.permutation(len(names))[members]
    order = np.argsort(rank, kind="stable")
    validation = order[: sizes.validation]
    rest = rng.permutation(order[rank[order] > rank[validation[-1]]])
    test = np.random.default_rng(test_stream).permutation(num_test)
    return Indices(
        train=np.sort(rest[: sizes.train]),
        validation=np.sort(validation),
        test=np.sort(test[: sizes.test]),
    )


def stratified_order(labels: HostArray, rng: np.random.Generator) -> HostArray:
    """A random order of all examples, any stretch of which has the classes in proportion. [N]."""
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        # Members are spread evenly over [0, 1), in random order and from a random start.
        rank = np.argsort(np.argsort(rng.random(len(members))))
        position[members] = (rank + rng.random()) / len(members)
    return np.argsort(position, kind="stable")
