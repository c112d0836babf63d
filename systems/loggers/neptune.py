"""Neptune's client, in its offline or debug mode: the hosted service closed in March 2026."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from systems.loggers.base import Package, Record, Run
from systems.utils.strict_json import plain

FOLDER = "NEPTUNE_DATA_DIRECTORY"
"""The environment variable by which the client is told where to write."""


class NeptuneLogger:
    """Logs series under `training/`.

    Args:
        run: what is logged.
        mode: as `neptune.init_run`'s: "offline" writes to the run's `.neptune`, "debug" writes
            nothing, "async" and "sync" need a server of one's own.
        **options: any other argument of `neptune.init_run`.
    """

    package = Package("neptune", "neptune")

    def __init__(self, run: Run, mode: str = "offline", **options: Any) -> None:
        neptune = self.package.load()
        try:
            with _writing_to(run.folder / ".neptune"):
                self._run = neptune.init_run(mode=mode, name=run.name, **options)
        except Exception as error:
            raise ValueError(f"Neptune cannot start: {error}; try mode=offline") from error
        try:
            self._run["config"] = neptune.utils.stringify_unsupported(dict(run.config))
        except Exception as error:
            self._run.stop()
            raise ValueError(f"Neptune does not take the run's options: {error}") from error

    def log(self, record: Record) -> None:
        """Appends to each figure's series, which take finite numbers alone."""
        for name, value in record.items():
            if math.isfinite(value):
                self._run[f"training/{name}"].append(value, step=record["env_steps"])

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes the summary and ends the run."""
        for name, value in plain(summary).items():
            if value is not None:
                self._run[f"summary/{name}"] = value
        self._run.stop()


@contextlib.contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Unless the environment names another folder already."""
    named = FOLDER in os.environ
    os.environ.setdefault(FOLDER, str(folder.absolute()))
    try:
        yield
    finally:
        if not named:
            del os.environ[FOLDER]
