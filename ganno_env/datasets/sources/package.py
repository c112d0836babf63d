"""Datasets that an installed package ships."""

from __future__ import annotations

from pathlib import Path

from ganno_env.datasets.base import DatasetSpec, LoadResult, SourceUnavailable
from ganno_env.datasets.checks import checked


def from_package(spec: DatasetSpec, folder: Path) -> LoadResult:
    """What the dataset's package ships; raises `SourceUnavailable` if there is none."""
    del folder
    if spec.package is None:
        raise SourceUnavailable("packages: none ships it")
    try:
        splits, source = spec.package()
    except ImportError as error:
        raise SourceUnavailable(f"packages: {error}") from error
    return LoadResult(checked(splits, spec), source)
