"""What a set of options holds, as messages and `--help` need it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from ganno.options.words import words

REQUIRED = inspect.Parameter.empty
"""The default of an option that has none."""


class Option(NamedTuple):
    """One option.

    Attributes:
        type: its annotation.
        default: `REQUIRED` if there is none.
        description: what it means.
    """

    type: Any
    default: Any
    description: str

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        return words(self.type)


def within(option: Option, step: str = "") -> Mapping[str, Option]:
    """The options inside of one that is a set of them, or a mapping of names to such sets."""
    kind = option.type
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.options()  # type: ignore[attr-defined]
    arguments = [Option(argument, REQUIRED, "") for argument in typing.get_args(kind)]
    origin = typing.get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {step: arguments[1]} if step and within(arguments[1]) else {}
    return next((found for argument in arguments if (found := within(argument))), {})


class Row(NamedTuple):
    """An option as `--help` shows it: its dotted name, what it may be, its default, its meaning."""

    name: str
    allowed: str
    default: Any
    description: str


def describe(options: Mapping[str, Option], prefix: str = "") -> list[Row]:
    """Every option in order, those within options in place of what they are within."""
    rows: list[Row] = []
    for name, option in options.items():
        if inner := within(option):
            default = option.default
            rows += describe(
                {
                    below: o._replace(default=getattr(default, below, o.default))
                    for below, o in inner.items()
                },
                f"{prefix}{name}.",
            )
        else:
            rows.append(Row(prefix + name, option.allowed, option.default, option.description))
    return rows


def dotted_names(options: Mapping[str, Option]) -> Iterator[str]:
    """Every option's name, those within options after a dot."""
    for name, option in options.items():
        yield name
        yield from (f"{name}.{inner}" for inner in dotted_names(within(option)))
