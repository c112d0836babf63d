"""The protocol of loggers, and several of them as one that never stops a run."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, Protocol, TypeAlias

from systems.utils.output import echo

Record: TypeAlias = Mapping[str, float]
"""One update's figures: `update`, `env_steps`, `seconds` and whatever else there is.

A figure that has no value for this update (the return, where no episode ended) is left out.
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """The run that is being logged.

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


STATUS, FINISHED = "status", "finished"
"""The entry of a summary that says how the run ended, and what it says if nothing ended it."""


class Logger(Protocol):
    """A logger, which gets each update's figures. Its constructor takes a `Run` and its options.

    A constructor may raise `ValueError` or `OSError`: training has not begun then, and it must
    leave nothing open. Whatever the methods raise stops this logger and nothing else. A class that
    needs an optional package names it in `package`, so that it is missed before anything is done.
    """

    def log(self, record: Record) -> None:
        """Takes one update's figures."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Takes what there is to say at the end, and closes.

        Called once, whatever ends the run: `summary["status"]` is "finished", or says what ended
        it, and then there may be nothing else in it.
        """


class Loggers:
    """Several loggers as one, which never fails: one that does is dropped, with a warning.

    Leaving its context closes those that are open, whatever the reason.
    """

    def __init__(
        self,
        loggers: Sequence[tuple[str, Logger]],
        warn: Callable[[str], None] = lambda message: echo(message, err=True),
    ) -> None:
        self._loggers = list(loggers)
        self._warn = warn

    def add(self, name: str, logger: Logger) -> None:
        """Takes in one more."""
        self._loggers.append((name, logger))

    def log(self, record: Record) -> None:
        """Takes one update's figures."""
        self._each(lambda logger: logger.log(record))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Takes what there is to say at the end, and closes; the first call alone has an effect."""
        self._each(lambda logger: logger.finish(summary))
        self._loggers.clear()

    def __enter__(self) -> Loggers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish({STATUS: FINISHED if kind is None else _failure(kind, error)})

    def _each(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers):
            try:
                call(logger)
            except Exception as error:
                self._loggers.remove((name, logger))
                # What it has open must not be taken for the next run's.
                with contextlib.suppress(Exception):
                    logger.finish({STATUS: _failure(type(error), error)})
                self._warn(
                    f"warning: logger {name!r} failed and is dropped; training goes on: {error}"
                )


def _failure(kind: type[BaseException], error: BaseException | None) -> str:
    return f"failed: {kind.__name__}: {error}"


class Package(NamedTuple):
    """An optional package: its module, and the extra of ours that installs it."""

    module: str
    extra: str

    def check(self) -> None:
        """Raises `ValueError` unless it is installed; imports nothing."""
        if sys.modules.get(self.module) is not None:
            return
        spec = importlib.util.find_spec(self.module)
        if spec is None or spec.origin is None:  # a folder of that name is no package
            raise self._missing(f"No module named {self.module!r}")

    def load(self) -> ModuleType:
        """Imports it; raises `ValueError` if that fails."""
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise self._missing(error) from error

    def _missing(self, reason: object) -> ValueError:
        return ValueError(
            f"this logger needs the package {self.module!r} ({reason}); install it "
            f"with: python -m pip install --editable '.[{self.extra}]'"
        )
