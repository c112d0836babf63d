"""A folder of files: `NAME.npz` as Keras has them, or the IDX files of the MNIST family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ganno_env.datasets.base import (
    DatasetError,
    DatasetSpec,
    LoadResult,
    RawSplits,
    SourceUnavailable,
)
from ganno_env.datasets.checks import checked
from ganno_env.datasets.idx import IDX_FILES, parse_idx


def from_folder(spec: DatasetSpec, folder: Path) -> LoadResult:
    """Reads `folder/NAME.npz`, else IDX files in `folder/NAME` or `folder`.

    Raises:
        SourceUnavailable: if there are no such files.
        DatasetError: if there are, but they can't be read, or hold something else.
    """
    path = folder / f"{spec.name}.npz"
    if path.is_file():
        return _read(spec, path, _read_npz)
    for place in (folder / spec.name, folder):
        if spec.idx and any(_idx_files(place)):
            return _read(spec, place, _read_idx_files)
    raise SourceUnavailable(
        f"folder {folder}: no {path.name}" + (", no IDX files" if spec.idx else "")
    )


def _read(
    spec: DatasetSpec, path: Path, read: Callable[[Path, DatasetSpec], RawSplits]
) -> LoadResult:
    try:
        splits = checked(read(path, spec), spec)
    # A damaged file fails in as many ways as zip, gzip and NumPy have; all mean the same.
    except Exception as error:
        raise DatasetError(f"{path}: {str(error) or type(error).__name__}") from error
    kind = path.name if path.is_file() else "IDX files"
    return LoadResult(splits, f"{kind}: {spec.authenticate(splits)}")


def _read_npz(path: Path, spec: DatasetSpec) -> RawSplits:
    # NumPy would leave the file of a damaged archive open.
    with path.open("rb") as opened:
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DatasetError("a single array, not an .npz archive")
        if missing := [key for key in spec.keys if key not in file]:
            raise DatasetError(f"lacks {missing}; its keys are {list(file)}")
        return RawSplits(**{key: file[key] for key in spec.keys})


def _read_idx_files(folder: Path, spec: DatasetSpec) -> RawSplits:
    del spec
    files = _idx_files(folder)
    if missing := [name for name, file in zip(IDX_FILES, files, strict=True) if file is None]:
        raise DatasetError(f"lacks {missing}")
    return RawSplits(*(parse_idx(file.read_bytes()) for file in files if file is not None))


def _idx_files(folder: Path) -> list[Path | None]:
    """The four files in the order of `RawSplits`, each packed or not, or None if it is absent."""
    choices = [(folder / name, folder / f"{name}.gz") for name in IDX_FILES]
    return [next((path for path in pair if path.is_file()), None) for pair in choices]
