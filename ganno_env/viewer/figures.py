"""Figures and animations; made without pyplot, they need no display and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ganno_env.types import State
from ganno_env.viewer import panels
from ganno_env.viewer.episode import Episode

FilePath = str | os.PathLike[str]
MOST_FRAMES = 200
"""Of an animation; a longer episode's steps are skipped evenly."""
COVER_LAYER = 10
"""Above all that is drawn."""


class TrainingViewer:
    """Draws episodes of a network in training, as Jumanji's viewers do.

    Args:
        layer_names: in order of depth.
        action_names: as in `ActionSet.names`.
        title: above the figures.
    """

    def __init__(
        self, layer_names: Sequence[str], action_names: Sequence[str], title: str = ""
    ) -> None:
        self.layer_names = tuple(layer_names)
        self.action_names = tuple(action_names)
        self.title = title

    def render(
        self, states: State | Sequence[State] | Episode, save_path: FilePath | None = None
    ) -> Figure:
        """A figure of an episode so far: of one state, or of many in order (see `Episode`)."""
        figure, _ = self._draw(states)
        if save_path is not None:
            save(figure, save_path)
        return figure

    def animate(
        self,
        states: State | Sequence[State] | Episode,
        interval: int = 200,
        save_path: FilePath | None = None,
    ) -> FuncAnimation:
        """The same figure, uncovered step by step.

        Args:
            states: an episode.
            interval: milliseconds between frames.
            save_path: where to write it; a name that ends in `.gif` needs no other program.
        """
        figure, axes = self._draw(states)
        # Laid out once, because frames differ in what is covered alone.
        figure.canvas.draw()
        figure.set_layout_engine("none")
        covers = [_cover(axis) for axis in axes]
        updates = _episode(states).updates

        def show(step: int) -> list[Artist]:
            for cover in covers:
                cover.set_x(updates[step])
            return list(covers)

        count = len(updates)
        frames = np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int))
        animation = FuncAnimation(figure, show, frames=frames.tolist(), interval=interval)
        if save_path is not None:
            gif = Path(save_path).suffix == ".gif"
            animation.save(os.fspath(save_path), writer="pillow" if gif else None)
        return animation

    def _draw(self, states: State | Sequence[State] | Episode) -> tuple[Figure, list[Axes]]:
        episode = _episode(states)
        rows = max(0.16 * len(self.layer_names), 2.6), max(0.16 * episode.actions.shape[1], 1.1)
        heights = [*rows, 1.8, 1.8]
        figure = new_figure(9.5, sum(heights) + 0.9, self.title)
        grid = figure.subplots(4, 2, width_ratios=[1, 0.25], height_ratios=heights)
        axes, keys = list(grid[:, 0]), list(grid[:, 1])
        panels.draw_rates(axes[0], keys[0], episode, self.layer_names)
        panels.draw_actions(axes[1], keys[1], episode, self.layer_names, self.action_names)
        panels.draw_losses(axes[2], episode)
        panels.draw_accuracies(axes[3], episode)
        for axis, key in zip(axes[2:], keys[2:], strict=True):
            panels.draw_key(key, axis.get_legend_handles_labels()[0], "")
        for axis in axes:
            _set_updates(axis, episode)
            axis.tick_params(labelbottom=axis is axes[-1])
        axes[-1].set_xlabel(label_of_updates([episode]))
        figure.align_ylabels(axes[2:])
        return figure, axes


def draw_schedule(
    learning_rates: Float[np.ndarray, "T L"],
    train_loss: Float[np.ndarray, " T"],
    validation_loss: Float[np.ndarray, " T"] | None = None,
    *,
    layer_names: Sequence[str],
    updates_per_step: int,
    path: FilePath | None = None,
    title: str = "",
) -> Figure:
    """A schedule for each layer, and beside it the loss: the paper's figure 1.

    Args:
        learning_rates: each layer's at each step's last update.
        train_loss: over each step.
        validation_loss: after each step.
        layer_names: in order of depth.
        updates_per_step: gradient updates a step.
        path: where to write the figure, if anywhere; the suffix says in which format.
        title: above it all.
    """
    given = {"train": train_loss, "validation": validation_loss}
    curves = {split: np.asarray(loss) for split, loss in given.items() if loss is not None}
    rates = np.asarray(learning_rates)
    episode = Episode(
        updates=updates_per_step * np.arange(1, len(rates) + 1),
        learning_rates=rates,
        actions=np.zeros((len(rates), 0), int),
        losses=curves,
        accuracies={},
    )
    figure = new_figure(11, max(3.8, 0.16 * len(layer_names) + 1), title)
    left, key, right = figure.subplots(1, 3, width_ratios=[1, 0.22, 1])
    panels.draw_rates(left, key, episode, layer_names)
    panels.draw_losses(right, episode)
    if len(right.get_legend_handles_labels()[0]) > 1:
        right.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        _set_updates(axis, episode)
        axis.set_xlabel("gradient updates")
    right.set_ylabel("loss" if len(curves) > 1 else "training loss")
    if path is not None:
        save(figure, path)
    return figure


def save(figure: Figure, path: FilePath) -> Path:
    """Writes a figure, making its folder; half a figure is never left."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        figure.savefig(part, dpi=150, format=target.suffix.lstrip(".") or "png")
        part.replace(target)
    finally:
        # One that cannot be removed must not hide what went wrong.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _episode(states: State | Sequence[State] | Episode) -> Episode:
    return states if isinstance(states, Episode) else Episode.from_states(states)


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure with a title, its sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def label_of_updates(episodes: Iterable[Episode]) -> str:
    """Of an axis of gradient updates."""
    begun = any(episode.initial_rates is not None for episode in episodes)
    return "gradient updates" + (" (before 0: the initial rate)" if begun else "")


def _set_updates(axis: Axes, episode: Episode) -> None:
    edges, _ = episode.rates
    axis.set_xlim(edges[0], edges[-1])
    if len(episode.updates) == 1:
        axis.set_xticks(episode.updates)


def _cover(axis: Axes) -> Rectangle:
    """What hides the steps to come, with a line at the last one that has been."""
    left, right = axis.get_xlim()
    cover = Rectangle(
        (left, 0), right - left, 1, transform=axis.get_xaxis_transform(), facecolor="white",
        edgecolor="0.4", linewidth=1, zorder=COVER_LAYER,
    )  # fmt: skip
    axis.add_patch(cover)
    return cover
