"""Named arrays in a folder, in Orbax's format, whatever the folder is called.

Orbax and TensorStore take a path for more than a name: `[` begins a pattern, a backslash separates
folders, `gs:` is a protocol. They are given a link of a plain name instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

PLAIN = re.compile(r"[\w./+=,@-]*", re.ASCII)
INDEX = "manifest.ocdbt"
PARTS = "ocdbt.process_*"
TEMPORARY = "/tmp"


def write_arrays(folder: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays to a folder that is not there yet, in one that is.

    Raises:
        OSError: if they are not all there afterwards; Orbax raises errors of its own too.
    """
    with _temporary_folder() as place:
        link = place / "folder"
        link.symlink_to(folder.parent.absolute(), target_is_directory=True)
        _orbax().save(link / folder.name, args=ocp.args.StandardSave(dict(arrays)))
    if not (folder / INDEX).is_file():
        raise OSError(f"Orbax left no {INDEX}")


def read_arrays(folder: Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """Reads arrays.

    Args:
        folder: as `write_arrays` left it; it is not written to.
        like: says their names, shapes and types.

    Raises:
        Exception: whatever Orbax raises if it cannot read them.
    """
    abstract = {name: np.empty(x.shape, x.dtype) for name, x in like.items()}
    with _temporary_folder() as place:
        files = {path.name: path for path in folder.absolute().iterdir()}
        if INDEX not in files:
            files |= _unmerged(folder.absolute())
        for name, path in files.items():
            (place / name).symlink_to(path)
        values: dict[str, Any] = _orbax().restore(place, args=ocp.args.StandardRestore(abstract))
    return values


def _unmerged(folder: Path) -> dict[str, Path]:
    """The files of arrays that Orbax wrote and did not find again, for a `[` or a backslash.

    They are whole in the part that the one process wrote: in the folder, or where a backslash is
    taken for a slash, under the name that the checkpoint had before it was renamed.
    """
    checkpoint = folder.parent
    elsewhere = Path(str(checkpoint.parent).replace("\\", "/"))
    lost = f"{checkpoint.name.replace('update_', '.writing_')}*/{folder.name}.*/{PARTS}"
    parts = [*folder.glob(PARTS), *elsewhere.glob(lost)]
    return {path.name: path for part in parts[:1] for path in part.iterdir()}


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    where = None if PLAIN.fullmatch(tempfile.gettempdir()) else TEMPORARY
    with tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True) as name:
        yield Path(os.path.realpath(name))


def _orbax() -> ocp.Checkpointer:
    # Each process reads by itself, and one alone writes: there is nobody to wait for.
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )
    return ocp.Checkpointer(
        ocp.StandardCheckpointHandler(multiprocessing_options=alone),
        multiprocessing_options=alone,
    )
