"""What is trained, and what agents see and do, each as one typed object."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from ganno.options import Allowed, typed
from ganno_env.actions import ActedControl, ActionSet, JointActions
from ganno_env.checks import (
    check_features,
    check_fit,
    check_layers,
    check_sizes,
    steps_within_horizon,
)
from ganno_env.controls import CONTROLS, LEARNING_RATE, STEP_SCALE
from ganno_env.observations import FEATURE_SETS, FEATURES, resolve_features
from ganno_env.optimisers import Optimiser, applied
from ganno_env.registry import NameIn
from ganno_env.types import Network, Task

T = TypeVar("T")


def _check_actions(actions: Sequence[str] | Mapping[str, Sequence[str]]) -> Any:
    for names in actions.values() if isinstance(actions, Mapping) else [actions]:
        ActionSet.check(names)
    return actions


Pair = Annotated[Sequence[float], Field(min_length=2, max_length=2), Allowed("[low, high]")]
Initial = Annotated[float | Pair, Allowed("a number, or [low, high] of a log-uniform one")]
ControlNames = Annotated[
    Sequence[Annotated[str, NameIn(CONTROLS)]],
    Field(min_length=1),
    Allowed(lambda: f"a list of {', '.join(CONTROLS)}"),
]
Actions = Annotated[
    Sequence[str] | Mapping[str, Sequence[str]],
    AfterValidator(_check_actions),
    Allowed(
        "a list of noop and others such as *1.1, /1.1, +0.001, -0.001 or =0.001; of several "
        "controls a mapping from their names to such lists"
    ),
]
BoundsOption = Annotated[
    Pair | Mapping[str, Pair],
    Allowed("[low, high]; of several controls a mapping from their names to such pairs"),
]
Features = Annotated[
    str | Sequence[str],
    Allowed(lambda: f"one of {', '.join(FEATURE_SETS)}, or a list of features"),
]


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """What is trained, checked on construction (`ValueError`).

    Attributes:
        task: what is learned.
        network: what learns it.
        optimiser: how.
        batch_size: examples a gradient update.
        epochs: passes over the training split an episode.
        updates_per_step: gradient updates an environment step, tau.
        num_steps: environment steps an episode, if fewer than its epochs hold.
        schedule: a name in `SCHEDULES` by which the learning rate goes, from its initial value, if
            it does not stay where it is unless agents move it.
    """

    task: Task
    network: Network
    optimiser: Optimiser
    batch_size: int
    epochs: float
    updates_per_step: int
    num_steps: int | None = None
    schedule: str | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be trained, before any compilation."""
        check_sizes(self.task.data, self.batch_size)
        check_layers(self.network)
        check_fit(self.network, self.task)
        self.time_limit  # noqa: B018  (raises)

    @property
    def time_limit(self) -> int:
        """The number of environment steps in an episode."""
        return steps_within_horizon(
            self.task.data.train.size,
            self.batch_size,
            self.epochs,
            self.updates_per_step,
            self.num_steps,
        )

    @property
    def num_updates(self) -> int:
        """The number of gradient updates in an episode."""
        return self.time_limit * self.updates_per_step


@dataclasses.dataclass(frozen=True)
class InterfaceConfig:
    """What agents see and do; `InterfaceConfig.of` makes one from names.

    Attributes:
        acted: the controls that agents set, with their bounds and actions.
        features: names in `FEATURES`.
        single_agent: one agent for all layers, which sees global features alone.
    """

    acted: tuple[ActedControl, ...]
    features: tuple[str, ...]
    single_agent: bool = False

    @classmethod
    @typed
    def of(
        cls,
        controls: ControlNames = (LEARNING_RATE.name,),
        actions: Actions | None = None,
        bounds: BoundsOption | None = None,
        features: Features = "paper",
        single_agent: bool = False,
    ) -> InterfaceConfig:
        """From names and numbers alone.

        Args:
            controls: those that agents set, in order.
            actions: for each control by its name, or a list where there is one; each control's own
                where none are given.
            bounds: the same for bounds, within a control's own.
            features: a name in `FEATURE_SETS`, or names in `FEATURES`.
            single_agent: one agent for all layers.

        Raises:
            ValueError: for what is unknown, out of range, or does not fit together.
        """
        if len(set(controls)) != len(controls):
            raise ValueError(f"controls={list(controls)}; each can be listed once")
        lists = _by_control("actions", actions, controls)
        pairs = _by_control("bounds", bounds, controls)
        acted = []
        for control in map(CONTROLS.__getitem__, controls):
            names = lists.get(control.name, control.actions)
            pair = pairs.get(control.name, control.bounds)
            acted.append(ActedControl(control, control.check_bounds(pair), ActionSet.parse(names)))
        resolved = resolve_features(features, controls)
        check_features(resolved, single_agent)
        return cls(tuple(acted), resolved, single_agent)

    @property
    def actions(self) -> JointActions:
        """What each agent chooses among."""
        return JointActions(self.acted)

    @property
    def controls(self) -> tuple[str, ...]:
        """The names of the controls that agents set."""
        return tuple(one.name for one in self.acted)

    def options(self) -> dict[str, Any]:
        """The arguments of `of` that give this one."""
        return {
            "controls": self.controls,
            "actions": {one.name: one.actions.names for one in self.acted},
            "bounds": {one.name: one.bounds for one in self.acted},
            "features": self.features,
            "single_agent": self.single_agent,
        }

    def feature_columns(self) -> tuple[str, ...]:
        """What each column of `agents_view` is."""
        return tuple(
            column
            for name in self.features
            for column in FEATURES[name].column_names(name, self.actions)
        )

    def normalised_columns(self) -> tuple[bool, ...]:
        """Whether a system should normalise each column: `Feature.normalised`."""
        return tuple(
            FEATURES[name].normalised
            for name in self.features
            for _ in FEATURES[name].column_names(name, self.actions)
        )

    def check_applied(self, training: TaskConfig) -> None:
        """Refuses controls that have no effect in a training, or none layer by layer."""
        optimiser = training.optimiser
        for one in self.acted:
            if training.schedule is not None and one.name == LEARNING_RATE.name:
                raise ValueError(
                    f"schedule={training.schedule!r} sets the learning rate, so agents cannot; let "
                    f"them set another control, as controls=[{STEP_SCALE.name}], or leave it out"
                )
            if one.name in optimiser.for_all_layers:
                raise ValueError(
                    f"controls={list(self.controls)}; the optimiser has one {one.name} for all "
                    f"layers, which agents cannot set; leave {one.name} out, or choose another "
                    "optimiser"
                )
            if not applied(optimiser, one.control):
                raise ValueError(
                    f"controls={list(self.controls)}; the optimiser has no {one.name} that agents "
                    f"could set; leave {one.name} out, or choose an optimiser that takes it"
                )


def _by_control(
    option: str, given: Sequence[T] | Mapping[str, Any] | None, controls: Sequence[str]
) -> Mapping[str, Any]:
    """An option that is one control's own, or a mapping from their names."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(controls) > 1:
            raise ValueError(
                f"{option}={given!r}; with several controls it must be a mapping from their names, "
                f"{', '.join(controls)}"
            )
        return {controls[0]: given}
    if others := [name for name in given if name not in controls]:
        raise ValueError(
            f"{option} has {others[0]!r}, which agents do not set; it is not among "
            f"controls={list(controls)}"
        )
    return given


INTERFACE_OPTIONS = tuple(inspect.signature(InterfaceConfig.of).parameters)
"""The arguments of an environment that make its `InterfaceConfig`."""
