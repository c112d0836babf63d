"""JSON lines: one object for each update, complete on disk before the next update begins."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from systems.loggers.base import Record, Run
from systems.utils.files import write_atomically
from systems.utils.strict_json import to_json

FILE_NAME = "metrics.jsonl"


class JsonLinesLogger:
    """Appends to `metrics.jsonl`; on resuming, after dropping what the checkpoint had not seen."""

    def __init__(self, run: Run) -> None:
        path = run.folder / FILE_NAME
        if path.exists():
            kept = [r for r in read_records(path) if r["update"] <= run.first_update]
            content = "".join(_line(record) for record in kept)
            write_atomically(path, content.encode(), overwrite=True)
        self._file = path.open("a", encoding="utf-8")

    def log(self, record: Record) -> None:
        """Writes a line, to the disk itself: no checkpoint is ever ahead of it."""
        self._file.write(_line(record))
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Closes the file."""
        self._file.close()


def read_records(path: Path) -> list[dict[str, float]]:
    """The records of a `metrics.jsonl`; a last line that was cut off is left out."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line).items()
        except (ValueError, AttributeError):
            break
        records.append({k: math.nan if v is None else v for k, v in values})
    return records


def _line(record: Record) -> str:
    return to_json(record) + "\n"
