"""The panels that figures are made of, each drawn into axes that it is given."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm, to_hex
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ganno_env.viewer.episode import Episode

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart; not their yellow, which is faint."""
STYLES = {"train": (COLOURS[6], "-"), "validation": (COLOURS[3], "--"), "test": (COLOURS[4], ":")}
"""Each split's colour, which is no layer's, and a line for those who see no colour."""
NOTHING = "#EDEDED"
"""The no-op, and a learning rate of 0."""
MOST_LINES = 3
"""Rates of more layers than this are a heat map: lines would hide each other."""
CLIPPED = "clipped to 0"
"""What a rate is that a decrease larger than itself has made 0."""
MOST_NAMES = 24
"""Where there are more rows than this, not all of them are named."""
WIDEST_RATES = 1e4
"""Rates more than about so many times smaller than the largest are drawn as almost 0."""
WIDE_RANGE = 20.0
"""Losses whose largest is so many times their smallest are drawn on a logarithmic axis."""


def draw_rates(axis: Axes, key: Axes, episode: Episode, layer_names: Sequence[str]) -> None:
    """Each layer's learning rate: lines, or a heat map of many layers; `key` explains them."""
    if len(layer_names) > MOST_LINES:
        mesh = draw_rate_map(axis, episode, layer_names, rate_norm([episode]))
        draw_rate_key(key, mesh, [episode])
        return
    draw_rate_lines(axis, episode, layer_names)
    scale_rates(axis, episode.rates[1])
    axis.set_ylabel("learning rate")
    axis.grid(alpha=0.25)
    draw_key(key, axis.get_legend_handles_labels()[0], "layer")


def draw_rate_lines(axis: Axes, episode: Episode, layer_names: Sequence[str]) -> None:
    """Each layer's learning rate as a line, of `MOST_LINES` layers at the most."""
    edges, rates = episode.rates
    widths = np.linspace(2.8, 1.3, max(len(layer_names), 2))
    for layer, name in enumerate(layer_names):
        # A rate holds for a step. Where layers' rates are equal, the first are wider, and show.
        held = np.concatenate([rates[:1, layer], rates[:, layer]])
        axis.plot(
            edges, held, drawstyle="steps-pre",
            color=COLOURS[layer], linewidth=widths[layer], label=name,
        )  # fmt: skip
    steps, layers = np.nonzero(_clipped(rates))
    if steps.size:
        axis.scatter(
            edges[steps], np.zeros(steps.size), c=[COLOURS[layer] for layer in layers], marker="v",
            s=45, clip_on=False, zorder=5, label=CLIPPED,
        )  # fmt: skip
    _mark_beginning(axis, episode)


def _clipped(rates: Float[np.ndarray, "N L"]) -> Bool[np.ndarray, "N L"]:
    """Where a rate has fallen to 0."""
    before = np.concatenate([np.zeros_like(rates[:1]), rates[:-1]])
    clipped: Bool[np.ndarray, "N L"] = (rates == 0) & (before > 0)
    return clipped


def _mark_beginning(axis: Axes, episode: Episode, colour: str = "0.6", width: float = 1.0) -> None:
    """Parts the initial rates, left of it, from those that were chosen."""
    if episode.initial_rates is not None:
        axis.vlines(
            episode.edges[0], 0, 1, transform=axis.get_xaxis_transform(), colors=colour,
            linewidth=width,
        )  # fmt: skip


def scale_rates(axis: Axes, rates: Float[np.ndarray, "T L"]) -> None:
    """A logarithmic axis of a few decades, with 0 at the bottom where some rate is below them."""
    rates = np.asarray(rates, np.float64)  # decades in single precision would be none to matplotlib
    positive = rates[rates > 0]
    if not positive.size:
        axis.set_ylim(-0.05, 1)
        axis.set_yticks([0])
        return
    lowest = 10.0 ** np.round(np.log10(positive.max() / WIDEST_RATES))
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


