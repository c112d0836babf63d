"""The paper's figures, from curves and from records of runs."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ganno_env.controls import LEARNING_RATE
from ganno_env.evaluation.comparison import comparison
from ganno_env.evaluation.styles import DASHES, Style, styles
from ganno_env.types import RunRecord
from ganno_env.viewer import Episode
from ganno_env.viewer.colours import STYLES
from ganno_env.viewer.figures import label_of_updates, new_figure
from ganno_env.viewer.panels import MOST_LINES, draw_value_lines, draw_values
from ganno_env.viewer.scales import scale_losses, scale_rates

__all__ = [
    "accuracy_curves",
    "comparison",
    "rates_and_accuracy",
    "rates_and_losses",
    "schedules",
    "schedules_beside",
]

WIDTH = 9.5
"""Inches; at a page's width, letters are as large as the text."""
LayerDash = Literal["-", "--", ":", "-."]
LAYER_DASHES: tuple[LayerDash, ...] = ("--", ":", "-.")
"""Of so many layers each is named; of more, all are alike."""


def schedules(curves: Mapping[str, Float[np.ndarray, " updates"]], title: str) -> Figure:
    """Schedules by name, each in a small panel: the rate at each update (figure 5)."""
    figure, axes = _grid(len(curves), 3, 1.9, title)
    looks = styles(curves)
    for axis, (name, curve) in zip(axes, curves.items(), strict=True):
        axis.plot(np.arange(len(curve)), curve, color=looks[name].colour, linewidth=2)
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.25)
    axes[0].yaxis.set_major_locator(MaxNLocator(3, steps=(1, 2, 5, 10)))
    figure.supxlabel("gradient updates", fontsize=10)
    figure.supylabel("learning rate", fontsize=10)
    return figure


def rates_and_losses(runs: Mapping[str, Episode], layer_names: Sequence[str], title: str) -> Figure:
    """Runs beside each other: learning rates above, training losses below (figure 1).

    Args:
        runs: by what each is called, such as "episode 40".
        layer_names: in order of depth; their mean is a thick line, each of them a thin one.
        title: above it all.
    """
    figure = new_figure(WIDTH, 5.6, title)
    above, below = figure.subplots(2, 1, sharex=True)
    looks = styles(runs)
    for name, episode in runs.items():
        _draw_mean_rate(above, episode, looks[name].colour)
        _draw_loss(below, episode, looks[name].colour, name)
    scale_rates(above, np.concatenate(_rates(runs)))
    scale_losses(below, np.concatenate([episode.losses["train"] for episode in runs.values()]))
    above.set_ylabel("learning rate")
    below.set_ylabel("training loss")
    below.set_xlabel(label_of_updates(runs.values()))
    below.set_xlim(*_limits(runs))
    for axis in (above, below):
        axis.grid(alpha=0.25)
    handles = below.get_legend_handles_labels()[0]
    _explain(figure, [*handles, *_layer_lines(layer_names)])
    return figure


def rates_and_accuracy(episode: Episode, layer_names: Sequence[str], title: str) -> Figure:
    """Each layer's learning rate, and the test accuracy, on one axis of time (figure 2)."""
    figure = new_figure(WIDTH, max(2.6, 0.16 * len(layer_names)) + 2.9, title)
    heights = [max(2.6, 0.16 * len(layer_names)), 2.2]
    (rates, key), (accuracy, empty) = figure.subplots(
        2, 2, width_ratios=[1, 0.22], height_ratios=heights
    )
    draw_values(rates, key, episode, LEARNING_RATE.name, layer_names)
    values = 100 * episode.accuracies["test"]
    accuracy.plot(
        episode.updates[-len(values) :], values, color=STYLES["test"][0], linewidth=1.8,
        marker="D" if len(values) == 1 else None, clip_on=len(values) > 1,
    )  # fmt: skip
    accuracy.grid(alpha=0.25)
    empty.set_axis_off()
    for axis in (rates, accuracy):
        axis.set_xlim(*_limits({"": episode}))
    rates.tick_params(labelbottom=False)
    accuracy.set_ylabel("test accuracy (%)")
    accuracy.set_xlabel(label_of_updates([episode]))
    return figure


