"""What a logger is, and how several of them are kept from stopping a run."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeAlias

from systems.output import echo

Record: TypeAlias = Mapping[str, float]
"""One update's figures: `update`, `env_steps`, `seconds` and whatever else there is.

A figure that has no value for this update (the return, where no episode ended) is left out.
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """What is being logged.

    Attributes:
        name: the run's own.
        folder: where a logger may write.
        system, environment, seed: what is trained, on what, from which seed.
        config: all options, for a logger that shows them.
        num_updates, timesteps_per_update: the run's whole length.
        first_update: updates that were made before this process; 0 unless the run is resumed.
    """

    name: str
    folder: Path
    system: str
    environment: str
    seed: int
    config: Mapping[str, Any]
    num_updates: int
    timesteps_per_update: int
    first_update: int = 0


class Logger(Protocol):
    """Takes each update's figures. Its constructor takes a `Run` and its own options.

    A constructor may raise `ValueError` or `OSError`: training has not begun then. Whatever the
    methods raise stops this logger and nothing else.
    """

    def log(self, record: Record) -> None:
        """Takes one update's figures."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Takes what there is to say at the end, and closes."""


class Loggers:
    """Several loggers as one, which never fails: one that does is dropped, with a warning."""

    def __init__(
        self,
        loggers: Sequence[tuple[str, Logger]],
        warn: Callable[[str], None] = lambda message: echo(message, err=True),
    ) -> None:
        self._loggers = list(loggers)
        self._warn = warn

    def log(self, record: Record) -> None:
        """Takes one update's figures."""
        self._each(lambda logger: logger.log(record))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Takes what there is to say at the end, and closes."""
        self._each(lambda logger: logger.finish(summary))

    def _each(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers):
            try:
                call(logger)
            except Exception as error:
                self._loggers.remove((name, logger))
                self._warn(
                    f"warning: logger {name!r} failed and is dropped; training goes on: {error}"
                )


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional package; raises `ValueError` with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"this logger needs the package {module.partition('.')[0]!r} ({error}); install it "
            f"with: python -m pip install --editable '.[{extra}]'"
        ) from error
