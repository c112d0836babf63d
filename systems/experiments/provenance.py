"""What a result depends on, whole, as nested plain JSON: compared, digested, and told apart."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np

from ganno_env import NetworkTraining, make_env
from ganno_env.types import Dataset
from systems.utils.strict_json import to_json

Plain: TypeAlias = Any
"""None, truth values, numbers and strings; lists of these, and dictionaries by strings."""

PACKAGE = "ganno"
MOST_DIFFERENCES = 6
"""How many of them a message names."""
NOT_IN_RESULTS = ("data_dir",)
"""Where data lie is no part of what they are: their digest is compared instead."""


def plain(value: Any) -> Plain:
    """A value in the one form that equal values have, so that 20 and 20.0 are no difference.

    Raises:
        TypeError: for what no file of JSON can hold.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be kept in JSON")


def text(value: Any) -> str:
    """The one text of a value: equal values have equal texts, and no others have."""
    return to_json(plain(value), sort_keys=True)


def digest(value: Any) -> str:
    """The SHA-256 of a value's text."""
    return hashlib.sha256(text(value).encode()).hexdigest()


def differences(before: Any, now: Any) -> str:
    """What differs between two values, in one line; empty if nothing does."""
    found = list(_differences(plain(before), plain(now), ()))
    more = "; and more" if len(found) > MOST_DIFFERENCES else ""
    return "; ".join(found[:MOST_DIFFERENCES]) + more


def _differences(before: Plain, now: Plain, path: Sequence[str]) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            here = ".".join((*path, key))
            if key not in before:
                yield f"{here}: absent there, {now[key]!r} now"
            elif key not in now:
                yield f"{here}: {before[key]!r} there, absent now"
            else:
                yield from _differences(before[key], now[key], (*path, key))
    elif text(before) != text(now):
        yield f"{'.'.join(path)}: {before!r} there, {now!r} now"


def of_environment(environment: Mapping[str, Any], env: NetworkTraining) -> Plain:
    """An environment: every argument, the defaults' values too, and its data's digest.

    Args:
        environment: `make_env`'s arguments.
        env: what it made of them.
    """
    defaults = {
        name: parameter.default
        for maker in (NetworkTraining, make_env)
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    arguments = {k: v for k, v in (defaults | dict(environment)).items() if k not in NOT_IN_RESULTS}
    return plain({"arguments": arguments, "data": of_data(env.task.data)})


def of_data(dataset: Dataset) -> str:
    """The SHA-256 of all splits' examples."""
    content = hashlib.sha256()
    for array in jax.tree.leaves((dataset.train, dataset.validation, dataset.test)):
        content.update(f"{array.dtype}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def version() -> str | None:
    """This project's, where it is installed: what results depend on beside their options."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path
        return None
