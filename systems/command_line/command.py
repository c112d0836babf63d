"""A command, and what happens between its arguments and its work: help, Hydra, errors."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ganno.names import unknown
from ganno.options import Options, dotted_names
from systems.command_line import arguments as command_line
from systems.command_line.arguments import NAMES, OPTIONS_OF
from systems.utils.errors import RunError
from systems.utils.output import echo, protect_standard_streams

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PROGRAM = "ganno"
"""The console command, for which Hydra installs completion."""
LINE = "COMP_LINE"
"""The environment variable in which shells hand over the line to be completed."""
FULL_ERROR = "HYDRA_FULL_ERROR"
"""Set to 1, this environment variable shows where an error comes from."""
EXPECTED = (ValueError, RunError, OSError, HydraException, OmegaConfBaseException)
"""Errors that a user can do something about; others are faults of ours, and end in a traceback."""
FAILED, INTERRUPTED = 1, 130


class JobError(Exception):
    """One of a sweep's runs failed, and said why."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command that Hydra composes the options of.

    Attributes:
        module: where it is: `python -m MODULE`; its docstring is the beginning of its help, and its
            `run` takes the options.
        config: its config file's name.
        options: what it takes.
        choices: options whose names are short for one that a registry knows (`arguments.NAMES`).
        groups: folders of config files of which one is chosen.
        open: options below which any name is let through, to be checked where it is known.
        named_by: the group whose choice is the option `name`.
        complete: changes the translated overrides before Hydra sees them.
        interrupted: what to say after Ctrl-C.
    """

    module: str
    config: str
    options: type[Options]
    choices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    named_by: str | None = None
    complete: Callable[[list[str]], list[str]] = list
    interrupted: str = "interrupted"

    @property
    def names(self) -> list[str]:
        """The names of options: what may stand before `=`, or before a dot."""
        hidden = {*NAMES, *OPTIONS_OF.values(), "train_on"} - {*self.choices, *self.open}
        hidden |= {"name"} if self.named_by else set()
        names = dict.fromkeys([*self.choices, *self.groups, *self.options.options()])
        return [name for name in names if name not in hidden]

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Runs it; `arguments` are the command line's if not given.

        Exits with 1 after an error, 130 after an interruption.
        """
        enter(self, self._compose, arguments)

    def translate(self, overrides: Sequence[str], *, sweeps: bool = False) -> list[str]:
        """Hydra's overrides from those of a user."""
        return self.complete(self.rename(command_line.quote_paths(overrides, sweeps=sweeps)))

    def rename(self, overrides: Sequence[str]) -> list[str]:
        """Overrides by the names that the configs have for options."""
        return command_line.rename(overrides, self.choices, self.open)

    def _compose(self, parsed: command_line.Parsed) -> None:
        overrides = parsed.overrides
        if parsed.completes:
            self._translate_line()
        else:
            overrides = self.translate(overrides, sweeps=parsed.sweeps)
        run = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=self.config)
        full = shows_traceback()
        with _hydras([PROGRAM, *parsed.flags, *overrides]):
            run(lambda options: _job(self, options, full))()

    def _translate_line(self) -> None:
        """Translates the finished words of the line that a shell completes, for Hydra to read."""
        program, *words = os.environ.get(LINE, "").split(" ")
        with contextlib.suppress(ValueError):
            os.environ[LINE] = " ".join([program, *self.translate(words[:-1]), *words[-1:]])


def enter(
    command: Command,
    run: Callable[[command_line.Parsed], None],
    arguments: Sequence[str] | None = None,
) -> None:
    """Runs a command on its arguments, with what all commands have in common around their work.

    Args:
        command: what its help and errors are about.
        run: does the work.
        arguments: the command line's if not given.
    """
    protect_standard_streams()
    with reported(command):
        parsed = command_line.parse(sys.argv[1:] if arguments is None else arguments)
        if parsed.help:
            from systems.command_line.help import page

            echo(page(command, parsed.overrides))
        else:
            run(parsed)


@contextlib.contextmanager
def reported(command: Command) -> Iterator[None]:
    """A context that ends the process, after one line, on an error that a user can mend."""
    try:
        yield
    except EXPECTED as error:
        if shows_traceback():
            raise
        echo(f"error: {explain(error, command)}", err=True)
        sys.exit(FAILED)
    except JobError:
        sys.exit(FAILED)
    except KeyboardInterrupt:
        echo(command.interrupted, err=True)
        sys.exit(INTERRUPTED)


def shows_traceback() -> bool:
    """Whether errors are to be shown whole."""
    return os.environ.get(FULL_ERROR) == "1"


def _job(command: Command, options: DictConfig, full: bool) -> None:
    """One run, or one of a sweep's, maybe in a process of its own."""
    run = importlib.import_module(command.module).run
    try:
        values: Any = OmegaConf.to_container(options, resolve=True, throw_on_missing=True)
        if command.named_by is not None:
            values["name"] = HydraConfig.get().runtime.choices[command.named_by]
        run(command.options.parse(values))
    except EXPECTED as error:
        if full:
            raise
        message = explain(error, command)
        if HydraConfig.get().mode is not RunMode.MULTIRUN:
            echo(f"error: {message}", err=True)
            sys.exit(FAILED)
        # Hydra must know which run failed, and goes on with the others.
        job = HydraConfig.get().job
        echo(f"error: run {job.num} ({job.override_dirname}): {message}", err=True)
        raise JobError(message) from error


@contextlib.contextmanager
def _hydras(argv: list[str]) -> Iterator[None]:
    """Makes `sys.argv` Hydra's, and lets its errors through instead of printing them."""
    before, full = sys.argv, os.environ.get(FULL_ERROR)
    sys.argv, os.environ[FULL_ERROR] = argv, "1"
    try:
        yield
    finally:
        sys.argv = before
        if full is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = full


def explain(error: BaseException, command: Command) -> str:
    """What went wrong, in one line."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, error.options)
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override!r} cannot be read ({_reason(error)}); a value with special "
            "characters is quoted twice, as in 'NAME=\"VALUE\"'"
        )
    if found := re.match(r"Could not override '([^']*)'", str(error)):
        return _unknown_option(found[1], command)
    if isinstance(error, MissingMandatoryValue):
        name = str(error).partition("\n")[0].rpartition(" ")[2]
        return f"{name}=VALUE is missing; it must be {command.options.options()[name].allowed}"
    if isinstance(error, OmegaConfBaseException):
        name = f"{error.full_key}: " if error.full_key else ""
        return name + str(error).partition("\n")[0]
    if isinstance(error, HydraException) and error.__cause__ is not None:
        return f"{one_line(str(error))}: {explain(error.__cause__, command)}"
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """The lines of a text as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"([:,]);", r"\1", "; ".join(lines))


def _reason(error: OverrideParseException) -> str:
    lines = [line for line in error.message.splitlines() if not re.match("See|Error parsing", line)]
    reason = lines[0] if lines else ""
    return "its name is not an option's" if reason.startswith("Lexer") else reason


def _unknown_option(name: str, command: Command) -> str:
    from systems.command_line.help import options_below

    below = [row.name for opened in command.open for row in options_below(opened)]
    nested = [*dotted_names(command.options.options()), *below]
    return unknown("option", name, command.names, nested)
