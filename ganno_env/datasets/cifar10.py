"""CIFAR-10: 60,000 coloured 32x32 pictures of animals and vehicles (Krizhevsky, 2009)."""

from __future__ import annotations

from ganno_env.datasets.base import DatasetSpec, RawSplits, checksum

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


CIFAR10 = DatasetSpec(
    name="cifar10",
    image_shape=(32, 32, 3),
    num_classes=10,
    num_train=50_000,
    num_test=10_000,
    validation_size=5_000,
    tfds_name="cifar10",
    download_host="www.cs.toronto.edu",
    authenticate=_authenticate,
)
