"""Writing and removing files, so that they are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from systems.utils.errors import StorageError
from systems.utils.output import echo

PREFIX = ".writing_"
"""What the names of files begin with that are not whole yet."""
SPARE = 2**18
"""Bytes that file systems and formats add to what is written."""


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """A context that turns any error while writing `path` into a `StorageError`."""
    try:
        yield
    except Exception as error:
        raise StorageError(
            f"could not write {path}: {_reason(error)}; nothing of it was kept. Free some space, "
            "or choose a folder that can be written to (output_dir=...)"
        ) from error


def check_space(folder: Path, size: int) -> None:
    """Raises `OSError` unless a folder's disk has room for `size` bytes and a little more."""
    if shutil.disk_usage(folder).free < size + SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
        handle, temporary = tempfile.mkstemp(prefix=PREFIX, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            discard(Path(temporary))
            raise


def discard(path: Path) -> None:
    """Removes a file or folder, if it is there.

    One that cannot be removed, as on a network's disk while another machine has it open, is worth
    a warning and no more.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    if os.path.lexists(path):
        echo(f"warning: {path} could not be removed; it may be removed by hand", err=True)


def _reason(error: Exception) -> str:
    """An error's reason in one line; a library's own error for a full disk may have thousands."""
    full = os.strerror(errno.ENOSPC)
    if full in str(error):
        return full
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0][:300]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def fresh_folder(parent: Path, name: str) -> Path:
    """Makes `parent/name`, or, where that exists, `parent/name-2`, `parent/name-3`, ...

    Raises:
        StorageError: if it cannot be made.
    """
    for suffix in ("", *(f"-{i}" for i in range(2, 1000))):
        folder = parent / f"{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(
                f"could not make {folder}: {error.strerror}; choose a folder that can be written "
                "to (output_dir=...)"
            ) from error
        return folder
    raise StorageError(f"there are too many folders named {parent / name}; remove some")


@contextlib.contextmanager
def folder_if_used(parent: Path, name: str) -> Iterator[Path]:
    """A context with a `fresh_folder`, which is removed again if an error leaves it empty."""
    folder = fresh_folder(parent, name)
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
            parent.rmdir()
        raise
