"""Whether arrays are what a dataset's description says they are."""

from __future__ import annotations

import numpy as np

from ganno_env.datasets.base import DatasetError, DatasetSpec, HostArray, RawSplits


def checked(splits: RawSplits, spec: DatasetSpec) -> RawSplits:
    """The arrays in the shape that everything else expects.

    Grey images may lack the channel, and labels may be a column, as Keras has them.

    Returns:
        inputs uint8 [N, ...], targets int32 [N, ...] and, of grouped examples, groups int32 [N].

    Raises:
        DatasetError: if a shape, type, count or value is wrong, saying which.
    """
    return RawSplits(
        _inputs("x_train", splits.x_train, spec.num_train, spec),
        _targets("y_train", splits.y_train, spec.num_train, spec),
        _inputs("x_test", splits.x_test, spec.num_test, spec),
        _targets("y_test", splits.y_test, spec.num_test, spec),
        _groups(splits.groups, spec),
    )


def _inputs(key: str, array: HostArray, count: int, spec: DatasetSpec) -> HostArray:
    expected = (count, *spec.input_shape)
    grey = len(spec.input_shape) == 3 and spec.input_shape[-1] == 1 and array.shape == expected[:-1]
    if array.dtype != np.uint8 or not (grey or array.shape == expected):
        raise DatasetError(f"{key} is {_describe(array)}, not uint8 {list(expected)}")
    if spec.num_tokens is not None:
        _check_range(f"{key} has tokens", array, spec.num_tokens)
    return array.reshape(expected)


def _targets(key: str, array: HostArray, count: int, spec: DatasetSpec) -> HostArray:
    expected = (count, *spec.target_shape)
    if array.shape == (*expected, 1):
        array = array[..., 0]
    if not np.issubdtype(array.dtype, np.integer) or array.shape != expected:
        raise DatasetError(f"{key} is {_describe(array)}, not integers {list(expected)}")
    _check_range(f"{key} has labels", array, spec.num_classes)
    return array.astype(np.int32)


def _groups(array: HostArray | None, spec: DatasetSpec) -> HostArray | None:
    if array is None or spec.group_size == 1:
        return None
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (spec.num_train,):
        raise DatasetError(f"groups is {_describe(array)}, not integers [{spec.num_train}]")
    if (largest := int(np.unique(array, return_counts=True)[1].max())) > spec.group_size:
        raise DatasetError(f"groups has one of {largest} examples, more than {spec.group_size}")
    return array.astype(np.int32)


def _check_range(what: str, array: HostArray, end: int) -> None:
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest >= end:
        raise DatasetError(f"{what} from {lowest} to {highest}, not from 0 to {end - 1}")


def _describe(array: HostArray) -> str:
    return f"{array.dtype} {list(array.shape)}"
