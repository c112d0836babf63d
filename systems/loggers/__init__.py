"""The loggers, to which a run's figures go. A new one is a file and a line here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ganno.options import Arguments
from ganno_env.registry import Registry
from systems.loggers.base import Logger, Loggers, Record, Run
from systems.loggers.console import ConsoleLogger
from systems.loggers.jsonl import JsonLinesLogger
from systems.loggers.marl_eval import MarlEvalLogger
from systems.loggers.neptune import NeptuneLogger
from systems.loggers.tensorboard import TensorBoardLogger
from systems.loggers.wandb import WandbLogger

__all__ = ["LOGGERS", "Logger", "Loggers", "Record", "Run", "check_loggers", "make_loggers"]

LOGGERS = Registry[Callable[..., Logger]]("logger")
LOGGERS.add("console", ConsoleLogger)
LOGGERS.add("jsonl", JsonLinesLogger)
LOGGERS.add("tensorboard", TensorBoardLogger)
LOGGERS.add("wandb", WandbLogger)
LOGGERS.add("neptune", NeptuneLogger)
LOGGERS.add("marl_eval", MarlEvalLogger)


def check_loggers(names: Iterable[str]) -> None:
    """Checks, before anything else is done, that loggers can start.

    Raises:
        ValueError: for an unknown name, or a package that is not installed.
    """
    for name in names:
        package = getattr(LOGGERS[name], "package", None)
        if package is not None:
            package.check()


def make_loggers(
    options: Mapping[str, Mapping[str, Any] | None], run: Run, others: Sequence[Logger] = ()
) -> Loggers:
    """Starts loggers, in order.

    Args:
        options: each logger's own options, by its name in `LOGGERS`.
        run: what they are to log.
        others: loggers that are started already.

    Raises:
        ValueError: if a logger cannot start: an unknown name or option, a package that is not
            installed, a folder that cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        started = [(type(logger).__name__, logger) for logger in others]
        loggers = stack.enter_context(Loggers(started))
        for name, arguments in options.items():
            make = LOGGERS[name]
            checked = Arguments.of(make, ("run",)).check(arguments or {}, f"logger.{name}.")
            try:
                loggers.add(name, make(run, **checked))
            except OSError as error:
                raise ValueError(f"logger {name!r} cannot start: {error}") from error
        stack.pop_all()  # all have started: whoever asked for them closes them
    return loggers
