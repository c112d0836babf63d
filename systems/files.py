"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from systems.errors import StorageError


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what goes wrong while writing `path` into a `StorageError`."""
    try:
        yield
    except Exception as error:
        # Not OSError alone: a full disk reaches us through several libraries' own errors.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StorageError(
            f"could not write {path}: {reason}; nothing of it was kept. Free some space, or choose "
            "a folder that can be written to (output_dir=...)"
        ) from error


def write_atomically(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Writes a file under another name, then renames it.

    Raises:
        ValueError: if the file exists and `overwrite` is false.
        StorageError: if it cannot be written; then no part of it is left behind.
    """
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists already; choose another path, or remove it first")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
