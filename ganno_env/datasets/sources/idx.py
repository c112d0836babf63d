"""The IDX format of the MNIST family: a magic number, the dimensions, and the bytes."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from ganno_env.datasets.base import DatasetError, HostArray

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

BYTES = 0x08  # the code for an array of unsigned bytes


def read_idx(path: Path) -> HostArray:
    """The array in an IDX file of bytes, packed with gzip or not.

    Raises:
        DatasetError: if it holds something else; gzip, zlib and struct have errors of their own.
    """
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    zeros, code, num_dimensions = struct.unpack_from(">HBB", data)
    if zeros != 0 or code != BYTES:
        raise DatasetError(f"{path.name} is not an IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{num_dimensions}I", data, 4)
    start = 4 + 4 * num_dimensions
    if len(data) - start != math.prod(shape):
        raise DatasetError(f"{path.name} has {len(data) - start} bytes, not those of {list(shape)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
