"""The panels that figures are made of, each drawn into axes that it is given."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ganno_env.viewer.colours import COLOURS, NOTHING, STYLES, action_colours, effect
from ganno_env.viewer.episode import Episode
from ganno_env.viewer.scales import label, scale_losses, scale_values, value_norm, value_ticks

MOST_LINES = 3
"""Values of more layers than this are a heat map: lines would hide each other."""
CLIPPED = "clipped to 0"
"""What a value is that a decrease larger than itself has made 0."""
MOST_NAMES = 24
"""Where there are more rows than this, not all of them are named."""


def draw_values(
    axis: Axes, key: Axes, episode: Episode, name: str, layer_names: Sequence[str]
) -> None:
    """A control's value in each layer: lines, or a map of many layers; `key` explains them."""
    if len(layer_names) > MOST_LINES:
        mesh = draw_value_map(axis, episode, name, layer_names, value_norm([episode], name))
        draw_value_key(key, mesh, [episode], name)
        return
    draw_value_lines(axis, episode, name, layer_names)
    scale_values(axis, episode.values(name)[1], name)
    axis.set_ylabel(label(name))
    axis.grid(alpha=0.25)
    draw_key(key, axis.get_legend_handles_labels()[0], "layer")


def draw_value_lines(axis: Axes, episode: Episode, name: str, layer_names: Sequence[str]) -> None:
    """A control's value in each layer as a line, of `MOST_LINES` layers at the most."""
    edges, values = episode.values(name)
    widths = np.linspace(2.8, 1.3, max(len(layer_names), 2))
    for layer, layer_name in enumerate(layer_names):
        # A value holds for a step. Where layers' values are equal, the first are wider, and show.
        held = np.concatenate([values[:1, layer], values[:, layer]])
        axis.plot(
            edges, held, drawstyle="steps-pre",
            color=COLOURS[layer], linewidth=widths[layer], label=layer_name,
        )  # fmt: skip
    steps, layers = np.nonzero(_clipped(values))
    if steps.size:
        axis.scatter(
            edges[steps], np.zeros(steps.size), c=[COLOURS[layer] for layer in layers], marker="v",
            s=45, clip_on=False, zorder=5, label=CLIPPED,
        )  # fmt: skip
    _mark_beginning(axis, episode, name)


def _clipped(values: Float[np.ndarray, "N L"]) -> Bool[np.ndarray, "N L"]:
    """Where a value has fallen to 0."""
    before = np.concatenate([np.zeros_like(values[:1]), values[:-1]])
    clipped: Bool[np.ndarray, "N L"] = (values == 0) & (before > 0)
    return clipped


def _mark_beginning(
    axis: Axes, episode: Episode, name: str, colour: str = "0.6", width: float = 1.0
) -> None:
    """Parts a control's initial values, left of it, from those that were chosen."""
    if name in episode.initial_controls:
        axis.vlines(
            episode.edges[0], 0, 1, transform=axis.get_xaxis_transform(), colors=colour,
            linewidth=width,
        )  # fmt: skip


def draw_value_map(
    axis: Axes, episode: Episode, name: str, layer_names: Sequence[str], norm: Normalize
) -> QuadMesh:
    """A control's value in each layer as a strip whose colour changes, the first on top."""
    edges, values = episode.values(name)
    colours = matplotlib.colormaps["viridis"].with_extremes(bad=NOTHING)
    rows = np.arange(len(layer_names) + 1)
    mesh = axis.pcolormesh(
        edges, rows, np.ma.masked_less_equal(values.T, 0), cmap=colours, norm=norm
    )
    if len(layer_names) <= MOST_NAMES:
        axis.hlines(rows[1:-1], edges[0], edges[-1], colors="white", linewidth=0.8)
    _mark_beginning(axis, episode, name, colour="white", width=3.0)
    _name_rows(axis, layer_names)
    return mesh


def draw_value_key(key: Axes, mesh: QuadMesh, episodes: Sequence[Episode], name: str) -> None:
    """What the colours of maps of a control in these episodes mean."""
    key.set_axis_off()
    bar = key.inset_axes((0.0, 0.14, 0.09, 0.78))
    ticks = value_ticks(*mesh.get_clim(), isinstance(mesh.norm, LogNorm))
    key.figure.colorbar(mesh, cax=bar, ticks=ticks, format="{x:g}").minorticks_off()
    bar.tick_params(labelsize=7.5)
    bar.set_title(label(name), fontsize=8.5, loc="left", pad=7)
    values = [episode.values(name)[1] for episode in episodes]
    if any((shown <= 0).any() for shown in values):
        meaning = CLIPPED if any(_clipped(shown).any() for shown in values) else "0"
        zero = Patch(facecolor=NOTHING, edgecolor="0.6", label=meaning)
        key.legend(handles=[zero], loc="lower left", borderaxespad=0, frameon=False, fontsize=7.5)


def draw_actions(
    axis: Axes,
    key: Axes,
    episode: Episode,
    actions: Int[np.ndarray, "T agents"],
    layer_names: Sequence[str],
    action_names: Sequence[str],
    title: str = "action",
) -> None:
    """A strip for each agent, the first layer's on top; `key` explains the colours.

    Args:
        axis: where to draw.
        key: where to explain it.
        episode: when they were taken.
        actions: indices into `action_names`, which for several controls are not the episode's own.
        layer_names: in order of depth.
        action_names: as in `ActionSet.names`.
        title: above the key.
    """
    order = sorted(range(len(action_names)), key=lambda index: effect(action_names[index]))
    rank = np.argsort(order)
    colours = action_colours([effect(action_names[index])[0] for index in order])
    agents = actions.shape[1]
    # A reset's state comes with no action: it has made no updates.
    shown = np.ma.array(rank[actions].T, mask=[episode.updates == 0] * agents)
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
    draw_key(key, patches, title)


def _name_rows(axis: Axes, names: Sequence[str]) -> None:
    """The first on top."""
    count = len(names)
    every = -(-count // MOST_NAMES)
    size = 8 if count <= 12 else 6.5
    axis.set_yticks(np.arange(count)[::every] + 0.5, names[::every], fontsize=size)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(count, 0)


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
