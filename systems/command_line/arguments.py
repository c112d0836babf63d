"""The translation of a command line into Hydra's overrides.

Hydra reads values by a grammar of its own, in which `[`, `=`, quotes and numbers have meanings. A
path is taken as it is written, so it is quoted for Hydra where that is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

NAMES = {"env": "env.name", "network": "env.network", "system": "system.name"}
"""Choices that registries know, and the options that hold them."""
OPTIONS_OF = {"logger": "logger_options"}
"""Where options are kept of choices that are lists of names."""
PATHS = re.compile(
    r"resume|output_dir|checkpoint|(velo|celo)_weights|(env|train_on)\.data_dir"
    r"|agents\.\w+\.checkpoint|hydra\.(run|sweep)\.(sub)?dir|runs"
)
"""Options whose values are taken literally: paths, and texts that have some in them."""


class Parsed(NamedTuple):
    """A command line, taken apart.

    Attributes:
        flags: Hydra's, such as `-m`, with their values.
        overrides: the options, as they were given.
        help: whether help is asked for.
        sweeps: whether it is for several runs.
        completes: whether a shell asks for completion: then `overrides` are no options.
    """

    flags: list[str]
    overrides: list[str]
    help: bool
    sweeps: bool
    completes: bool


class Override(NamedTuple):
    """`NAME=VALUE`, with what may stand before it; without a value to remove the option."""

    prefix: str
    name: str
    value: str | None

    @classmethod
    def of(cls, argument: str) -> Override:
        """The override that an argument of the command line is."""
        head, equals, value = argument.partition("=")
        name = head.lstrip("+~")
        return cls(head[: len(head) - len(name)], name, value if equals else None)

    def __str__(self) -> str:
        return f"{self.prefix}{self.name}" + ("" if self.value is None else f"={self.value}")


def parse(arguments: Sequence[str]) -> Parsed:
    """Tells options from flags, in whatever order they come.

    Raises:
        ValueError: for a flag that Hydra does not have, or an option without a value.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    found = parser.parse_intermixed_args(list(arguments))
    overrides = list(found.overrides)
    for override in overrides:
        if "=" not in override and not override.startswith("~"):
            raise ValueError(f"{override!r} has no value; options are given as NAME=VALUE")
    left, flags = list(overrides), []
    for argument in arguments:
        if left and argument == left[0]:
            del left[0]
        else:
            flags.append(argument)
    return Parsed(
        flags, overrides, bool(found.help), bool(found.multirun), bool(found.shell_completion)
    )


def _refuse(message: str) -> NoReturn:
    raise ValueError(f"{message}; options are given as NAME=VALUE, and --help lists them")


def rename(
    overrides: Iterable[str], choices: Collection[str], opened: Collection[str]
) -> list[str]:
    """Overrides by the names that the configs have for options.

    Args:
        overrides: as they were given.
        choices: those of `NAMES` that the command has.
        opened: options below which any name is let through, whether the configs mention it or not:
            they have checks of their own, whose errors list what there is.
    """
    return [str(_rename(Override.of(override), choices, opened)) for override in overrides]


def _rename(given: Override, choices: Collection[str], opened: Collection[str]) -> Override:
    prefix, name, value = given
    if name in choices:
        return Override("++", NAMES[name], value)
    top, dot, rest = name.partition(".")
    if prefix == "~" or top not in opened:
        # There is nothing to add: every option is in the configs.
        return given if dot or prefix == "~" else Override("", name, value)
    return Override("++", f"{OPTIONS_OF.get(top, top)}.{rest}", value) if dot else given


def quote_paths(overrides: Iterable[str], *, sweeps: bool = False) -> list[str]:
    """Overrides whose paths Hydra reads as they are written.

    Args:
        overrides: as they were given.
        sweeps: whether values may be several, after commas.
    """
    return [str(_quote(Override.of(override), sweeps)) for override in overrides]


def _quote(given: Override, sweeps: bool) -> Override:
    if given.value is None or not PATHS.fullmatch(given.name):
        return given
    return given._replace(value=literal(given.value, sweeps=sweeps))


def literal(path: str, *, sweeps: bool = False) -> str:
    """A path such that Hydra reads it as it is written.

    What is quoted as a whole, holds an interpolation (`${...}`), or, in a sweep, is a list of
    values has Hydra's meaning, unless there is a file or folder of that very name. `null` is
    no path.
    """
    if path in ("", "null"):
        return path
    meant, interpolates = _read(path), "${" in path
    if meant == path and not interpolates:
        return path
    if not any(_exists(part) for part in [path, *_interpolating(path)]):
        quoted = len(path) > 1 and path[0] in "'\"" and path[-1] == path[0]
        if isinstance(meant, str) and (quoted or interpolates):
            return path
        if sweeps and isinstance(meant, _Sweep):
            return path
    escaped = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", path)
    return QuotedString(escaped, Quote.single).with_quotes()


def _interpolating(path: str) -> list[str]:
    """The folders that a path leads through whose names might be taken for interpolations."""
    return [folder for folder in map(str, PurePath(path).parents) if "${" in folder]


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # no path at all
        return False


class _Sweep:
    """Stands for values of which a sweep takes one after the other."""


def _read(value: str) -> Any:
    try:
        override = OverridesParser.create().parse_override(f"path={value}")
    except HydraException:
        return None
    return _Sweep() if override.is_sweep_override() else override.value()


def value_of(override: str) -> Any:
    """The value that Hydra reads from an override."""
    value = OverridesParser.create().parse_override(override).value()
    values: Any = OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)
    return values["value"]
