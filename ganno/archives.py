"""Named arrays and a header of plain JSON in one file, NumPy's `.npz`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)
"""What reading a damaged file, or another kind of file, may raise."""


def read_archive(path: Path) -> tuple[Any, dict[str, Any]]:
    """The header and the arrays of an archive; raises one of `UNREADABLE` if it cannot."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz file")
    with np.load(path, allow_pickle=False) as archive:
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    return json.loads(str(arrays.pop("header"))), arrays
