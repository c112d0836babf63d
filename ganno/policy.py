"""A trained policy: the one file that it travels in, and what it makes of an observation.

The file is NumPy's `.npz`, not a training checkpoint's folder: it outlives versions of everything
but NumPy, is one file to hand on, is checked by checksum as it is read, and holds no code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ganno import network
from ganno.archives import UNREADABLE, read_archive
from ganno.arrays import Array, namespace
from ganno.names import nearest

FORMAT = "ganno-policy-2"
FILE_NAME = "policy.npz"
PRETRAINED = "pretrained"
"""What the policy that comes with the package is called where a path is asked for."""

LEARNING_RATE = "learning_rate"
ANY_RATE = (0.0, 1.0)
"""The bounds of a policy that was trained without others."""
SMALLEST_RELATIVE_STD = 1e-6
"""A column whose deviation is no more than this part of its mean's magnitude does not vary."""
LARGEST_INPUT = 1e9
"""Observations count as no larger than this."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Policy:
    """A recurrent policy with one set of weights for any number of agents.

    Attributes:
        weights: the network's, float32, by their paths.
        layers, recurrent_size, post_recurrent_layers: its sizes before the GRU, of it and after it.
        mean, deviation: of each observation in training, [F]; a deviation is 0 where one never
            varied.
        observation_limit: how far normalised observations may be from 0, if that is limited.
        greedy: whether it takes its most probable actions, unless it is told otherwise.
        feature_names, action_names: the columns that it observes and the actions that it takes.
        information: what it was trained with, and what that cost; plain JSON.
    """

    weights: network.Weights
    layers: tuple[int, ...]
    recurrent_size: int
    post_recurrent_layers: tuple[int, ...]
    mean: np.ndarray
    deviation: np.ndarray
    observation_limit: float | None
    greedy: bool
    feature_names: tuple[str, ...]
    action_names: tuple[str, ...]
    information: Mapping[str, Any]

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest learning rate of its training."""
        given = self.information.get("environment", {}).get("bounds") or ANY_RATE
        low, high = given[LEARNING_RATE] if isinstance(given, Mapping) else given
        return float(low), float(high)

    @property
    def decisions(self) -> int | None:
        """How many decisions it took in an episode of its training; None if its file is silent."""
        number: int | None = self.information.get("decisions")
        return number

    def initial_hidden(self, num_agents: int) -> np.ndarray:
        """The hidden state before the first decision, float32 [N, H]."""
        return np.zeros((num_agents, self.recurrent_size), np.float32)

    def forward(self, hidden: Array, view: Array) -> tuple[Array, Array]:
        """What it makes of an observation, in NumPy or in JAX.

        Args:
            hidden: from the decision before, or `initial_hidden`; float32 [N, H].
            view: an observation of each agent, [N, F].

        Returns:
            The hidden state to go on with, [N, H], and a logit for each action, [N, A].
        """
        sizes = len(self.layers), len(self.post_recurrent_layers)
        return network.forward(self.weights, hidden, self.normalised(view), *sizes)

    def normalised(self, view: Array) -> Array:
        """Observations by the statistics of training: finite, and 0 where nothing ever varied."""
        xp = namespace(view)
        finite = xp.clip(xp.nan_to_num(view, nan=0.0), -LARGEST_INPUT, LARGEST_INPUT)
        varies = self.deviation > 0
        deviation = np.where(varies, self.deviation, np.float32(1.0))
        normalised = xp.where(varies, (finite - self.mean) / deviation, 0.0)
        limit = self.observation_limit
        return normalised if limit is None else xp.clip(normalised, -limit, limit)


def load_policy(path: Path | str = PRETRAINED) -> Policy:
    """Reads a policy from its file, or from the folder of the run that trained it.

    Args:
        path: the file or the folder, or "pretrained" for the one that comes with the package.

    Raises:
        ValueError: if there is no policy, or if the file is damaged or no policy's.
    """
    return read_policy(path, _parse)


def read_policy(
    path: Path | str, parse: Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], T]
) -> T:
    """What `parse` makes of the header and the arrays of a policy's file; see `load_policy`."""
    file = policy_file(path)
    try:
        header, arrays = read_archive(file)
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
        return parse(header, arrays)
    except UNREADABLE as error:
        raise ValueError(f"{file} is damaged, or is no policy of this project: {error}") from error


def policy_file(path: Path | str, words: Sequence[str] = (PRETRAINED,)) -> Path:
    """The file that `path` stands for: itself, the one in a run's folder, or the package's own.

    Args:
        path: the file or the folder, or "pretrained".
        words: what may have been meant, where there is no such file.

    Raises:
        ValueError: if there is no such file.
    """
    folder = Path(__file__).parent / PRETRAINED if str(path) == PRETRAINED else Path(path)
    file = folder / FILE_NAME if folder.is_dir() else folder
    if not file.is_file():
        close = nearest(path, words)
        hint = f" (did you mean {close!r}?)" if close else ""
        raise ValueError(
            f"there is no policy at {file}{hint}; train one with python -m systems.train, or take "
            f"the one that comes with the package, {PRETRAINED!r}"
        )
    return file


def _parse(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Policy:
    prefix = "actor/params/"
    mean = arrays["statistics/mean"]
    deviation = np.sqrt(arrays["statistics/variance"])
    varies = deviation > SMALLEST_RELATIVE_STD * np.abs(mean)
    return Policy(
        weights={
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        },
        layers=tuple(header["actor"]["layers"]),
        recurrent_size=header["actor"]["recurrent_size"],
        post_recurrent_layers=tuple(header["actor"]["post_recurrent_layers"]),
        mean=mean,
        deviation=np.where(varies, deviation, np.float32(0.0)),
        observation_limit=header["observation_limit"],
        greedy=header.get("greedy", False),  # files from before there was a choice have none
        feature_names=tuple(header["feature_names"]),
        action_names=tuple(header["action_names"]),
        information=header["information"],
    )
