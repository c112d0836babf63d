"""Pictures of runs: schedules beside what they came to, and methods beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganno_env.evaluation.tables import Row
from ganno_env.types import RunRecord

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
LINEAR_BELOW = 1e-4
"""Learning rates are drawn on a logarithmic axis down to this, and linearly from here to 0."""


def comparison(
    rows: Sequence[Row],
    rates: Sequence[float],
    runs: Mapping[str, RunRecord],
    layer_names: Sequence[str],
    updates_per_step: int,
    title: str,
) -> Figure:
    """A table as points with bars, and beside it the schedules that agents chose.

    Args:
        rows: the table's.
        rates: the initial rates, in the columns' order.
        runs: records of agents' runs, by what each is called.
        layer_names: the layers that agents set the rates of.
        updates_per_step: gradient updates a step.
        title: above it all.
    """
    figure = Figure(figsize=(4.2 + 3.6 * len(runs), 4.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 1 + len(runs), width_ratios=[1.25, *[1] * len(runs)])
    axes = np.atleast_1d(axes)
    _draw_rows(axes[0], rows, rates)
    for panel, (name, record) in zip(axes[1:], runs.items(), strict=True):
        _draw_rates(panel, record, layer_names, updates_per_step)
        panel.set_title(name, fontsize=10)
        panel.sharey(axes[1])
    if runs:
        axes[1].set_ylabel("learning rate")
        axes[-1].legend(fontsize=7, ncols=1 if len(layer_names) < 6 else 2, loc="lower left")
    return figure


def schedule_and_loss(
    record: RunRecord, layer_names: Sequence[str], updates_per_step: int, title: str
) -> Figure:
    """Each layer's learning rate above, losses and accuracies below: the paper's figure 1."""
    figure = Figure(figsize=(7, 7), layout="constrained")
    figure.suptitle(title)
    rates, losses, accuracies = figure.subplots(3, 1, sharex=True)
    _draw_rates(rates, record, layer_names, updates_per_step)
    rates.set_xlabel("")
    rates.set_ylabel("learning rate")
    rates.legend(fontsize=7, ncols=1 + len(layer_names) // 6, loc="best")
    updates = _updates(record, updates_per_step)
    for axis, what in ((losses, "loss"), (accuracies, "accuracy")):
        axis.plot(updates, getattr(record, f"train_{what}"), color=COLOURS[0], label="train")
        axis.plot(
            updates, getattr(record, f"validation_{what}"), color=COLOURS[1], label="validation"
        )
        axis.set_ylabel(what)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=7)
    accuracies.set_xlabel("gradient updates")
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Writes a picture, and nothing if that fails halfway."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        figure.savefig(part, dpi=150, format=path.suffix.lstrip("."))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _draw_rows(axis: Axes, rows: Sequence[Row], rates: Sequence[float]) -> None:
    positions = np.arange(len(rates))
    for number, row in enumerate(rows):
        offset = (number - (len(rows) - 1) / 2) * 0.12
        axis.errorbar(
            positions + offset,
            row.means,
            yerr=row.deviations,
            fmt="o",
            capsize=2,
            markersize=5,
            color=COLOURS[number % len(COLOURS)],
            label=f"{row.method} ({row.average:.1f})",
        )
    axis.set_xticks(positions, [f"{rate:g}" for rate in rates])
    axis.set_xlabel("initial learning rate")
    axis.set_ylabel("test accuracy (%), mean ± sd over seeds")
    axis.grid(axis="y", alpha=0.25)
    axis.legend(title="method (average)", fontsize=7, title_fontsize=7)


def _draw_rates(
    axis: Axes, record: RunRecord, layer_names: Sequence[str], updates_per_step: int
) -> None:
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(layer_names)))
    updates = _updates(record, updates_per_step)
    for layer, name in enumerate(layer_names):
        axis.step(
            updates, record.learning_rates[:, layer], where="pre", color=shades[layer], label=name
        )
    axis.set_yscale("symlog", linthresh=LINEAR_BELOW)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("gradient updates")
    axis.grid(alpha=0.25)


def _updates(record: RunRecord, updates_per_step: int) -> np.ndarray:
    return updates_per_step * np.arange(1, len(record.train_loss) + 1)
