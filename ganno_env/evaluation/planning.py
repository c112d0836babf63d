"""The runs of a grid, and which of them are made together."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ganno_env.config import InterfaceConfig
from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Controller, Decide
from ganno_env.optimisers import Optimiser


class Variant(NamedTuple):
    """What a run has that is not as in its grid's environment.

    Attributes:
        optimiser: what trains; the environment's own, if None.
        interface: what agents see and do; the environment's own, if None.
        schedule: of the learning rate that agents act beside; the environment's own, if None.
    """

    optimiser: Optimiser | None = None
    interface: InterfaceConfig | None = None
    schedule: str | None = None

    def of(self, env: NetworkTraining) -> NetworkTraining:
        """The environment with what this changes; itself, if that is nothing."""
        changes: dict[str, Any] = {}
        if self.optimiser is not None:
            changes["optimiser"] = self.optimiser
        if self.interface is not None:
            changes |= self.interface.options()
        if self.schedule is not None:
            changes["schedule"] = self.schedule
        return env.replace(**changes) if changes else env

    def training(self, env: NetworkTraining) -> Variant:
        """The part of it by which networks train; what compiles slowly depends on it alone.

        What is shared knows no policy's bounds, and clips no schedule to them; nor does it know a
        schedule, whose rates it is given.
        """
        interface = self.interface or env.interface
        return Variant(self.optimiser, InterfaceConfig.of(controls=interface.controls))


UNCHANGED = Variant()
"""The grid's environment as it is."""


class RunSpec(NamedTuple):
    """One run of a grid.

    Attributes:
        controller: who sets the controls.
        learning_rate, weight_decay: from where.
        seed: of the initial weights, the batches and the controller's own choices.
        variant: what is not as in the grid's environment.
    """

    controller: Controller
    learning_rate: float
    weight_decay: float
    seed: int
    variant: Variant = UNCHANGED


class Group(NamedTuple):
    """What runs must have in common to be made together.

    Attributes:
        variant: of their environment.
        decide, schedules: of their controllers.
    """

    variant: Variant
    decide: Decide
    schedules: bool


class Batch(NamedTuple):
    """Runs that are made together on one device, and end together.

    Attributes:
        group: what they have in common.
        numbers: their places among the specs.
        size: for how many its programs are compiled; the last batch of a group may have fewer.
    """

    group: Group
    numbers: tuple[int, ...]
    size: int


def plan(specs: Sequence[RunSpec], runs_at_once: int | None, num_devices: int) -> list[Batch]:
    """The batches in which runs are made, in order.

    Each group's first comes before all others, so that what all groups take is known early.

    Args:
        specs: the runs.
        runs_at_once: how many may be under way, on all devices together; all of a group, if None.
        num_devices: on how many devices batches are made.
    """
    groups: dict[Group, list[int]] = {}
    for number, spec in enumerate(specs):
        group = Group(spec.variant, spec.controller.decide, spec.controller.schedules)
        groups.setdefault(group, []).append(number)
    first: list[Batch] = []
    others: list[Batch] = []
    for group, numbers in groups.items():
        size = -(-min(runs_at_once or len(numbers), len(numbers)) // num_devices)
        batches = [
            Batch(group, tuple(numbers[i : i + size]), size) for i in range(0, len(numbers), size)
        ]
        first += batches[:1]
        others += batches[1:]
    return [*first, *others]


class Work:
    """Batches that several devices take from, each what is best for it to take next.

    That is the first batch of a group that is not begun, else one of a group whose programs the
    device has, else one of the group with the most batches left. May be shared by threads.

    Args:
        batches: in order, each group's first before all others.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._lock = threading.Lock()
        self._left: dict[Group, list[Batch]] = {}
        for batch in batches:
            self._left.setdefault(batch.group, []).append(batch)
        self._untouched = list(self._left)

    def take(self, compiled: Collection[Group]) -> Batch | None:
        """The next batch for a device that has the programs of these groups; None at the end."""
        with self._lock:
            left = [group for group, batches in self._left.items() if batches]
            if not left:
                return None
            own = [group for group in left if group in compiled]
            if self._untouched:
                group = self._untouched.pop(0)
            else:
                group = max(own or left, key=lambda group: len(self._left[group]))
            return self._left[group].pop(0)
