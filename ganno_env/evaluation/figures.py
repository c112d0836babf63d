"""Methods beside each other, and the schedules that agents chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganno_env.evaluation.tables import Row
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode
from ganno_env.viewer.panels import COLOURS, draw_rates


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
    figure = Figure(figsize=(4.6 + 3.6 * len(runs), 4.4), layout="constrained")
    figure.suptitle(title)
    ratios = [1.35, *[1.0] * len(runs), *([0.35] if runs else [])]
    axes = list(np.atleast_1d(figure.subplots(1, len(ratios), width_ratios=ratios)))
    _draw_rows(axes[0], rows, rates)
    for panel, (name, record) in zip(axes[1:-1], runs.items(), strict=True):
        axes[-1].clear()
        draw_rates(panel, axes[-1], Episode.from_record(record, updates_per_step), layer_names)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("gradient updates")
        panel.set_ylabel("learning rate" if panel is axes[1] else "")
    return figure


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
