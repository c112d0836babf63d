"""Colours that mean the same in every picture."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart; not their yellow, which is faint."""
STYLES = {"train": (COLOURS[6], "-"), "validation": (COLOURS[3], "--"), "test": (COLOURS[4], ":")}
"""Each split's colour, which is no layer's, and a line for those who see no colour."""
NOTHING = "#EDEDED"
"""The no-op, and a value of 0."""


def effect(name: str) -> tuple[int, int, float]:
    """Sorts actions from the largest decrease to the largest increase: sign, kind, size.

    Those that set a value, whatever it was, come last, with a sign of 2.
    """
    if name == "noop":
        return 0, 0, 0.0
    value = float(name[1:])
    if name[0] == "=":
        return 2, 0, value
    if name[0] in "+-":
        sign = 1 if name[0] == "+" else -1
        return sign, sign, sign * value
    factor = value if name[0] == "*" else 1 / value
    return (1 if factor > 1 else -1), 0, float(np.log(factor))


def action_colours(signs: Sequence[int]) -> list[str]:
    """Blues for decreases, oranges for increases, purples for values, the stronger the darker."""
    falls, rises, values = signs.count(-1), signs.count(1), signs.count(2)
    blues = matplotlib.colormaps["Blues_r"](np.linspace(0.08, 0.68, max(falls, 1)))[:falls]
    oranges = matplotlib.colormaps["Oranges"](np.linspace(0.32, 0.92, max(rises, 1)))[:rises]
    purples = matplotlib.colormaps["Purples"](np.linspace(0.25, 0.95, max(values, 1)))[:values]
    return [
        *map(to_hex, blues),
        *[NOTHING] * (len(signs) - falls - rises - values),
        *map(to_hex, oranges),
        *map(to_hex, purples),
    ]
