"""What an agent can do to its layer's learning rate (paper, appendix D)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ganno.arrays import Array, namespace

NO_OP = 0
"""The action that changes nothing, always the first."""
NOOP = "noop"


def affine(name: str) -> tuple[float, float]:
    """The factor and the summand that an action stands for: `value * factor + summand`.

    Args:
        name: "noop", or such as "*1.10", "/1.01", "+0.0005" and "=0.003", which sets the value
            whatever it was.

    Raises:
        ValueError: for any other name.
    """
    if name == NOOP:
        return 1.0, 0.0
    operator, digits = name[:1], name[1:]
    try:
        operand = float(digits)
    except ValueError:
        operand = math.nan
    if operator not in ("*", "/", "+", "-", "=") or not (math.isfinite(operand) and operand > 0):
        raise ValueError(
            f"unknown action {name!r}; write 'noop', or one of * / + - = before a positive number"
        )
    return {
        "*": (operand, 0.0),
        "/": (1.0 / operand, 0.0),
        "+": (1.0, operand),
        "-": (1.0, -operand),
        "=": (0.0, operand),
    }[operator]


def apply(
    names: Sequence[str], values: Array, actions: Array, bounds: tuple[float, float]
) -> Array:
    """Each layer's new value, float32 [L], within `bounds`. The no-op leaves one as it is, exactly.

    Args:
        names: the actions there are.
        values: before, [L].
        actions: each layer's, an index into `names`, [L].
        bounds: the least and the greatest value.
    """
    xp = namespace(values)
    factors, summands = np.array([affine(name) for name in names], np.float32).T
    moved = values * xp.asarray(factors)[actions] + xp.asarray(summands)[actions]
    return xp.clip(moved, *(xp.asarray(bound, xp.float32) for bound in bounds))
