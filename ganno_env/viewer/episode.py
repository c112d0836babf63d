"""What is drawn of a run, whether it is known from states or from a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Float, Int

from ganno.options import shown
from ganno_env.controls import LEARNING_RATE
from ganno_env.types import RunRecord, State

T = TypeVar("T")
SEEN = ("train", "validation")
CURVES = tuple(f"{split}_{curve}" for split in SEEN for curve in ("loss", "accuracy"))


class Episode(NamedTuple):
    """What is drawn of a run, on the host (T steps, L layers, M is T or 1).

    Attributes:
        updates: gradient updates made by the end of each step; 0 for a reset.
        controls: by name, a control's value for each layer at the step's last update.
        actions: each agent's, taken before the step's updates.
        losses, accuracies: curves by split; an accuracy with M = 1 is of the run's end.
        initial_controls: by name, each layer's value before the first step, of controls for which
            it is known and no state of a reset has it.
    """

    updates: Int[np.ndarray, " T"]
    controls: dict[str, Float[np.ndarray, "T L"]]
    actions: Int[np.ndarray, "T agents"]
    losses: dict[str, Float[np.ndarray, " T"]]
    accuracies: dict[str, Float[np.ndarray, " M"]]
    initial_controls: dict[str, Float[np.ndarray, " L"]]

    @property
    def edges(self) -> Float[np.ndarray, " {len(self.updates)}+1"]:
        """Where each step begins, and where the last ends; one state alone is one update wide."""
        if len(self.updates) == 1:
            return self.updates[0] + np.array([-0.5, 0.5])
        start = self.updates[0] - (self.updates[1] - self.updates[0])
        # A reset is no step: it begins and ends at 0.
        return np.concatenate([[max(start, 0)], self.updates]).astype(float)

    @property
    def rates(self) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N-1 L"]]:
        """The learning rate's `values`."""
        return self.values(LEARNING_RATE.name)

    @property
    def span(self) -> tuple[float, float]:
        """The updates at which the picture begins and ends."""
        edges = [self.values(name)[0] for name in self.controls]
        return min(edge[0] for edge in edges), edges[0][-1]

    def values(self, name: str) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N-1 L"]]:
        """The edges between which a control's values held, and the values in each layer.

        Initial values are drawn as if they had held for a step before the first update.

        Raises:
            ValueError: for a control that the episode does not have.
        """
        values = _control(self.controls, name)
        if name not in self.initial_controls:
            return self.edges, values
        edges = np.concatenate([[self.edges[0] - np.diff(self.edges)[0]], self.edges])
        return edges, np.concatenate([self.initial_controls[name][None], values])

    @classmethod
    def from_states(cls, states: State | Sequence[State], acted: Sequence[str] = ()) -> Episode:
        """From an episode's states in order: a sequence, or one with a leading axis of time.

        Args:
            states: the episode's.
            acted: names of the controls that agents set, which are drawn beside the learning rate.

        Raises:
            ValueError: if they are no states, not of one episode, one after another, or without
                such a control.
        """
        names = list(dict.fromkeys([LEARNING_RATE.name, *acted]))
        many = [_drawn(state, names) for state in _listed(states)]
        if not many:
            raise ValueError("there are no states to draw")
        if isinstance(states, State) and np.ndim(states.step_count):
            updates, values, actions, metrics = jax.device_get(many[0])
        else:
            updates, values, actions, metrics = jax.tree.map(lambda *x: np.stack(x), *many)
        if np.ndim(updates) != 1 or np.any(np.diff(updates) <= 0):
            raise ValueError(
                f"states must be of one episode, one after another, without a reset between them; "
                f"these have made {np.array2string(updates, threshold=20)} gradient updates"
            )
        return cls(
            updates=updates,
            controls=dict(zip(names, values, strict=True)),
            actions=actions,
            losses={split: metrics[f"{split}_loss"] for split in SEEN},
            accuracies={split: metrics[f"{split}_accuracy"] for split in SEEN},
            initial_controls={},
        )

    @classmethod
    def from_record(
        cls, record: RunRecord, updates_per_step: int, initial: Mapping[str, float] | None = None
    ) -> Episode:
        """From a run's record, whose test accuracy may be of each step or of the end alone.

        Args:
            record: the run's.
            updates_per_step: gradient updates a step.
            initial: by name, all layers' value before the first step, which a record does not
                have; controls that the record does not have either are passed over.
        """
        controls = {name: np.asarray(values) for name, values in record.controls.items()}
        layers = controls[LEARNING_RATE.name].shape[1]
        curves = {n: np.asarray(getattr(record, n)) for n in (*CURVES, "test_accuracy")}
        return cls(
            updates=updates_per_step * np.arange(1, len(curves["train_loss"]) + 1),
            controls=controls,
            actions=np.asarray(record.actions),
            losses={split: curves[f"{split}_loss"] for split in SEEN},
            accuracies={split: curves[f"{split}_accuracy"] for split in (*SEEN, "test")},
            initial_controls={
                name: np.full(layers, value)
                for name, value in (initial or {}).items()
                if name in controls
            },
        )


def _listed(states: Any) -> list[State]:
    listed = [states] if isinstance(states, State) else states
    if not isinstance(listed, Sequence) or not all(isinstance(s, State) for s in listed):
        raise ValueError(
            f"what is drawn must be a state, or an episode's states in order, not {shown(states)}"
        )
    return list(listed)


def _drawn(state: State, names: Sequence[str]) -> Any:
    """The small part of a state that is drawn; a network's parameters stay where they are."""
    metrics = {name: getattr(state.metrics, name) for name in CURVES}
    # A list, because JAX would sort a dict's keys.
    values = [_control(state.controls, name) for name in names]
    return state.inner.num_updates, values, state.previous_action, metrics


def _control(controls: Mapping[str, T], name: str) -> T:
    if name not in controls:
        raise ValueError(f"there is no control {name!r} to draw; there are {', '.join(controls)}")
    return controls[name]
