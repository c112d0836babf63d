"""Figures and animations; made without pyplot, they need no display and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ganno_env.actions import JointActions
from ganno_env.controls import LEARNING_RATE
from ganno_env.types import State
from ganno_env.viewer import panels
from ganno_env.viewer.episode import Episode
from ganno_env.viewer.scales import label

FilePath: TypeAlias = str | os.PathLike[str]
MOST_FRAMES = 200
"""Of an animation; a longer episode's steps are skipped evenly."""
COVER_LAYER = 10
"""Above all that is drawn."""


class Panel(NamedTuple):
    """A panel's height in inches, and what draws it and its key."""

    height: float
    draw: Callable[[Axes, Axes], None]


class TrainingViewer:
    """Draws episodes of a network in training, as Jumanji's viewers do.

    Args:
        layer_names: in order of depth.
        actions: what agents choose among. There are panels for each control that they set, and
            one for the learning rate in any case.
        title: above the figures.
    """

    def __init__(self, layer_names: Sequence[str], actions: JointActions, title: str = "") -> None:
        self.layer_names = tuple(layer_names)
        self.actions = actions
        self.title = title
        acted = (one.name for one in actions.acted)
        self.control_names = tuple(dict.fromkeys([LEARNING_RATE.name, *acted]))

    def render(
        self, states: State | Sequence[State] | Episode, save_path: FilePath | None = None
    ) -> Figure:
        """A figure of an episode so far: of one state, or of many in order (see `Episode`)."""
        figure, _ = self._draw(self._episode(states))
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
        episode = self._episode(states)
        figure, axes = self._draw(episode)
        # Laid out once, because frames differ in what is covered alone.
        figure.canvas.draw()
        figure.set_layout_engine("none")
        covers = [_cover(axis) for axis in axes]
        updates = episode.updates

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

    def _episode(self, states: State | Sequence[State] | Episode) -> Episode:
        if isinstance(states, Episode):
            return states
        return Episode.from_states(states, self.control_names)

    def _draw(self, episode: Episode) -> tuple[Figure, list[Axes]]:
        drawn = list(self._panels(episode))
        heights = [panel.height for panel in drawn]
        figure = new_figure(9.5, sum(heights) + 0.9, self.title)
        grid = figure.subplots(len(drawn), 2, width_ratios=[1, 0.25], height_ratios=heights)
        axes = list(grid[:, 0])
        for panel, axis, key in zip(drawn, axes, grid[:, 1], strict=True):
            panel.draw(axis, key)
            _set_updates(axis, episode)
            axis.tick_params(labelbottom=axis is axes[-1])
        axes[-1].set_xlabel(label_of_updates([episode], self.control_names))
        figure.align_ylabels(axes[-2:])
        return figure, axes

    def _panels(self, episode: Episode) -> Iterator[Panel]:
        """Each control's values and the actions on it, then losses and accuracies."""
        acted = {one.name: one.actions.names for one in self.actions.acted}
        actions = dict(zip(acted, self._split(episode.actions), strict=True))
        alone = len(self.control_names) == 1
        # The panels of several controls are lower than those of one alone.
        least, row = (2.6, 0.16) if alone else (1.8, 0.12)
        height = max(row * len(self.layer_names), least)
        actions_height = max(row * episode.actions.shape[1], 1.1)
        for name in self.control_names:
            yield Panel(
                height,
                partial(
                    panels.draw_values, episode=episode, name=name, layer_names=self.layer_names
                ),
            )
            if name in acted:
                yield Panel(
                    actions_height,
                    partial(
                        panels.draw_actions, episode=episode, actions=actions[name],
                        layer_names=self.layer_names, action_names=acted[name],
                        title="action" if alone else f"action on {label(name)}",
                    ),
                )  # fmt: skip
        for draw in (panels.draw_losses, panels.draw_accuracies):
            yield Panel(1.8, partial(_draw_curves, draw=draw, episode=episode))

    def _split(self, actions: Int[np.ndarray, "T agents"]) -> list[Int[np.ndarray, "T agents"]]:
        """The actions on each control."""
        indices = self.actions.split(jnp.asarray(actions.ravel()))
        return [np.asarray(index).reshape(actions.shape) for index in indices]


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
        controls={LEARNING_RATE.name: rates},
        actions=np.zeros((len(rates), 0), int),
        losses=curves,
        accuracies={},
        initial_controls={},
    )
    figure = new_figure(11, max(3.8, 0.16 * len(layer_names) + 1), title)
    left, key, right = figure.subplots(1, 3, width_ratios=[1, 0.22, 1])
    panels.draw_values(left, key, episode, LEARNING_RATE.name, layer_names)
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


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure with a title, its sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def label_of_updates(
    episodes: Iterable[Episode], names: Sequence[str] = (LEARNING_RATE.name,)
) -> str:
    """The label of an axis of gradient updates, above which these controls are drawn."""
    if not any(name in episode.initial_controls for episode in episodes for name in names):
        return "gradient updates"
    initial = "the initial rate" if len(names) == 1 else "initial values"
    return f"gradient updates (before 0: {initial})"


def _draw_curves(
    axis: Axes, key: Axes, draw: Callable[[Axes, Episode], None], episode: Episode
) -> None:
    """A panel of curves by split, and its key."""
    draw(axis, episode)
    panels.draw_key(key, axis.get_legend_handles_labels()[0], "")


def _set_updates(axis: Axes, episode: Episode) -> None:
    axis.set_xlim(*episode.span)
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
