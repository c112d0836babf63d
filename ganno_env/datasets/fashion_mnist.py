"""Fashion-MNIST: 70,000 grey 28x28 pictures of clothes (Xiao, Rasul and Vollgraf, 2017)."""

from __future__ import annotations

from ganno_env.datasets.base import DatasetSpec, RawSplits, checksum

OFFICIAL = (0xAE65DCCD, 0x2ED6E46A, 0x12728439, 0x242BC73F)


def _authenticate(splits: RawSplits) -> str:
    # Labels are compared as the bytes that the official files hold.
    found = (
        checksum(splits.x_train),
        checksum(splits.y_train.astype("uint8")),
        checksum(splits.x_test),
        checksum(splits.y_test.astype("uint8")),
    )
    return "the official images" if found == OFFICIAL else "not the official images, or reordered"


FASHION_MNIST = DatasetSpec(
    name="fashion_mnist",
    image_shape=(28, 28, 1),
    num_classes=10,
    num_train=60_000,
    num_test=10_000,
    validation_size=10_000,
    idx=True,
    tfds_name="fashion_mnist",
    download_host="fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    authenticate=_authenticate,
)
