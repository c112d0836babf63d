"""What a row of a table is: a way to set rates, and the optimiser whose rates they are."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ganno_env.env import NetworkTraining
from ganno_env.evaluation.controller import Controller, random_controller, schedule_controller
from ganno_env.evaluation.planning import UNCHANGED, RunSpec, Variant
from ganno_env.optimisers import build, velo
from ganno_env.registry import Registry
from ganno_env.schedules import SCHEDULES


class NotAvailableError(Exception):
    """A method that cannot be run here; the message says how to get what is missing."""


Rate = Literal["given", "start", "trained", "free"]
"""What a method does with a column's initial rate; `tables.RATES` has it in words."""


class Listed(NamedTuple):
    """What a report needs to know of a row, whether or not its method can be run here.

    Attributes:
        name: the row's.
        is_agents: whether it is trained agents, or such as are in training.
        rate: what it does with a column's initial rate.
        weight_decay, learning_rate: see `Method`.
        actions: the controls that its agents set, and what their actions on each are called.
    """

    name: str
    is_agents: bool = False
    rate: Rate = "given"
    weight_decay: float | None = None
    learning_rate: float | None = None
    actions: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclasses.dataclass(frozen=True)
class Method:
    """A row.

    Attributes:
        name: the row's.
        controller: who sets the rates.
        variant: what is not as in the table's environment, such as the optimiser.
        weight_decay: its own, where it is not the table's.
        learning_rate: where it always starts from, if it has no column for each initial rate.
        is_agents, rate: see `Listed`.
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
    rate: Rate = "given"
    version: int = 1
    stated: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def listed(self, env: NetworkTraining) -> Listed:
        """What reports need to know of it, where it is run in `env`."""
        return Listed(
            name=self.name,
            is_agents=self.is_agents,
            rate=self.rate,
            weight_decay=self.weight_decay,
            learning_rate=self.learning_rate,
            actions=tuple((c.name, c.actions.names) for c in self.variant.of(env).actions.acted),
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
    """What a method may have to know: the environment, and where VeLO's weights are."""

    env: NetworkTraining
    velo_weights: Path | None = None


class Entry(NamedTuple):
    """A method in the registry: its row's name, and how it is made."""

    title: str
    make: Callable[[Setting], Method]


METHODS: Registry[Entry] = Registry("method")


def _scheduled(
    name: str, schedule: str, optimiser: str | None = None
) -> Callable[[Setting], Method]:
    def make(setting: Setting) -> Method:
        variant = UNCHANGED if optimiser is None else Variant(build(optimiser))
        return Method(name, schedule_controller(schedule), variant)

    return make


for _name in SCHEDULES:
    METHODS.add(_name, Entry(_name, _scheduled(_name, _name)))
METHODS.add(
    "random",
    Entry("random", lambda setting: Method("random", random_controller(), rate="start")),
)
# You et al., 2020, with the cosine decay that the paper gives it; Chen et al., 2023.
METHODS.add("lamb", Entry("LAMB", _scheduled("LAMB", "cosine", "lamb")))
METHODS.add("lion", Entry("Lion", _scheduled("Lion", "constant", "lion")))


def _velo(setting: Setting) -> Method:
    """VeLO (Metz et al., 2022), which is told how many updates there are and takes no rate."""
    weights = setting.velo_weights
    if (reason := velo.unavailable(weights)) or weights is None:
        raise NotAvailableError(reason)
    num_updates = setting.env.time_limit * setting.env.updates_per_step
    variant = Variant(velo.velo(weights, num_updates))
    # Trying it would take longer than some runs do; it is its weights, and its library.
    library = importlib.metadata.version(velo.PACKAGES[0])
    stated = {"optimiser": {"weights": file_digest(weights), "library": library}}
    return Method(
        "VeLO",
        schedule_controller("constant"),
        variant,
        learning_rate=1.0,
        rate="free",
        stated=stated,
    )


METHODS.add("velo", Entry("VeLO", _velo))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def row_name(text: str) -> str:
    """What the row of `text` is called, whether it can be run or not, such as "Lion, λ = 0.1".

    Raises:
        ValueError: for an unknown name, or a weight decay that is none.
    """
    name, _, decay = text.partition("@")
    title = METHODS[name].title
    return f"{title}, λ = {_decay(text):g}" if decay else title


def make_method(text: str, setting: Setting) -> Method:
    """The method that a config calls by `text`: its name, or "name@decay", its own weight decay.

    Raises:
        ValueError: for an unknown name, or a weight decay that is none.
        NotAvailableError: for one that cannot be run here.
    """
    name, _, decay = text.partition("@")
    title = row_name(text)
    method = dataclasses.replace(METHODS[name].make(setting), name=title)
    return dataclasses.replace(method, weight_decay=_decay(text)) if decay else method


def _decay(text: str) -> float:
    try:
        value = float(text.partition("@")[2])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"method {text!r}: write NAME@DECAY, with a weight decay in [0, 1]")
    return value
