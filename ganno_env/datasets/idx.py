"""The IDX format of the MNIST family: a magic number, the dimensions, and the bytes."""

from __future__ import annotations

import gzip
import math
import struct

import numpy as np

from ganno_env.datasets.base import DatasetError, HostArray

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The names of the four files, in the order of `RawSplits`."""

GZIP = b"\x1f\x8b"
BYTES = 0x08  # the code for an array of unsigned bytes


def parse_idx(data: bytes) -> HostArray:
    """The array in an IDX file's bytes, packed with gzip or not.

    Raises:
        DatasetError: if they are something else; gzip, zlib and struct have errors of their own.
    """
    if data.startswith(GZIP):
        data = gzip.decompress(data)
    zeros, code, num_dimensions = struct.unpack_from(">HBB", data)
    if zeros != 0 or code != BYTES:
        raise DatasetError("not an IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{num_dimensions}I", data, 4)
    start = 4 + 4 * num_dimensions
    if len(data) - start != math.prod(shape):
        raise DatasetError(f"an IDX file of {list(shape)} has {len(data) - start} bytes")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
