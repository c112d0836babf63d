"""Optimisers of the networks in training: one file a family, one registry line an optimiser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from ganno.options import Allowed, Arguments
from ganno_env.optimisers.base import (
    Optimiser,
    applied,
    for_each_layer,
    own_state,
    update_direction,
    update_step,
)
from ganno_env.optimisers.standard import adam, lamb, lion, sgd
from ganno_env.registry import Registry

OPTIMISERS: Registry[Callable[..., Optimiser]] = Registry("optimiser")
OPTIMISERS.add("adam", adam)
OPTIMISERS.add("sgd", sgd)
OPTIMISERS.add("lamb", lamb)
OPTIMISERS.add("lion", lion)


def build(choice: str | Mapping[str, Any] | Optimiser) -> Optimiser:
    """The optimiser that an option stands for; equal options give the same object.

    Args:
        choice: a name in `OPTIMISERS`, `{"name": NAME, OPTION: VALUE}`, or an optimiser itself.

    Raises:
        ValueError: for an unknown name or option, or a value that the builder does not take.
    """
    if isinstance(choice, Optimiser):
        return choice
    options = {"name": choice} if isinstance(choice, str) else dict(choice)
    if "name" not in options:
        raise ValueError(f"an optimiser needs a name, one of {', '.join(OPTIMISERS)}")
    builder = OPTIMISERS[options.pop("name")]
    checked = Arguments.of(builder).check(options, "optimiser.")
    return _built(builder, tuple(sorted(checked.items())))


@functools.lru_cache(maxsize=64)
def _built(builder: Callable[..., Optimiser], options: tuple[tuple[str, Any], ...]) -> Optimiser:
    return builder(**dict(options))


def _checked(choice: str | Mapping[str, Any] | Optimiser) -> str | Mapping[str, Any] | Optimiser:
    build(choice)
    return choice


OptimiserOption = Annotated[
    str | Mapping[str, Any] | Optimiser,
    AfterValidator(_checked),
    Allowed(
        lambda: f"one of {', '.join(OPTIMISERS)}, {{name: NAME, OPTION: VALUE}}, or an Optimiser"
    ),
]
"""How an environment's optimiser is given."""

__all__ = [
    "OPTIMISERS",
    "Optimiser",
    "OptimiserOption",
    "applied",
    "build",
    "for_each_layer",
    "own_state",
    "update_direction",
    "update_step",
]
