"""Fashion-MNIST: 70,000 grey 28x28 pictures of clothes (Xiao, Rasul and Vollgraf, 2017)."""

from __future__ import annotations

from ganno_env.datasets.base import DatasetSpec, Download, RawSplits, checksum
from ganno_env.datasets.idx import IDX_FILES, parse_idx

HOST = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
SHA256 = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)

# The checksums of the arrays in those files, in the order of `RawSplits`.
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
    input_shape=(28, 28, 1),
    num_classes=10,
    num_train=60_000,
    num_test=10_000,
    validation_size=10_000,
    idx=True,
    tfds_name="fashion_mnist",
    downloads=tuple(
        Download(f"{HOST}/{name}.gz", sha256)
        for name, sha256 in zip(IDX_FILES, SHA256, strict=True)
    ),
    unpack=lambda files: RawSplits(*map(parse_idx, files)),
    authenticate=_authenticate,
)
