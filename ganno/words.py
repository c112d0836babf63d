"""Types in words: what an option may be, as messages and `--help` say it."""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclasses.dataclass(frozen=True)
class Allowed:
    """Says what an annotated type allows where its own words would not: `Annotated[T, Allowed()]`.

    `words` is a text, or a function of nothing where it depends on what is registered.
    """

    words: str | Callable[[], str]

    def __str__(self) -> str:
        return self.words if isinstance(self.words, str) else self.words()


PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "null",
    Path: "a path",
    os.PathLike: "a path",
    Any: "anything",
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
    return _of_type(annotation) + _of_range(metadata)


def _of_type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in PLAIN or origin in PLAIN:
        return PLAIN.get(annotation) or PLAIN[origin]
    if origin is Literal:
        return f"one of {', '.join(str(argument) for argument in arguments)}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words(argument) for argument in arguments))
    kind = origin or annotation
    if kind is collections.abc.Callable:
        return "a function"
    if not isinstance(kind, type):
        return str(annotation)
    if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
        return f"[{', '.join(words(argument) for argument in arguments)}]"
    if issubclass(kind, Mapping):
        return _of_items("a mapping of names to values", arguments[1:])
    if issubclass(kind, Sequence):
        return _of_items("a list", arguments[:1])
    if issubclass(kind, BaseModel):
        return "a mapping of options"
    return f"{'an' if kind.__name__[0] in 'AEIO' else 'a'} {kind.__name__}"


def _of_items(whole: str, arguments: Sequence[Any]) -> str:
    bare = not arguments or arguments[0] is Any
    return whole if bare else f"{whole}, each {words(arguments[0])}"


def _of_range(metadata: Iterable[Any]) -> str:
    limits: dict[str, Any] = {}
    for entry in metadata:
        constraints = entry.metadata if isinstance(entry, FieldInfo) else [entry]
        for constraint in constraints:
            if isinstance(constraint, annotated_types.BaseMetadata):
                limits |= {
                    name: value
                    for name in ("ge", "gt", "le", "lt", "min_length")
                    if (value := getattr(constraint, name, None)) is not None
                }
    if not limits:
        return ""
    if limits.keys() == {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    said = {
        "ge": "of at least {}",
        "gt": "above {}",
        "le": "of at most {}",
        "lt": "below {}",
        "min_length": "that is not empty",
    }
    parts = [text.format(limits[key]) for key, text in said.items() if key in limits]
    return f" {' and '.join(parts)}"
