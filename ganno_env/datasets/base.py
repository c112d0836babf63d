"""What a dataset is before it is split: its description, its arrays, and its errors."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ganno_env.types import InputSpec

HostArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array in the host's memory."""


class DatasetError(ValueError):
    """A dataset that can't be had, or whose files are not what they should be."""


class SourceUnavailable(Exception):
    """Raised by a source that does not have a dataset, with the reason; the next one is asked."""


class RawSplits(NamedTuple):
    """A dataset as it was published: inputs [N, ...] and targets [N, ...], training and test.

    Attributes:
        x_train, y_train, x_test, y_test: inputs and targets.
        groups: a number for each training example, the same for those that are never in two
            splits, such as pieces of one file; None where examples are independent.
    """

    x_train: HostArray
    y_train: HostArray
    x_test: HostArray
    y_test: HostArray
    groups: HostArray | None = None

    def arrays(self) -> dict[str, HostArray]:
        """The arrays that there are, by name, as an .npz file has them."""
        return {key: array for key, array in self._asdict().items() if array is not None}


class LoadResult(NamedTuple):
    """A dataset from a source: checked arrays, and in a few words where they are from."""

    splits: RawSplits
    source: str


def unverified(splits: RawSplits) -> str:
    """Says of any arrays that nothing is known of them."""
    del splits
    return "not compared with the official images"


class Download(NamedTuple):
    """A file that was published, and the SHA-256 that it must have."""

    url: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """What is known of a dataset before it is loaded, and how else than from files to get it.

    Attributes:
        name: what it is registered as, and what its file is called.
        input_shape: of one example: height, width and channels, or the length of a sequence.
        num_classes: targets are 0 to this, exclusive.
        num_train: official training examples; validation is held out from these.
        num_test: official test examples.
        validation_size: how many are held out unless the caller says otherwise.
        target_shape: of one example's targets.
        num_tokens: the size of the vocabulary, where inputs are tokens.
        task: what is usually learned of it, a name in `TASKS`.
        group_size: the most training examples that belong together; 1 if they are independent.
        idx: whether it is published as the IDX files that MNIST began.
        tfds_name: its name in TensorFlow Datasets, if it is there.
        downloads: the official files.
        unpack: makes arrays of the official files' bytes, in the order of `downloads`.
        package: gives the arrays, if an installed package or Python itself ships them.
        authenticate: says in a few words what the arrays are, compared with the official ones.
    """

    name: str
    input_shape: tuple[int, ...]
    num_classes: int
    num_train: int
    num_test: int
    validation_size: int
    target_shape: tuple[int, ...] = ()
    num_tokens: int | None = None
    task: str = "image_classification"
    group_size: int = 1
    idx: bool = False
    tfds_name: str | None = None
    downloads: tuple[Download, ...] = ()
    unpack: Callable[[list[bytes]], RawSplits] | None = None
    package: Callable[[], LoadResult] | None = None
    authenticate: Callable[[RawSplits], str] = unverified

    @property
    def input_spec(self) -> InputSpec:
        """What a network takes, where the task leaves inputs in their shape."""
        return InputSpec(self.input_shape, self.num_tokens)

    @property
    def keys(self) -> tuple[str, ...]:
        """The arrays that a file of it has, by name."""
        return tuple(key for key in RawSplits._fields if key != "groups" or self.group_size > 1)


def checksum(array: HostArray) -> int:
    """The CRC-32 of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).data)
