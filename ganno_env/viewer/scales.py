"""Scales of controls' values and of losses: axes, and what the colours of maps stand for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from ganno_env.controls import LEARNING_RATE
from ganno_env.viewer.episode import Episode

WIDEST_VALUES = 1e4
"""Values more than about so many times smaller than the largest are drawn as almost 0."""
WIDE_VALUES = 100.0
"""Values of other controls than the learning rate are drawn by decades if the largest is so many
times the smallest."""
WIDE_RANGE = 20.0
"""Losses whose largest is so many times their smallest are drawn on a logarithmic axis."""


def label(name: str) -> str:
    """What a control is called in a picture."""
    return name.replace("_", " ")


def is_logarithmic(values: Float[np.ndarray, "..."], name: str) -> bool:
    """Whether a control's values are drawn by decades: learning rates always, as is usual."""
    if name == LEARNING_RATE.name:
        return True
    shown = values[(values > 0) & (values >= values.max(initial=0) / WIDEST_VALUES)]
    return bool(shown.size) and bool(shown.max() >= WIDE_VALUES * shown.min())


def scale_values(axis: Axes, values: Float[np.ndarray, "..."], name: str) -> None:
    """An axis for a control's values, by decades or even."""
    if is_logarithmic(values, name):
        scale_rates(axis, values)
        return
    low, high = float(values.min()), float(values.max())
    margin = max(0.1 * (high - low), 0.05 * high) or 0.05
    axis.set_ylim(max(low - margin, 0) if low > 0 else low - margin, high + margin)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_formatter("{x:g}")


def scale_rates(axis: Axes, rates: Float[np.ndarray, "..."]) -> None:
    """A logarithmic axis of a few decades, with 0 at the bottom where some rate is below them."""
    rates = np.asarray(rates, np.float64)  # decades in single precision would be none to matplotlib
    positive = rates[rates > 0]
    if not positive.size:
        axis.set_ylim(-0.05, 1)
        axis.set_yticks([0])
        return
    lowest = 10.0 ** np.round(np.log10(positive.max() / WIDEST_VALUES))
    if rates.min() >= lowest:
        axis.set_yscale("log")
        # A constant rate is in the middle, not across an axis without ticks.
        axis.set_ylim(min(positive.min() / 1.5, positive.max() / 4), positive.max() * 1.5)
    else:
        threshold = max(10.0 ** np.floor(np.log10(positive.min())), lowest)
        axis.set_yscale("symlog", linthresh=threshold, linscale=0.3)
        axis.set_ylim(-threshold / 5, positive.max() * 1.5)
        decades = threshold * 10.0 ** np.arange(1 + int(np.log10(positive.max() / threshold)))
        # The lowest is too close to 0 for both to have a label.
        axis.set_yticks([0.0, *(decades[1:] if len(decades) > 1 else decades)])


def value_norm(episodes: Sequence[Episode], name: str) -> Normalize:
    """A scale of colours for all values of a control in these episodes; 0 is not on it."""
    values = np.concatenate([[], *(np.ravel(episode.values(name)[1]) for episode in episodes)])
    positive = values[values > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (0.1, 1.0)
    norm = LogNorm if is_logarithmic(values, name) else Normalize
    return norm(low, max(high, low * 1.1))


def value_ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """A few round values between two, for a scale of colours."""
    if logarithmic:
        return _decade_ticks(low, high)
    ticks = np.asarray(MaxNLocator(4).tick_values(low, high))
    return [*ticks[(ticks >= low) & (ticks <= high)]]


def _decade_ticks(low: float, high: float) -> list[float]:
    """A few round values between two, or the lower one, where there is none."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks or [float(f"{low:.2g}")]


def scale_losses(axis: Axes, losses: Float[np.ndarray, " N"]) -> None:
    """A logarithmic axis where these losses, of which some may be no numbers, need one."""
    shown = losses[np.isfinite(losses) & (losses > 0)]
    if shown.size and shown.max() > WIDE_RANGE * shown.min():
        axis.set_yscale("log")
