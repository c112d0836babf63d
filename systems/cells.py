"""The runs of an experiment on disk, one small file each, so that none is made twice."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganno_env.types import RunRecord
from systems.files import write_atomically

FORMAT = "ganno-cells-1"
MANIFEST = "manifest.json"
FOLDER = "cells"
REMEDY = "choose another output_dir, or remove that folder"


class Cell(NamedTuple):
    """A run's place in an experiment.

    Attributes:
        method: the row's name.
        learning_rate: the column's initial rate; None where the method has none.
        weight_decay, seed: the run's.
    """

    method: str
    learning_rate: float | None
    weight_decay: float
    seed: int


class CellStore:
    """Finished runs in a folder.

    Each is written whole or not at all, and says itself which cell it is of. A manifest says what
    all of them were made with.

    Args:
        folder: an experiment's; made if it is not there.
        identity: what every cell depends on, plain JSON.
        makers: by name, what some cells depend on, such as a policy; more may come later.

    Raises:
        ValueError: if the folder holds cells that were made with anything else.
        StorageError: if it cannot be written.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], makers: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self._path = folder / MANIFEST
        wanted = {
            "format": FORMAT,
            "identity": json.loads(json.dumps(identity)),
            "makers": json.loads(json.dumps(makers)),
        }
        found = self._read_manifest()
        if found is None:
            if (folder / FOLDER).exists():
                raise ValueError(f"{folder} holds runs, but {MANIFEST} is missing; {REMEDY}")
            found = {"format": FORMAT, "identity": wanted["identity"], "makers": {}}
        _refuse_differences(self._path, found, wanted)
        merged = wanted | {"makers": found["makers"] | wanted["makers"]}
        text = json.dumps(merged, indent=1, sort_keys=True)
        write_atomically(self._path, text.encode(), overwrite=True)

    def load(self, cell: Cell) -> RunRecord | None:
        """A cell's record; None if it is not there, or cannot be read."""
        try:
            with np.load(self._file(cell), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            if json.loads(str(arrays.pop("cell"))) != list(cell):
                return None
            return RunRecord(**arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None

    def save(self, cell: Cell, record: RunRecord) -> None:
        """Keeps a record; raises `StorageError` if it cannot be written."""
        buffer = io.BytesIO()
        arrays = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
        np.savez(buffer, cell=np.array(json.dumps(cell)), **arrays)
        write_atomically(self._file(cell), buffer.getvalue(), overwrite=True)

    def _file(self, cell: Cell) -> Path:
        rate = "none" if cell.learning_rate is None else f"{cell.learning_rate:g}"
        name = f"{slug(cell.method)}-{rate}-{cell.weight_decay:g}-{cell.seed}.npz"
        return self.folder / FOLDER / name

    def _read_manifest(self) -> dict[str, Any] | None:
        if not self._path.exists():
            return None
        try:
            found = json.loads(self._path.read_bytes())
            return {name: found[name] for name in ("format", "identity", "makers")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._path} cannot be read ({error!r}); {REMEDY}") from error


def slug(name: str) -> str:
    """A name as part of a file's: "Lion, λ = 0.1" becomes "lion-λ-0.1"."""
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-")


def _refuse_differences(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    before, now = _flat(found), _flat(wanted)
    shared_makers = {f"makers.{name}" for name in found["makers"].keys() & wanted["makers"].keys()}
    differences = [
        f"{key}: {before.get(key, 'absent')!r} there, {now.get(key, 'absent')!r} now"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
        and (not key.startswith("makers.") or ".".join(key.split(".")[:2]) in shared_makers)
    ]
    if differences:
        shown = "; ".join(differences[:6]) + ("; and more" if len(differences) > 6 else "")
        raise ValueError(f"{path.parent} holds runs that were made otherwise ({shown}); {REMEDY}")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else key)
    return flat
