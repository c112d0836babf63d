"""Where datasets are looked for, in order.

A source takes a dataset's description and the data folder. It raises `SourceUnavailable` if it does
not have the dataset, and `DatasetError` if what it has can't be read or is something else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ganno_env.datasets.base import DatasetSpec, LoadResult
from ganno_env.datasets.sources.folder import from_folder
from ganno_env.datasets.sources.package import from_package
from ganno_env.datasets.sources.tfds import from_tfds

SOURCES: tuple[Callable[[DatasetSpec, Path], LoadResult], ...] = (
    from_folder,
    from_tfds,
    from_package,
)

__all__ = ["SOURCES", "from_folder", "from_package", "from_tfds"]
