"""Archives of named arrays and a header, which `ganno.archives` reads, written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from systems.utils.files import write_atomically
from systems.utils.strict_json import to_json


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
