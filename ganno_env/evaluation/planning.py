"""The runs of a grid, and which of them are made together."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    optimiser: Optimiser | None = None
    interface: InterfaceConfig | None = None

    def of(self, env: NetworkTraining) -> NetworkTraining:
        """The environment with what this changes; itself, if that is nothing."""
        changes: dict[str, Any] = {}
        if self.optimiser is not None:
            changes["optimiser"] = self.optimiser
        if self.interface is not None:
            changes |= self.interface.options()
        return env.replace(**changes) if changes else env

    def training(self, env: NetworkTraining) -> Variant:
        """The part of it by which networks train; what compiles slowly depends on it alone.

        What is shared knows no policy's bounds, and clips no schedule to them.
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
    """Runs that are made together, and end together.

    Attributes:
        group: what they have in common.
        numbers: their places among the specs.
        num_devices: on how many devices.
        runs_per_device: for how many its programs are compiled; the last batch of a group may have
            fewer.
        is_first: whether it is the first of its group, which compiles.
    """

    group: Group
    numbers: tuple[int, ...]
    num_devices: int
    runs_per_device: int
    is_first: bool

    @property
    def size(self) -> int:
        """How many places for runs there are, on all devices."""
        return self.num_devices * self.runs_per_device

    @property
    def places(self) -> list[int]:
        """Each run's: devices take turns, so that none has two runs more than another."""
        return [
            (i % self.num_devices) * self.runs_per_device + i // self.num_devices
            for i in range(len(self.numbers))
        ]

    @property
    def load(self) -> int:
        """How many runs the busiest device has."""
        return -(-len(self.numbers) // self.num_devices)


def plan(specs: Sequence[RunSpec], runs_at_once: int | None, num_devices: int) -> list[Batch]:
    """The batches in which runs are made, in order.

    Each group's first comes before all others, so that what all groups take is known early.
    """
    groups: dict[Group, list[int]] = {}
    for number, spec in enumerate(specs):
        group = Group(spec.variant, spec.controller.decide, spec.controller.schedules)
        groups.setdefault(group, []).append(number)
    batches: list[Batch] = []
    for group, numbers in groups.items():
        size = min(runs_at_once or len(numbers), len(numbers))
        devices = min(size, num_devices)
        batches += [
            Batch(group, tuple(numbers[i : i + size]), devices, -(-size // devices), i == 0)
            for i in range(0, len(numbers), size)
        ]
    return sorted(batches, key=lambda batch: not batch.is_first)