def accuracy_curves(
    panels: Mapping[str, Mapping[str, Sequence[RunRecord]]],
    epochs: float,
    title: str,
    agents: Collection[str] = (),
) -> Figure:
    """Test accuracy over epochs: the mean, and one standard deviation over seeds (figures 3, 6).

    Args:
        panels: by what is above each (such as "λ = 0.1"), the runs of each method, a seed each.
        epochs: how long each run is.
        title: above it all.
        agents: which of the methods are agents.
    """
    figure, axes = _grid(len(panels), 3, 3.4, title)
    looks = styles((name for runs in panels.values() for name in runs), agents)
    others = [name for name, look in looks.items() if not look.is_agents]
    dashes = dict(zip(others, itertools.cycle(DASHES), strict=False))
    handles: dict[str, Artist] = {}
    for axis, (name, runs) in zip(axes, panels.items(), strict=True):
        for method, records in runs.items():
            line = _draw_accuracy(axis, records, epochs, looks[method])
            line.set(label=method, linestyle=dashes.get(method, "-"))
            handles[method] = line
        axis.set_title(name, fontsize=10)
        axis.set_xlim(0, epochs)
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10), integer=epochs >= 5))
        axis.grid(alpha=0.25)
    figure.supxlabel("epochs", fontsize=10)
    figure.supylabel("test accuracy (%), mean ± sd over seeds", fontsize=10)
    _explain(figure, [handles[method] for method in looks], agents)
    return figure


def schedules_beside(
    reference: Float[np.ndarray, " updates"],
    runs: Mapping[str, Episode],
    layer_names: Sequence[str],
    title: str,
    *,
    reference_name: str = "one_cycle",
) -> Figure:
    """A hand-made schedule, and beside it those that agents chose, on the same axes (figure 7).

    Args:
        reference: its rate at each update, or each step; it is repeated, dashed, behind the others.
        runs: agents', by what each is called.
        layer_names: in order of depth.
        title: above it all.
        reference_name: what the reference is called.
    """
    figure, axes = _grid(1 + len(runs), 2, 2.6, title)
    start, end = _limits(runs) if runs else (0.0, float(len(reference)))
    updates = np.linspace(0, end, len(reference))
    look = styles([reference_name])[reference_name]
    axes[0].plot(updates, reference, color=look.colour, linewidth=2.2)
    axes[0].set_title(reference_name, fontsize=10)
    for axis, (name, episode) in zip(axes[1:], runs.items(), strict=True):
        axis.plot(
            updates, reference, color="0.55", linewidth=1.2, linestyle=(0, (4, 2)), zorder=1,
            label=reference_name,
        )  # fmt: skip
        if len(layer_names) <= MOST_LINES:
            draw_value_lines(axis, episode, LEARNING_RATE.name, layer_names)
        else:
            _draw_mean_rate(axis, episode, styles([name])[name].colour)
        axis.set_title(name, fontsize=10)
    scale_rates(axes[0], np.concatenate([reference, *_rates(runs)]))
    for axis in axes:
        axis.grid(alpha=0.25)
    axes[0].set_xlim(start, end)
    figure.supxlabel(label_of_updates(runs.values()), fontsize=10)
    figure.supylabel("learning rate", fontsize=10)
    named = axes[-1].get_legend_handles_labels()[0]
    _explain(figure, named if len(named) > 1 else [*named, *_layer_lines(layer_names)])
    return figure


def _grid(count: int, columns: int, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels with common axes, row by row, each so many inches high."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(WIDTH, height * rows + 0.7, title)
    # Labels at the ends of neighbours' axes are kept apart.
    figure.set_layout_engine("constrained", wspace=0.06)
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel())
    for axis in axes[count:]:
        axis.set_axis_off()
    for axis in axes[count - columns : count]:
        axis.tick_params(labelbottom=True)
    return figure, axes[:count]


