"""CIFAR-10: 60,000 coloured 32x32 pictures of animals and vehicles (Krizhevsky, 2009)."""

from __future__ import annotations

import io
import tarfile

import numpy as np

from ganno_env.datasets.base import DatasetSpec, Download, HostArray, RawSplits, checksum

# The version for C programs: that for Python is pickled, and a pickle can run anything.
ARCHIVE = Download(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))

# The first three pixels of the official training set's first image, a frog. A copy that was
# compressed with loss, or put into another order, has others.
FIRST_PIXELS = [[59, 62, 63], [43, 46, 45], [50, 48, 43]]

# A copy in circulation keeps each image as a JPEG of quality 75.
JPEG_COPY = 0xC15882B4


def _authenticate(splits: RawSplits) -> str:
    if splits.x_train[0, 0, :3].tolist() == FIRST_PIXELS:
        return "the official images"
    if checksum(splits.x_train) == JPEG_COPY:
        return "a JPEG copy, lossy: accuracies are not comparable in detail with published ones"
    return "not the official images, or reordered"


def _unpack(files: list[bytes]) -> RawSplits:
    with tarfile.open(fileobj=io.BytesIO(files[0])) as archive:
        train = [_read_batch(archive, name) for name in TRAIN_FILES]
        x_test, y_test = _read_batch(archive, "test_batch.bin")
    x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return RawSplits(x_train, y_train, x_test, y_test)


def _read_batch(archive: tarfile.TarFile, name: str) -> tuple[HostArray, HostArray]:
    """Images [N, 32, 32, 3] and labels [N] of a file of records: label, red, green, blue."""
    file = archive.extractfile(f"{FOLDER}/{name}")
    records = np.frombuffer(file.read() if file else b"", np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, records[:, 0]


CIFAR10 = DatasetSpec(
    name="cifar10",
    input_shape=(32, 32, 3),
    num_classes=10,
    num_train=50_000,
    num_test=10_000,
    validation_size=5_000,
    tfds_name="cifar10",
    downloads=(ARCHIVE,),
    unpack=_unpack,
    authenticate=_authenticate,
)
