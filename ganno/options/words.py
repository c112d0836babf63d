"""Types in words: what an option may be, as messages and `--help` say it."""

from __future__ import annotations

import collections.abc
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Allowed:
    """Says what an annotated type allows where its own words would not: `Annotated[T, Allowed()]`.

    Args:
        text: in words; or a function of nothing, where it depends on what is registered.
    """

    def __init__(self, text: str | Callable[[], str]) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text if isinstance(self._text, str) else self._text()


PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "null",
    Path: "a path",
    os.PathLike: "a path",
    Any: "anything",
    object: "anything",
}
"""Types that need no more than a name."""


def words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What a type allows, such as "a whole number of at least 1 or null"."""
    metadata = list(metadata)
    while typing.get_origin(annotation) is Annotated:
        annotation, *inner = typing.get_args(annotation)
        metadata = [*inner, *metadata]
    for entry in metadata:
        if isinstance(entry, Allowed):
            return str(entry)
    limits = _limits(metadata)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in PLAIN or origin in PLAIN:
        return (PLAIN.get(annotation) or PLAIN[origin]) + _of_range(limits)
    if origin is Literal:
        return f"one of {', '.join(str(argument) for argument in arguments)}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words(argument) for argument in arguments))
    return _of_kind(origin or annotation, arguments, _of_length(limits))


def _of_kind(kind: Any, arguments: Sequence[Any], length: str) -> str:
    if kind is collections.abc.Callable:
        return "a function"
    if not isinstance(kind, type):
        return str(kind)
    if issubclass(kind, BaseModel):
        return "a mapping of options"
    if hasattr(kind, "_fields") or not issubclass(kind, (Mapping, Sequence)):
        return f"{'an' if kind.__name__[0] in 'AEIOaeio' else 'a'} {kind.__name__}"
    if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
        return f"[{', '.join(words(argument) for argument in arguments)}]"
    whole, items = ("a mapping of names to values", arguments[1:])
    if not issubclass(kind, Mapping):
        whole, items = f"a list{length}", arguments[:1]
    return whole if not items or items[0] is Any else f"{whole}, each {words(items[0])}"


def _limits(metadata: Iterable[Any]) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for entry in metadata:
        for constraint in entry.metadata if isinstance(entry, FieldInfo) else [entry]:
            if isinstance(constraint, annotated_types.BaseMetadata):
                limits |= {
                    name: value
                    for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
                    if (value := getattr(constraint, name, None)) is not None
                }
    return limits


def _of_length(limits: Mapping[str, Any]) -> str:
    least, most = limits.get("min_length", 0), limits.get("max_length")
    if least == most:
        return f" of {most}"
    return " that is not empty" if least else ""


def _of_range(limits: Mapping[str, Any]) -> str:
    if limits.keys() >= {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    said = {"ge": "of at least {}", "gt": "above {}", "le": "of at most {}", "lt": "below {}"}
    parts = [text.format(limits[key]) for key, text in said.items() if key in limits]
    return f" {' and '.join(parts)}" if parts else ""
