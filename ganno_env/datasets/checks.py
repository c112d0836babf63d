"""Whether arrays are what a dataset's description says they are."""

from __future__ import annotations

import numpy as np

from ganno_env.datasets.base import DatasetError, DatasetSpec, HostArray, RawSplits


def checked(splits: RawSplits, spec: DatasetSpec) -> RawSplits:
    """The arrays in the shape that everything else expects.

    Grey images may lack the channel, and labels may be a column, as Keras has them.

    Returns:
        images uint8 [N, H, W, C] and labels int32 [N].

    Raises:
        DatasetError: if a shape, type, count or label is wrong, saying which.
    """
    return RawSplits(
        _images("x_train", splits.x_train, spec.num_train, spec),
        _labels("y_train", splits.y_train, spec.num_train, spec),
        _images("x_test", splits.x_test, spec.num_test, spec),
        _labels("y_test", splits.y_test, spec.num_test, spec),
    )


def _images(key: str, array: HostArray, count: int, spec: DatasetSpec) -> HostArray:
    expected = (count, *spec.image_shape)
    grey = spec.image_shape[-1] == 1 and array.shape == expected[:-1]
    if array.dtype != np.uint8 or not (grey or array.shape == expected):
        raise DatasetError(f"{key} is {_describe(array)}, not uint8 {list(expected)}")
    return array.reshape(expected)


def _labels(key: str, array: HostArray, count: int, spec: DatasetSpec) -> HostArray:
    if array.shape == (count, 1):
        array = array[:, 0]
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (count,):
        raise DatasetError(f"{key} is {_describe(array)}, not integers [{count}]")
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest >= spec.num_classes:
        raise DatasetError(
            f"{key} has labels from {lowest} to {highest}, not from 0 to {spec.num_classes - 1}"
        )
    return array.astype(np.int32)


def _describe(array: HostArray) -> str:
    return f"{array.dtype} {list(array.shape)}"
