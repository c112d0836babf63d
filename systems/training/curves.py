"""The training curve: its picture, and means over parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from systems.loggers.base import Record
from systems.utils.figures import write_figure


def draw_training_curve(records: Sequence[Record], path: Path) -> None:
    """Writes a PNG of episode return and policy entropy against environment steps.

    Raises:
        StorageError: if it cannot be written.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    returns, entropy = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for axes, name, label in (
        (returns, "episode_return", "episode return"),
        (entropy, "entropy", "policy entropy (nats)"),
    ):
        points = [(r["env_steps"], r[name]) for r in records if np.isfinite(r.get(name, np.nan))]
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        if points:
            steps, values = np.array(points, np.float64).T
            axes.plot(steps, values, color="C0", alpha=0.3, label="each update")
            axes.plot(steps, smooth(values), color="C0", label="smoothed")
            axes.legend(frameon=False)
    entropy.set_xlabel("environment steps")
    write_figure(figure, path)


def first_and_last_tenth(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of the first and of the last tenth of curves, [..., updates], of a point at least."""
    size = max(values.shape[-1] // 10, 1)
    return values[..., :size].mean(axis=-1), values[..., -size:].mean(axis=-1)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A centred moving average over a tenth of the curve; windows shrink at its ends."""
    half = max(len(values) // 20, 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    smoothed: NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)
    return smoothed
