"""How far what is measured can go, and how what has gone beyond is shown.

A network that diverges shows numbers that are finite and no larger than a poor network's, so that
what is averaged over many networks, such as a policy's running statistics, is not lost to one.
"""

from __future__ import annotations

from jaxtyping import Array, Float

from ganno import arrays
from ganno.features import FRACTION, LOSS, Limits

ANY_METRIC: Limits = (-1e5, 1e5)
"""Of a task's further metrics: perplexity is below 22,027 where the loss is within its limits."""


def within(values: Array, limits: Limits) -> Float[Array, "..."]:
    """`values` as float32 within `limits`; what is not a number becomes the greatest."""
    return arrays.within(values, limits)


__all__ = ["ANY_METRIC", "FRACTION", "LOSS", "Limits", "within"]
