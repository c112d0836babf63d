"""What is wrong with an option, in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ganno.names import unknown
from ganno.options.rows import Option, dotted_names, within
from ganno.options.values import shown


def explain(
    error: ValidationError,
    options: Mapping[str, Option],
    given: Any,
    prefix: str = "",
    nested: Collection[str] = (),
) -> str:
    """The first thing that is wrong, in one line."""
    details = error.errors(include_url=False)[0]
    finite = ", and finite" if details["type"] == "finite_number" else ""
    if not details["loc"]:  # a rule about several options
        return _reason(details)
    path, option, value, options = _locate(details["loc"], options, given)
    name = prefix + ".".join(path)
    if option is None:
        beside = prefix + "".join(f"{step}." for step in path[:-1])
        below = [beside + dotted for dotted in dotted_names(options) if "." in dotted]
        return unknown("option", name, [beside + known for known in options], [*nested, *below])
    # Errors of what is inside of an option are its own.
    kind = details["type"] if len(details["loc"]) == len(path) else "other"
    if kind == "missing":
        return f"{name} is missing; it must be {option.allowed}"
    if kind == "value_error":
        reason = _reason(details)
        return reason if within(option) else f"{name}={shown(value)}; {reason}"
    return f"{name}={shown(value)}; it must be {option.allowed}{finite}"


def _reason(details: ErrorDetails) -> str:
    return " ".join(str(details["ctx"]["error"]).split())


def _locate(
    location: Sequence[int | str], options: Mapping[str, Option], given: Any
) -> tuple[list[str], Option | None, Any, Mapping[str, Option]]:
    """The innermost option that an error is about: path, itself, value, and those beside it."""
    path: list[str] = []
    option: Option | None = None
    for step in map(str, location):
        if path and not (options := within(option, step)):  # type: ignore[arg-type]
            break
        path.append(step)
        option = options.get(step)
        given = given.get(step) if isinstance(given, Mapping) else getattr(given, step, None)
        if option is None:
            break
    return path, option, given, options
