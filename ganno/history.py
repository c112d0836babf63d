"""What agents saw and did in one training, decision by decision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganno.extras import require


class Decision(NamedTuple):
    """One decision, of which a `History` has many."""

    progress: np.ndarray
    features: np.ndarray
    actions: np.ndarray
    rates: np.ndarray


TYPES = (np.float32, np.float32, np.int32, np.float32)
"""Of a decision's numbers."""


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """D decisions of the agents of L layers.

    Attributes:
        layers: the layers' names.
        feature_names, action_names: what is seen, and what can be done.
        progress: the part of training that was over at each decision, float32 [D].
        features: what each agent saw, float32 [D, L, F].
        actions: what it did, int32 [D, L]; -1 where a number was not finite and rates were lowered.
        rates: each layer's learning rate from then on, float32 [D, L].
    """

    layers: tuple[str, ...]
    feature_names: tuple[str, ...]
    action_names: tuple[str, ...]
    progress: np.ndarray
    features: np.ndarray
    actions: np.ndarray
    rates: np.ndarray

    @classmethod
    def of(
        cls,
        layers: Sequence[str],
        feature_names: Sequence[str],
        action_names: Sequence[str],
        decisions: Sequence[Decision],
    ) -> History:
        """From decisions one by one, if there were any."""
        sizes = {"progress": (), "features": (len(layers), len(feature_names))}
        columns = {
            name: np.array([getattr(decision, name) for decision in decisions], dtype).reshape(
                -1, *sizes.get(name, (len(layers),))
            )
            for name, dtype in zip(Decision._fields, TYPES, strict=True)
        }
        return cls(tuple(layers), tuple(feature_names), tuple(action_names), **columns)

    def __len__(self) -> int:
        return len(self.progress)

    def save(self, path: Path | str) -> None:
        """Writes it to one file, NumPy's `.npz`."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path | str) -> History:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = dict(archive)
        names = ("layers", "feature_names", "action_names")
        return cls(**arrays | {name: tuple(arrays[name].tolist()) for name in names})

    def plot(self, path: Path | str | None = None) -> Any:
        """Draws each layer's learning rate over training, as colours; needs matplotlib.

        Args:
            path: where the picture is to be written, if it is.

        Returns:
            Matplotlib's figure.

        Raises:
            ValueError: if there was no decision yet.
        """
        require("plot", "matplotlib")
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure

        if not len(self):
            raise ValueError("there was no decision yet: there is nothing to draw")
        number = len(self.layers)
        figure = Figure(figsize=(8, 1.5 + 0.25 * number), layout="constrained")
        axes = figure.add_subplot(facecolor="lightgrey")  # a rate of 0 has no logarithm
        rates = np.ma.masked_less_equal(self.rates.T, 0.0)
        edges = np.append(self.progress, 1.0), np.arange(number + 1)
        mesh = axes.pcolormesh(*edges, rates, norm=LogNorm())
        axes.set(xlabel="part of training", ylim=(number, 0))
        axes.set_yticks(np.arange(number) + 0.5, self.layers)
        figure.colorbar(mesh, label="learning rate")
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure
