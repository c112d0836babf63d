"""What a dataset is before it is split: its description, its arrays, and its errors."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

HostArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array in the host's memory."""


class DatasetError(ValueError):
    """A dataset that can't be had, or whose files are not what they should be."""


class NotHere(Exception):
    """Raised by a source that does not have a dataset, with the reason; the next one is asked."""


class RawSplits(NamedTuple):
    """A dataset as it was published: images [N, H, W, C] and labels [N], training and test."""

    x_train: HostArray
    y_train: HostArray
    x_test: HostArray
    y_test: HostArray


class Found(NamedTuple):
    """What a source gives: checked arrays, and in a few words where they are from."""

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
        image_shape: height, width and channels.
        num_classes: labels are 0 to this, exclusive.
        num_train: official training images; validation is held out from these.
        num_test: official test images.
        validation_size: how many are held out unless the caller says otherwise.
        idx: whether it is published as the IDX files that MNIST began.
        tfds_name: its name in TensorFlow Datasets, if it is there.
        downloads: the official files.
        unpack: makes arrays of the official files' bytes, in the order of `downloads`.
        package: gives the arrays, if an installed package ships them.
        authenticate: says in a few words what the arrays are, compared with the official ones.
    """

    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    num_train: int
    num_test: int
    validation_size: int
    idx: bool = False
    tfds_name: str | None = None
    downloads: tuple[Download, ...] = ()
    unpack: Callable[[list[bytes]], RawSplits] | None = None
    package: Callable[[], Found] | None = None
    authenticate: Callable[[RawSplits], str] = unverified


def checksum(array: HostArray) -> int:
    """The CRC-32 of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).data)