def rate_norm(episodes: Sequence[Episode]) -> LogNorm:
    """A scale of colours for all rates of these episodes; 0 is not on it."""
    rates = np.concatenate([[], *(np.ravel(episode.rates[1]) for episode in episodes)])
    positive = rates[rates > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (0.1, 1.0)
    return LogNorm(low, max(high, low * 1.1))


def draw_rate_map(
    axis: Axes, episode: Episode, layer_names: Sequence[str], norm: LogNorm
) -> QuadMesh:
    """Each layer's learning rate as a strip whose colour changes in time, the first on top."""
    edges, rates = episode.rates
    colours = matplotlib.colormaps["viridis"].with_extremes(bad=NOTHING)
    axis.set_facecolor(NOTHING)
    rows = np.arange(len(layer_names) + 1)
    mesh = axis.pcolormesh(
        edges, rows, np.ma.masked_less_equal(rates.T, 0), cmap=colours, norm=norm
    )
    if len(layer_names) <= MOST_NAMES:
        axis.hlines(rows[1:-1], edges[0], edges[-1], colors="white", linewidth=0.8)
    _mark_beginning(axis, episode, colour="white", width=3.0)
    _name_rows(axis, layer_names)
    return mesh


def draw_rate_key(key: Axes, mesh: QuadMesh, episodes: Sequence[Episode]) -> None:
    """What the colours of maps of these episodes mean."""
    key.set_axis_off()
    bar = key.inset_axes((0.0, 0.14, 0.09, 0.78))
    ticks = _rate_ticks(*mesh.get_clim())
    key.figure.colorbar(mesh, cax=bar, ticks=ticks, format="{x:g}").minorticks_off()
    bar.tick_params(labelsize=7.5)
    bar.set_title("learning rate", fontsize=8.5, loc="left", pad=7)
    rates = [episode.rates[1] for episode in episodes]
    if any((shown <= 0).any() for shown in rates):
        label = CLIPPED if any(_clipped(shown).any() for shown in rates) else "0"
        zero = Patch(facecolor=NOTHING, edgecolor="0.6", label=label)
        key.legend(handles=[zero], loc="lower left", borderaxespad=0, frameon=False, fontsize=7.5)


def _rate_ticks(low: float, high: float) -> list[float]:
    """A few round rates between two, or the lower one, where there is none."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return ticks or [float(f"{low:.2g}")]


def draw_actions(
    axis: Axes,
    key: Axes,
    episode: Episode,
    layer_names: Sequence[str],
    action_names: Sequence[str],
) -> None:
    """A strip for each agent, the first layer's on top; `key` explains the colours."""
    order = sorted(range(len(action_names)), key=lambda index: _effect(action_names[index]))
    rank = np.argsort(order)
    colours = _action_colours([_effect(action_names[index])[0] for index in order])
    agents = episode.actions.shape[1]
    # A reset's state comes with no action: it has made no updates.
    shown = np.ma.array(rank[episode.actions].T, mask=[episode.updates == 0] * agents)
    axis.pcolormesh(
        episode.edges, np.arange(agents + 1), shown,
        cmap=ListedColormap(colours), vmin=-0.5, vmax=len(order) - 0.5,
    )  # fmt: skip
    if not shown.count():
        axis.text(0.5, 0.5, "no action yet", transform=axis.transAxes, ha="center", va="center")
    for row in range(1, agents):
        axis.axhline(row, color="white", linewidth=0.8)
    _name_rows(axis, layer_names if agents == len(layer_names) else ["all layers"])
    names = (action_names[index] for index in order)
    patches = [
        Patch(facecolor=colour, edgecolor="0.6", linewidth=0.4, label=name)
        for colour, name in zip(colours, names, strict=True)
    ]
    draw_key(key, patches, "action")


def _name_rows(axis: Axes, names: Sequence[str]) -> None:
    """The first on top."""
    count = len(names)
    every = -(-count // MOST_NAMES)
    size = 8 if count <= 12 else 6.5
    axis.set_yticks(np.arange(count)[::every] + 0.5, names[::every], fontsize=size)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(count, 0)


def _effect(name: str) -> tuple[int, int, float]:
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


def _action_colours(signs: Sequence[int]) -> list[str]:
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


def draw_losses(axis: Axes, episode: Episode) -> None:
    """Losses by split; steps on which one has no number are hatched."""
    finite = {s: np.where(np.isfinite(loss), loss, np.nan) for s, loss in episode.losses.items()}
    for split, loss in finite.items():
        _draw_curve(axis, episode.updates, loss, split)
    scale_losses(axis, np.concatenate(list(finite.values())))
    lost = np.any([np.isnan(loss) for loss in finite.values()], axis=0)
    if lost.any():
        axis.fill_between(
            episode.edges, 0, 1, where=np.append(lost, False) | np.append(False, lost),
            transform=axis.get_xaxis_transform(), facecolor="none", edgecolor="0.6", hatch="////",
            linewidth=0, label="diverged",
        )  # fmt: skip
    axis.set_ylabel("loss")
    axis.grid(alpha=0.25)


def scale_losses(axis: Axes, losses: Float[np.ndarray, " N"]) -> None:
    """A logarithmic axis where these losses, of which some may be no numbers, need one."""
    shown = losses[np.isfinite(losses) & (losses > 0)]
    if shown.size and shown.max() > WIDE_RANGE * shown.min():
        axis.set_yscale("log")


def draw_accuracies(axis: Axes, episode: Episode) -> None:
    """Accuracies by split in per cent; one of the run's end alone is a mark there."""
    for split, accuracy in episode.accuracies.items():
        if len(accuracy) == len(episode.updates):
            _draw_curve(axis, episode.updates, accuracy, split)
            continue
        axis.plot(
            episode.updates[-1:], accuracy, color=STYLES[split][0], marker="D", markersize=6,
            linestyle="none", clip_on=False, zorder=5, label=f"{split}, at the end",
        )  # fmt: skip
    axis.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.set_ylabel("accuracy (%)")
    axis.grid(alpha=0.25)


def _draw_curve(
    axis: Axes, updates: Int[np.ndarray, " T"], values: Float[np.ndarray, " T"], split: str
) -> None:
    colour, line = STYLES[split]
    # A line through one point is nothing to see.
    marker = "o" if np.isfinite(values).sum() == 1 else None
    axis.plot(
        updates, values, color=colour, linestyle=line, linewidth=1.6, marker=marker, label=split,
        clip_on=marker is None,
    )  # fmt: skip


def draw_key(axis: Axes, handles: Sequence[Artist], title: str) -> None:
    """A legend in axes of its own, where it covers nothing."""
    axis.set_axis_off()
    axis.legend(
        handles=handles, title=title, loc="center left", borderaxespad=0, frameon=False,
        fontsize=7.5 if len(handles) > 4 else 8.5, title_fontsize=8.5, alignment="left",
        ncols=1 + (len(handles) > 6) + (len(handles) > 18), columnspacing=1, handlelength=1.6,
    )  # fmt: skip
