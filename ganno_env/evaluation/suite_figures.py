"""A suite's pictures: regrets at a glance, tasks by methods, and profiles of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ganno_env.evaluation.methods import Rate
from ganno_env.evaluation.styles import DASHES, styles
from ganno_env.evaluation.suite import Best, Standing, TaskResults, profile
from ganno_env.viewer.figures import new_figure

COLOURS: dict[Rate, str] = {
    "trained": "#0072B2",
    "start": "#000000",
    "tuned": "#009E73",
    "free": "#E69F00",
    "given": "#999999",
}
WORDS: dict[Rate, str] = {
    "trained": "agents, trained",
    "start": "agents at random",
    "tuned": "one rate, tuned on the training task",
    "free": "takes no rate",
    "given": "starts at each given rate",
}
LINEAR_TO = 10.0
"""Regrets up to this are drawn to scale, larger ones by their logarithm."""
MOST_REGRET = 20.0
"""At which the heat map's colours end."""
MOST_LINES = 8
"""Of a profile."""


def regrets(found: Sequence[Standing], title: str) -> Figure:
    """Each method's mean and worst regret, the least first."""
    figure = new_figure(9.5, 0.27 * len(found) + 1.5, title)
    axis = figure.subplots()
    upwards = found[::-1]
    for place, standing in enumerate(upwards):
        colour = COLOURS[standing.listed.rate]
        mean, worst = standing.mean, standing.worst[0]
        axis.plot([mean.estimate, worst], [place, place], color=colour, linewidth=0.8, alpha=0.6)
        axis.plot([mean.low, mean.high], [place, place], color=colour, linewidth=4, alpha=0.5)
        axis.plot(mean.estimate, place, "o", color=colour, markersize=6)
        axis.plot(worst, place, "|", color=colour, markersize=10, markeredgewidth=2)
    axis.set_yticks(range(len(found)), [standing.listed.name for standing in upwards])
    for label, standing in zip(axis.get_yticklabels(), upwards, strict=True):
        label.set_color(COLOURS[standing.listed.rate])
        label.set_fontweight("bold" if standing.listed.is_agents else "normal")
    axis.set_ylim(-0.6, len(found) - 0.4)
    axis.set_xscale("symlog", linthresh=LINEAR_TO, linscale=2.0)
    ticks = [tick for tick in (-5, 0, 2, 4, 6, 8, 10, 20, 40, 80) if _within(tick, found)]
    axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("regret to the best hand-made cell of each task (points of accuracy)")
    axis.grid(axis="x", alpha=0.3)
    present = {standing.listed.rate for standing in found}
    handles = [
        Line2D([], [], color=COLOURS[rate], marker="o", linestyle="", label=WORDS[rate])
        for rate in COLOURS
        if rate in present
    ]
    handles.append(Line2D([], [], color="0.3", marker="o", label="mean, with 95 % interval"))
    handles.append(
        Line2D([], [], color="0.3", marker="|", markersize=10, linestyle="", label="worst task")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _within(tick: float, found: Sequence[Standing]) -> bool:
    least = min(min(s.mean.low, s.mean.estimate) for s in found)
    return least - 1 <= tick <= max(s.worst[0] for s in found) + 1


def heat_map(found: Sequence[Standing], tasks: Sequence[str], title: str) -> Figure:
    """The regret of each method on each task; the darker, the more is lost."""
    figure = new_figure(9.5, 0.27 * len(found) + 2.2, title)
    axis = figure.subplots()
    values = np.array([[s.regrets.get(task, np.nan) for task in tasks] for s in found])
    norm = PowerNorm(0.5, 0.0, MOST_REGRET, clip=True)
    axis.set_facecolor("0.85")  # where there is no run
    axis.imshow(np.ma.masked_invalid(values), cmap="magma_r", norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:.1f}"
        dark = float(norm(value)) > 0.45
        axis.text(
            column, row, text, ha="center", va="center", fontsize=8,
            color="white" if dark else "black",
        )  # fmt: skip
    axis.set_xticks(range(len(tasks)), [task.replace("_", " ") for task in tasks])
    axis.tick_params(axis="x", labelrotation=35)
    for label in axis.get_xticklabels():
        label.set_horizontalalignment("right")
    axis.set_yticks(range(len(found)), [standing.listed.name for standing in found])
    for label, standing in zip(axis.get_yticklabels(), found, strict=True):
        label.set_fontweight("bold" if standing.listed.is_agents else "normal")
    return figure


def profiles(
    found: Sequence[Standing],
    suite: Mapping[str, TaskResults],
    best: Mapping[str, Best],
    title: str,
) -> Figure:
    """What part of runs lose at most so much: the best methods, and all agents."""
    chosen = [
        standing
        for place, standing in enumerate(found)
        if place < MOST_LINES or standing.listed.is_agents
    ]
    names = [standing.listed.name for standing in chosen]
    agents = {standing.listed.name for standing in chosen if standing.listed.is_agents}
    looks = styles(names, agents)
    figure = new_figure(9.5, 4.4, title)
    axis = figure.subplots()
    points = np.linspace(-3.0, MOST_REGRET, 300)
    for number, name in enumerate(names):
        axis.plot(
            points, 100 * profile(name, suite, best, points), color=looks[name].colour,
            linestyle="-" if name in agents else DASHES[number % len(DASHES)],
            linewidth=2.6 if name in agents else 1.7, label=name,
        )  # fmt: skip
    axis.set_xlabel("regret (points of accuracy)")
    axis.set_ylabel("runs that lose at most so much (%)")
    axis.set_xlim(points[0], points[-1])
    axis.set_ylim(0, 100)
    axis.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8.5)
    return figure
