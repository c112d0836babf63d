"""Datasets to train on: one file and one registry line each."""

from __future__ import annotations

from ganno_env.datasets.base import DatasetError, DatasetSpec, RawSplits
from ganno_env.datasets.catalogue import DATASETS
from ganno_env.datasets.loading import data_folder, load

__all__ = ["DATASETS", "DatasetError", "DatasetSpec", "RawSplits", "data_folder", "load"]
