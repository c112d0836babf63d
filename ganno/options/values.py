"""Values as they are given: made Python's own, and shown in messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LONGEST_VALUE = 120
"""Characters of a value that a message shows."""


def to_python(value: Any) -> Any:
    """Arrays and their numbers as Python's, sequences as tuples and mappings as dicts."""
    if hasattr(value, "__array__") and hasattr(value, "dtype"):  # NumPy's, JAX's
        return _of_array(value)
    if isinstance(value, Mapping):
        return {key: to_python(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not _is_one(value):
        return tuple(to_python(item) for item in value)
    return value


def _is_one(value: Sequence[Any]) -> bool:
    """Whether a sequence stands for one thing: a text, or a named tuple."""
    return isinstance(value, (str, bytes)) or hasattr(value, "_fields")


def _of_array(value: Any) -> Any:
    try:
        array = np.asarray(value)
    except TypeError:  # traced by JAX: it has no value
        return value
    return value if array.dtype == object else to_python(array.tolist())


def named(values: Any, prefix: str) -> dict[str, Any]:
    """`to_python` values by their names; raises `ValueError` if they are no mapping."""
    given = to_python(values)
    if not isinstance(given, dict):
        name = prefix.rstrip(".") or "options"
        raise ValueError(f"{name}={shown(values)}; it must be a mapping of names to values")
    return {str(name): value for name, value in given.items()}


def shown(value: Any) -> str:
    """A value as a message shows it: in one line, and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ..."
