"""The datasets there are: one file and one line each."""

from __future__ import annotations

from ganno_env.datasets.base import DatasetSpec
from ganno_env.datasets.cifar10 import CIFAR10
from ganno_env.datasets.digits import DIGITS
from ganno_env.datasets.fashion_mnist import FASHION_MNIST
from ganno_env.datasets.text import TEXT
from ganno_env.registry import Registry

DATASETS: Registry[DatasetSpec] = Registry("dataset")
DATASETS.add("digits", DIGITS)
DATASETS.add("fashion_mnist", FASHION_MNIST)
DATASETS.add("cifar10", CIFAR10)
DATASETS.add("text", TEXT)
