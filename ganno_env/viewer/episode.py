"""What is drawn of a run, whether it is known from states or from a record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from ganno.options import shown
from ganno_env.types import RunRecord, State

SEEN = ("train", "validation")


class Episode(NamedTuple):
    """What is drawn of a run, on the host (T steps, L layers, M is T or 1).

    Attributes:
        updates: gradient updates made by the end of each step; 0 for a reset.
        learning_rates: each layer's at the step's last update.
        actions: each agent's, taken before the step's updates.
        losses, accuracies: curves by split; an accuracy with M = 1 is of the run's end.
        initial_rates: each layer's before the first step, where no state of a reset has them.
    """

    updates: Int[np.ndarray, " T"]
    learning_rates: Float[np.ndarray, "T L"]
    actions: Int[np.ndarray, "T agents"]
    losses: dict[str, Float[np.ndarray, " T"]]
    accuracies: dict[str, Float[np.ndarray, " M"]]
    initial_rates: Float[np.ndarray, " L"] | None = None

    @property
    def edges(self) -> Float[np.ndarray, " T+1"]:
        """Where each step begins, and where the last ends; one state alone is one update wide."""
        if len(self.updates) == 1:
            return self.updates[0] + np.array([-0.5, 0.5])
        start = self.updates[0] - (self.updates[1] - self.updates[0])
        # A reset is no step: it begins and ends at 0.
        return np.concatenate([[max(start, 0)], self.updates]).astype(float)

    @property
    def rates(self) -> tuple[Float[np.ndarray, " N+1"], Float[np.ndarray, "N L"]]:
        """Each layer's rates in time, and the edges between which they held.

        Initial rates are drawn as if they had held for a step before the first update.
        """
        if self.initial_rates is None:
            return self.edges, self.learning_rates
        edges = np.concatenate([[self.edges[0] - np.diff(self.edges)[0]], self.edges])
        return edges, np.concatenate([self.initial_rates[None], self.learning_rates])

    @classmethod
    def from_states(cls, states: State | Sequence[State]) -> Episode:
        """From an episode's states in order: a sequence, or one with a leading axis of time.

        Raises:
            ValueError: if they are no states, or not of one episode, one after another.
        """
        many = [_drawn(state) for state in _listed(states)]
        if not many:
            raise ValueError("there are no states to draw")
        if isinstance(states, State) and np.ndim(states.step_count):
            updates, rates, actions, metrics = jax.device_get(many[0])
        else:
            updates, rates, actions, metrics = jax.tree.map(lambda *x: np.stack(x), *many)
        if np.ndim(updates) != 1 or np.any(np.diff(updates) <= 0):
            raise ValueError(
                f"states must be of one episode, one after another, without a reset between them; "
                f"these have made {np.array2string(updates, threshold=20)} gradient updates"
            )
        return cls(
            updates=updates,
            learning_rates=rates,
            actions=actions,
            losses={split: metrics[f"{split}_loss"] for split in SEEN},
            accuracies={split: metrics[f"{split}_accuracy"] for split in SEEN},
        )

    @classmethod
    def from_record(
        cls, record: RunRecord, updates_per_step: int, initial_rate: float | None = None
    ) -> Episode:
        """From a run's record, whose test accuracy may be of each step or of the end alone.

        Args:
            record: the run's.
            updates_per_step: gradient updates a step.
            initial_rate: all layers' before the first step, which a record does not have.
        """
        curves = {f.name: np.asarray(getattr(record, f.name)) for f in dataclasses.fields(record)}
        return cls(
            updates=updates_per_step * np.arange(1, len(curves["train_loss"]) + 1),
            learning_rates=curves["learning_rates"],
            actions=curves["actions"],
            losses={split: curves[f"{split}_loss"] for split in SEEN},
            accuracies={split: curves[f"{split}_accuracy"] for split in (*SEEN, "test")},
            initial_rates=None
            if initial_rate is None
            else np.full(curves["learning_rates"].shape[1], initial_rate),
        )


def _listed(states: Any) -> list[State]:
    listed = [states] if isinstance(states, State) else states
    if not isinstance(listed, Sequence) or not all(isinstance(s, State) for s in listed):
        raise ValueError(
            f"what is drawn must be a state, or an episode's states in order, not {shown(states)}"
        )
    return list(listed)


def _drawn(state: State) -> Any:
    """The small part of a state that is drawn; a network's parameters stay where they are."""
    metrics = {f.name: getattr(state.metrics, f.name) for f in dataclasses.fields(state.metrics)}
    return state.inner.num_updates, state.controls["learning_rate"], state.previous_action, metrics
