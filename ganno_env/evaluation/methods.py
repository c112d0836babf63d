"""What a row of a table is: a way to set rates, and the optimiser whose rates they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Controller
from ganno_env.evaluation.planning import UNCHANGED, RunSpec, Variant
from ganno_env.optimisers import numbers_per_parameter
from ganno_env.registry import Registry


class NotAvailableError(Exception):
    """A method that cannot be run here; the message says how to get what is missing."""


Rate = Literal["given", "start", "trained", "tuned", "free"]
"""What a method does with a column's initial rate; `tables.RATES` has it in words."""


class Listed(NamedTuple):
    """What a report needs to know of a row, whether or not its method can be run here.

    Attributes:
        name: the row's.
        is_agents: whether it is trained agents, or such as are in training.
        is_learned: whether it is a learned optimiser.
        rate: what it does with a column's initial rate.
        weight_decay, learning_rate: see `Method`.
        actions: the controls that its agents set, and what their actions on each are called.
        memory: numbers that its optimiser keeps for each parameter.
    """

    name: str
    is_agents: bool = False
    is_learned: bool = False
    rate: Rate = "given"
    weight_decay: float | None = None
    learning_rate: float | None = None
    actions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    memory: float | None = None

    @property
    def is_hand_made(self) -> bool:
        """Whether nothing of it was learned, and nothing is left to chance."""
        return not self.is_agents and not self.is_learned and self.rate != "start"


@dataclasses.dataclass(frozen=True)
class Method:
    """A row.

    Attributes:
        name: the row's.
        controller: who sets the rates.
        variant: what is not as in the table's environment, such as the optimiser.
        weight_decay: its own, where it is not the table's.
        learning_rate: where it always starts from, if it has no column for each initial rate.
        is_agents, is_learned, rate: see `Listed`.
        version: of its code; to be raised where runs change in a way that a trial of its optimiser
            and controller on small inputs (`define`) cannot show.
        stated: what its runs depend on besides, plain JSON, such as a policy's digest. A part that
            is named here ("optimiser", "controller") is not tried.
    """

    name: str
    controller: Controller
    variant: Variant = UNCHANGED
    weight_decay: float | None = None
    learning_rate: float | None = None
    is_agents: bool = False
    is_learned: bool = False
    rate: Rate = "given"
    version: int = 1
    stated: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def listed(self, env: NetworkTraining) -> Listed:
        """What reports need to know of it, where it is run in `env`."""
        changed = self.variant.of(env)
        return Listed(
            name=self.name,
            is_agents=self.is_agents,
            is_learned=self.is_learned,
            rate=self.rate,
            weight_decay=self.weight_decay,
            learning_rate=self.learning_rate,
            actions=tuple((c.name, c.actions.names) for c in changed.actions.acted),
            memory=numbers_per_parameter(changed.optimiser),
        )

    def runs(self, learning_rate: float | None, weight_decay: float, seed: int) -> RunSpec:
        """A run of it, from a table's initial rate (None: its own) and weight decay."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        if rate is None:
            raise ValueError(f"method {self.name!r} needs an initial learning rate")
        decay = weight_decay if self.weight_decay is None else self.weight_decay
        return RunSpec(self.controller, rate, decay, seed, self.variant)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a method may have to know.

    Attributes:
        env: the environment.
        weights: the files of learned optimisers' weights, by the optimisers' names in `METHODS`.
    """

    env: NetworkTraining
    weights: Mapping[str, Path | None] = dataclasses.field(default_factory=dict)

    @property
    def num_updates(self) -> int:
        """Gradient updates of a whole run."""
        return self.env.time_limit * self.env.updates_per_step


class Entry(NamedTuple):
    """A method in the registry (`ganno_env.evaluation.rows`): its row's name, how it is made."""

    title: str
    make: Callable[[Setting], Method]


METHODS: Registry[Entry] = Registry("method")


class Call(NamedTuple):
    """A method as a config calls it, such as "lion@0.1" or "one_cycle@peak=0.01".

    Attributes:
        name: in `METHODS`.
        weight_decay: its own, if it has one.
        peak: the rate that it has in every column and task, if it has one: the initial one, or
            where a schedule warms up, the highest.
    """

    name: str
    weight_decay: float | None = None
    peak: float | None = None

    @classmethod
    def parse(cls, text: str) -> Call:
        """From its text; raises `ValueError` for an unknown name, or a number out of range."""
        name, *settings = text.split("@")
        METHODS[name]
        values: dict[str, float] = {}
        for setting in settings:
            option, _, number = setting.rpartition("=")
            value = _fraction(number)
            if option not in ("", PEAK) or value is None or option in values:
                raise ValueError(
                    f"method {text!r}: write NAME, NAME@DECAY or NAME@{PEAK}=RATE, with a weight "
                    "decay and a rate in [0, 1]"
                )
            values[option] = value
        return cls(name, weight_decay=values.get(""), peak=values.get(PEAK))

    @property
    def title(self) -> str:
        """Its row's name, such as "Lion, λ = 0.1"."""
        title = METHODS[self.name].title
        peak = "" if self.peak is None else f", {PEAK} {self.peak:g}"
        decay = "" if self.weight_decay is None else f", λ = {self.weight_decay:g}"
        return f"{title}{peak}{decay}"


PEAK = "peak"


def _fraction(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def row_name(text: str) -> str:
    """What the row of `text` is called, whether it can be run or not; see `Call`.

    Raises:
        ValueError: for an unknown name, or a weight decay or peak that is none.
    """
    return Call.parse(text).title


def make_method(text: str, setting: Setting) -> Method:
    """The method that a config calls by `text`; see `Call`.

    Raises:
        ValueError: for an unknown name, a weight decay or peak that is none, or a peak for a method
            that takes no rate.
        NotAvailableError: for one that cannot be run here.
    """
    call = Call.parse(text)
    method = dataclasses.replace(METHODS[call.name].make(setting), name=call.title)
    if call.weight_decay is not None:
        method = dataclasses.replace(method, weight_decay=call.weight_decay)
    if call.peak is None:
        return method
    if method.rate != "given":
        raise ValueError(f"method {text!r}: {call.name} does not follow a rate that it is given")
    return dataclasses.replace(method, learning_rate=call.peak, rate="tuned")
