"""Named arrays and a header of plain JSON in one file, NumPy's `.npz`."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from systems.utils.files import write_atomically
from systems.utils.strict_json import to_json

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)
"""What reading a damaged file, or another kind of file, may raise."""


def write_archive(
    path: Path, header: Mapping[str, Any], arrays: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """Writes an archive, whole or not at all.

    Raises:
        ValueError: if the file exists and `overwrite` is false.
        StorageError: if it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array(to_json(header)), **arrays)
    write_atomically(path, buffer.getvalue(), overwrite=overwrite)


def read_archive(path: Path) -> tuple[Any, dict[str, Any]]:
    """The header and the arrays of an archive; raises one of `UNREADABLE` if it cannot."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz file")
    with np.load(path, allow_pickle=False) as archive:
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    return json.loads(str(arrays.pop("header"))), arrays
