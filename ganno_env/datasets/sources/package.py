"""Datasets that an installed package ships."""

from __future__ import annotations

from pathlib import Path

from ganno_env.datasets.base import DatasetSpec, Found, NotHere
from ganno_env.datasets.checks import checked


def from_package(spec: DatasetSpec, folder: Path) -> Found:
    """What the dataset's package ships; raises `NotHere` if there is none, or it is missing."""
    del folder
    if spec.package is None:
        raise NotHere("packages: none ships it")
    try:
        splits, source = spec.package()
    except ImportError as error:
        raise NotHere(f"packages: {error}") from error
    return Found(checked(splits, spec), source)
