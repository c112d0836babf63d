"""JSON that every parser reads: no NaN and no infinity, which JSON does not have."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON; null stands for a number that is not finite.

    Args:
        value: mappings, lists, tuples, texts, paths, numbers and truth values, also NumPy's own,
            and its arrays.
        indent: spaces for each level; all on one line if not given.
        sort_keys: whether to put names in order.

    Raises:
        TypeError: for anything else.
    """
    return json.dumps(  # noqa: TID251
        plain(value), indent=indent, sort_keys=sort_keys, allow_nan=False
    )


def plain(value: Any) -> Any:
    """The same value of Python's own types, as reading its JSON would return it.

    Raises:
        TypeError: for what no file of JSON can hold.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} is not JSON serializable")
