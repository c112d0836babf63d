"""Methods beside each other: a table as a picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from ganno_env.controls import LEARNING_RATE
from ganno_env.evaluation.styles import DASHES, styles
from ganno_env.evaluation.tables import Row
from ganno_env.viewer import Episode
from ganno_env.viewer.figures import label_of_updates, new_figure
from ganno_env.viewer.panels import draw_value_key, draw_value_map
from ganno_env.viewer.scales import value_norm

SHADE = "0.95"
REACH = 3.0
"""How far below the middle the axis is true to scale, in distances from the middle to the best."""
SMALLEST_REACH = 1.0
MOST_COLUMNS = 2
"""Of agents' runs beside each other."""
COMPRESSED = 0.25
"""How high what is further below is drawn, relative to what is above."""

Numbers = Real[np.ndarray, "*N"] | float
Runs = Mapping[str, Episode]


def comparison(
    rows: Sequence[Row],
    rates: Sequence[float],
    runs: Runs,
    layer_names: Sequence[str],
    title: str,
) -> Figure:
    """A table as points with bars, and below it the schedules that agents chose.

    Args:
        rows: the table's; one without rates is a line at its average.
        rates: the initial rates, in the columns' order.
        runs: agents', by what each is called.
        layer_names: the layers that agents set the rates of.
        title: above it all.
    """
    columns = min(MOST_COLUMNS, len(runs))
    lines = list(_lines(runs, columns))
    height = 1.1 + max(0.22 * min(len(layer_names), 12), 0.12 * len(layer_names), 1.3)
    heights = [max(4.2, 0.21 * len(rows) + 1.2), *[height] * len(lines)]
    figure = new_figure(9.5, sum(heights) + 0.4, title)
    parts = figure.subfigures(1 + len(lines), 1, height_ratios=heights, squeeze=False)
    above, *below = parts.ravel()
    _draw_rows(above, rows, rates)
    norm = value_norm(list(runs.values()), LEARNING_RATE.name)
    for part, line in zip(below, lines, strict=True):
        _draw_runs(part, line, columns, layer_names, norm)
    return figure


def _lines(runs: Runs, length: int) -> Iterator[Runs]:
    names = list(runs)
    for start in range(0, len(names), length or 1):
        yield {name: runs[name] for name in names[start : start + length]}


def _draw_rows(figure: SubFigure, rows: Sequence[Row], rates: Sequence[float]) -> None:
    axis = figure.subplots()
    looks = styles((row.method for row in rows), {row.method for row in rows if row.is_agents})
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
    for text, row in zip(legend.get_texts(), rows, strict=False):
        text.set_fontweight("bold" if row.is_agents else "normal")


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

    def forward(value: Numbers) -> Numbers:
        return np.where(value < bend, bend + (value - bend) * factor, value)

    def inverse(value: Numbers) -> Numbers:
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
    figure: SubFigure, runs: Runs, columns: int, layer_names: Sequence[str], norm: Normalize
) -> None:
    """Schedules in a row, a strip of colour for each layer, and one key for all."""
    axes = list(figure.subplots(1, columns + 1, width_ratios=[*[1.0] * columns, 0.24]))
    *panels, key = axes
    for axis in panels[len(runs) :]:
        axis.set_axis_off()
    for number, (panel, (name, episode)) in enumerate(zip(panels, runs.items(), strict=False)):
        mesh = draw_value_map(panel, episode, LEARNING_RATE.name, layer_names, norm)
        panel.set_title(name, fontsize=10)
        panel.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
        panel.tick_params(labelleft=number == 0)
    figure.supxlabel(label_of_updates(runs.values()), fontsize=9)
    draw_value_key(key, mesh, list(runs.values()), LEARNING_RATE.name)
