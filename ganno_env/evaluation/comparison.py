"""Methods beside each other: a table as a picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from ganno_env.evaluation.styles import DASHES, is_agents, styles
from ganno_env.evaluation.tables import Row
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode
from ganno_env.viewer.figures import new_figure
from ganno_env.viewer.panels import MOST_LINES, draw_rates, scale_rates

SHADE = "0.95"
REACH = 3.0
"""How far below the middle the axis is true to scale, in distances from the middle to the best."""
SMALLEST_REACH = 1.0
COMPRESSED = 0.25
"""How high what is further below is drawn, relative to what is above."""

Runs = Mapping[str, RunRecord]


def comparison(
    rows: Sequence[Row],
    rates: Sequence[float],
    runs: Runs,
    layer_names: Sequence[str],
    updates_per_step: int,
    title: str,
) -> Figure:
    """A table as points with bars, and below it the schedules that agents chose.

    Args:
        rows: the table's; one without rates is a line at its average.
        rates: the initial rates, in the columns' order.
        runs: records of agents' runs, by what each is called.
        layer_names: the layers that agents set the rates of.
        updates_per_step: gradient updates a step.
        title: above it all.
    """
    columns = min(3 if len(layer_names) <= MOST_LINES else 2, len(runs))
    lines = list(_lines(runs, columns))
    height = max(2.9, 0.18 * len(layer_names))
    heights = [max(4.2, 0.21 * len(rows) + 1.2), *[height] * len(lines)]
    figure = new_figure(9.5, sum(heights) + 0.4, title)
    parts = figure.subfigures(1 + len(lines), 1, height_ratios=heights, squeeze=False)
    above, *below = parts.ravel()
    _draw_rows(above, rows, rates)
    for part, line in zip(below, lines, strict=True):
        panels = _draw_runs(part, line, columns, layer_names, updates_per_step)
        if len(layer_names) <= MOST_LINES:
            for panel in panels:
                scale_rates(panel, _rates(runs))
    return figure


def _lines(runs: Runs, length: int) -> Iterator[Runs]:
    names = list(runs)
    for start in range(0, len(names), length or 1):
        yield {name: runs[name] for name in names[start : start + length]}


def _draw_rows(figure: SubFigure, rows: Sequence[Row], rates: Sequence[float]) -> None:
    axis = figure.subplots()
    looks = styles(row.method for row in rows)
    positions = np.arange(len(rates))
    for position in positions[1::2]:
        axis.axvspan(position - 0.5, position + 0.5, facecolor=SHADE, zorder=0)
    with_rates = [row for row in rows if row.spread is not None]
    for number, row in enumerate(with_rates):
        look = looks[row.method]
        offset = (number - (len(with_rates) - 1) / 2) * min(0.12, 0.86 / len(with_rates))
        axis.errorbar(
            positions + offset, _numbers(row.means), yerr=_numbers(row.deviations),
            color=look.colour, fmt=look.marker, fillstyle=look.fill, capsize=1.5, elinewidth=1,
            markersize=7.5 if look.is_agents else 5.5, zorder=4 if look.is_agents else 3,
            label=_label(row),
        )  # fmt: skip
    without = [row for row in rows if row.spread is None]
    for row, dash in zip(without, itertools.cycle(DASHES), strict=False):
        axis.axhline(
            row.average, color=looks[row.method].colour, linestyle=dash, linewidth=1.8,
            label=_label(row),
        )  # fmt: skip
    compressed = _scale(axis, rows)
    axis.set_xlim(-0.5, max(len(rates), 1) - 0.5)
    axis.set_xticks(positions, [f"{rate:g}" for rate in rates])
    axis.set_xlabel("initial learning rate")
    axis.set_ylabel("accuracy (%), mean ± sd over seeds")
    axis.grid(axis="y", alpha=0.25)
    _explain(figure, axis, rows, compressed)


def _numbers(values: Sequence[float | None]) -> Float[np.ndarray, " N"]:
    return np.array(values, float)


def _label(row: Row) -> str:
    return f"{row.method} ({row.average:.1f})"


def _explain(figure: SubFigure, axis: Axes, rows: Sequence[Row], compressed: Patch | None) -> None:
    """A legend beside the panel, in the table's order."""
    drawn = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    handles = [drawn[_label(row)] for row in rows]
    labels = [_label(row) for row in rows]
    if compressed is not None:
        handles.append(compressed)
        labels.append("scale compressed")
    legend = figure.legend(
        handles, labels, title="method (average)", loc="outside right upper", frameon=False,
        fontsize=8.5, title_fontsize=8.5, alignment="left", handlelength=2.8,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_fontweight("bold" if is_agents(text.get_text()) else "normal")


def _scale(axis: Axes, rows: Sequence[Row]) -> Patch | None:
    """Runs that diverged must not flatten what the others differ by; what says so, if need be."""
    values, ends = _drawn(rows)
    if not values.size:
        return None
    low, middle, high = ends.min(), np.median(values), ends.max()
    bend = middle - REACH * max(values.max() - middle, SMALLEST_REACH)
    bend = np.floor(ends[ends >= bend].min())
    compressed = low < 2 * bend - high
    factor = COMPRESSED * (high - bend) / (bend - low) if compressed else 1.0

    def forward(value: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.where(value < bend, bend + (value - bend) * factor, value)

    def inverse(value: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.where(value < bend, bend + (value - bend) / factor, value)

    if compressed:
        axis.set_yscale("function", functions=(forward, inverse))
        above = np.asarray(MaxNLocator(6).tick_values(bend, high))
        below = np.asarray(MaxNLocator(3, steps=(1, 2, 5, 10)).tick_values(low, bend))
        room = 0.06 * (high - forward(low))
        ticks = [*below[forward(below) < bend - room], *above[above >= bend]]
        axis.yaxis.set_major_locator(FixedLocator(ticks))
        axis.yaxis.set_minor_locator(NullLocator())
    margin = 0.04 * max(high - forward(low), 10.0)
    axis.set_ylim(float(inverse(forward(low) - margin)), high + margin)
    if not compressed:
        return None
    band = axis.axhspan(
        axis.get_ylim()[0], bend, facecolor="none", edgecolor="0.85", hatch="////", linewidth=0,
        zorder=0.5,
    )  # fmt: skip
    return Patch(facecolor="none", edgecolor=band.get_edgecolor(), hatch="////")


def _drawn(rows: Sequence[Row]) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " M"]]:
    """All means and averages that are drawn, and the same with the ends of their bars."""
    lines = np.array([row.average for row in rows if row.spread is None], float)
    means = np.array([row.means for row in rows if row.spread is not None], float).ravel()
    bars = np.array([row.deviations for row in rows if row.spread is not None], float).ravel()
    values = np.concatenate([lines, means])
    ends = np.concatenate([lines, means - bars, means + bars])
    return values[np.isfinite(values)], ends[np.isfinite(ends)]


def _draw_runs(
    figure: SubFigure, runs: Runs, columns: int, layer_names: Sequence[str], updates_per_step: int
) -> list[Axes]:
    """Schedules in a row; lines have one key, and each heat map has its own."""
    lines = len(layer_names) <= MOST_LINES
    ratios = [*[1.0] * columns, 0.3] if lines else [1.0, 0.3] * columns
    axes = list(figure.subplots(1, len(ratios), width_ratios=ratios))
    panels, keys = (axes[:-1], axes[-1:] * columns) if lines else (axes[::2], axes[1::2])
    for axis in axes[len(runs) * (1 if lines else 2) :]:
        axis.set_axis_off()
    for panel, key, (name, record) in zip(panels, keys, runs.items(), strict=False):
        key.clear()
        draw_rates(panel, key, Episode.from_record(record, updates_per_step), layer_names)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("gradient updates")
        panel.set_ylabel("learning rate" if lines and panel is panels[0] else "")
    return panels[: len(runs)]


def _rates(runs: Runs) -> Float[np.ndarray, " N"]:
    return np.concatenate([np.ravel(record.learning_rates) for record in runs.values()])
