"""The check of annotations under test, which `conftest` puts on every function of the packages."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import jax
import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype

PACKAGES = ("ganno", "ganno_env", "systems", "benchmarks")

# An int is a float here, as it is to the type checker.
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, checked at each call, if arrays go into it or come out.

    The rest is mypy's: options are refused by their own messages, and fakes stand in for streams.
    """
    hints = getattr(function, "__annotations__", {}).values()
    return _beartype(function) if any(map(_has_arrays, hints)) else function


def _has_arrays(hint: Any) -> bool:
    if isinstance(hint, list):  # a `Callable`'s arguments
        return any(map(_has_arrays, hint))
    if isinstance(hint, type) and issubclass(
        hint, (jaxtyping.AbstractArray, jax.Array, np.ndarray)
    ):
        return True
    return hint is jaxtyping.PyTree or any(map(_has_arrays, typing.get_args(hint)))


def evaluated(dataclass: Callable[..., Any]) -> Callable[..., Any]:
    """`chex.dataclass`, but its constructors' annotations are types and not the texts of types.

    jaxtyping would look for their names in chex, and pass over what it does not find there.
    """

    @functools.wraps(dataclass)
    def decorate(cls: Any = None, **options: Any) -> Any:
        if cls is None:
            return functools.partial(decorate, **options)
        init = inspect.unwrap((made := dataclass(cls, **options)).__init__)
        init.__annotations__ = typing.get_type_hints(init, include_extras=True)
        return made

    return decorate