def _rates(runs: Mapping[str, Episode]) -> list[Float[np.ndarray, " _"]]:
    return [np.ravel(episode.rates[1]) for episode in runs.values()]


def _limits(runs: Mapping[str, Episode]) -> tuple[float, float]:
    """Where runs begin and end, in updates."""
    edges = [episode.rates[0] for episode in runs.values()]
    return min(edge[0] for edge in edges), max(edge[-1] for edge in edges)


def _draw_mean_rate(axis: Axes, episode: Episode, colour: str) -> None:
    """The mean over layers, and behind it each of them."""
    edges, rates = episode.rates
    held = np.concatenate([rates[:1], rates])
    layers = list(held.T) if held.shape[1] > 1 else []
    for layer, dash in zip(layers, _layer_dashes(len(layers)), strict=True):
        axis.plot(
            edges, layer, drawstyle="steps-pre", color=colour, linewidth=0.9,
            linestyle=dash, alpha=0.6,
        )  # fmt: skip
    axis.plot(edges, held.mean(1), drawstyle="steps-pre", color=colour, linewidth=2.2)


def _layer_lines(layer_names: Sequence[str]) -> list[Line2D]:
    """What explains the thin lines of `_draw_mean_rate`."""
    if len(layer_names) == 1:
        return []
    named = dict(zip(layer_names, _layer_dashes(len(layer_names)), strict=True))
    if len(named) > len(LAYER_DASHES):
        named = {f"each of {len(layer_names)} layers": "-"}
    thin = [
        Line2D([], [], color="0.4", linewidth=0.9, linestyle=dash, label=name)
        for name, dash in named.items()
    ]
    return [Line2D([], [], color="0.4", linewidth=2.2, label="mean over layers"), *thin]


def _layer_dashes(count: int) -> Sequence[LayerDash]:
    return LAYER_DASHES[:count] if count <= len(LAYER_DASHES) else ["-"] * count


def _draw_loss(axis: Axes, episode: Episode, colour: str, name: str) -> None:
    """A training loss; a cross is where it had a number for the last time."""
    loss = episode.losses["train"]
    known = np.isfinite(loss)
    axis.plot(
        episode.updates, np.where(known, loss, np.nan), color=colour, linewidth=1.8,
        marker="o" if known.sum() == 1 else None,
        label=name if known.all() else f"{name} (diverged)",
    )  # fmt: skip
    if not known.all() and known[0]:
        last = int(np.argmin(known)) - 1
        axis.plot(
            episode.updates[last], loss[last], color=colour, marker="X", markersize=9, clip_on=False
        )


def _draw_accuracy(axis: Axes, records: Sequence[RunRecord], epochs: float, look: Style) -> Line2D:
    accuracy = 100 * np.stack([np.asarray(record.test_accuracy) for record in records])
    mean, deviation = accuracy.mean(0), accuracy.std(0)
    time = epochs * np.arange(1, len(mean) + 1) / len(mean)
    axis.fill_between(
        time, mean - deviation, mean + deviation, color=look.colour, alpha=0.18, linewidth=0
    )
    (line,) = axis.plot(
        time, mean, color=look.colour, linewidth=2.6 if look.is_agents else 1.7,
        zorder=4 if look.is_agents else 3, marker=look.marker if len(mean) == 1 else None,
        clip_on=len(mean) > 1,
    )  # fmt: skip
    return line


def _explain(figure: Figure, handles: Iterable[Artist], agents: Collection[str] = ()) -> None:
    """A legend beside the panels; agents' names are bold."""
    legend = figure.legend(
        handles=list(handles), loc="outside right upper", frameon=False, fontsize=9
    )
    for text in legend.get_texts():
        text.set_fontweight("bold" if text.get_text() in agents else "normal")
