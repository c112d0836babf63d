"""What an agent can do to its layer's controls (paper, appendix D)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ganno.actions import NO_OP, NOOP, affine
from ganno_env.controls import Control, clip
from ganno_env.types import Controls


@dataclasses.dataclass(frozen=True)
class ActionSet:
    """Actions as affine maps of a control's value: `value * factor + summand`, then clipped.

    Attributes:
        names: each action as it was written, such as "noop", "*1.10", "/1.01", "+0.0005", or
            "=0.003", which sets the value whatever it was.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuses a list that does not start with the no-op, or an action it can't read."""
        if not self.names or self.names[0] != NOOP:
            raise ValueError(f"the first action must be 'noop', in {list(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"an action is listed twice in {list(self.names)}")
        for name in self.names:
            affine(name)

    @classmethod
    def check(cls, names: Sequence[str]) -> Sequence[str]:
        """The names themselves; raises `ValueError` if they are no actions."""
        cls.parse(names)
        return names

    @classmethod
    def parse(cls, names: Sequence[str]) -> ActionSet:
        """From a config's list of strings."""
        return cls(tuple(name.replace("x", "*").replace("×", "*").replace("÷", "/")
                         for name in names))  # fmt: skip

    def __len__(self) -> int:
        return len(self.names)

    def legal(self, actions: Num[Array, " agents"]) -> Int[Array, " agents"]:
        """The actions, with the no-op for any number that is none; see `legal`."""
        return legal(actions, len(self))

    def apply(
        self,
        values: Float[Array, " L"],
        actions: Int[Array, " L"],
        bounds: tuple[float, float],
    ) -> Float[Array, " L"]:
        """Each layer's new value, within `bounds`. The no-op leaves a value as it is, exactly.

        Args:
            values: before.
            actions: indices into `names`.
            bounds: the least and the greatest value.
        """
        actions = self.legal(actions)
        factors, summands = np.array([affine(name) for name in self.names], np.float32).T
        moved = values * jnp.asarray(factors)[actions] + jnp.asarray(summands)[actions]
        return clip(moved, bounds)


Bounds: TypeAlias = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class ActedControl:
    """A control that agents set: within which bounds, and by which actions."""

    control: Control
    bounds: Bounds
    actions: ActionSet

    @property
    def name(self) -> str:
        """The control's."""
        return self.control.name


@dataclasses.dataclass(frozen=True)
class JointActions:
    """What one agent chooses among: an action for each acted control, in one number.

    The choice is flattened, as Mava and most systems take one number from each agent: with A_1,
    A_2, ... actions there are A = A_1 A_2 ..., the last control's varying fastest. The first is the
    no-op for all.
    """

    acted: tuple[ActedControl, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of actions on each control."""
        return tuple(len(one.actions) for one in self.acted)

    @property
    def names(self) -> tuple[str, ...]:
        """Each choice: "*1.10", or with several controls "learning_rate*1.10 momentum+0.01"."""
        if len(self.acted) == 1:
            return self.acted[0].actions.names
        sets = [[_named(one.name, name) for name in one.actions.names] for one in self.acted]
        return tuple(" ".join(filter(None, choice)) or NOOP for choice in itertools.product(*sets))

    @property
    def columns(self) -> tuple[str, ...]:
        """Each action on each control, one control after another, as one-hots show them."""
        if len(self.acted) == 1:
            return self.names
        return tuple(
            _named(one.name, name) or f"{one.name} {NOOP}"
            for one in self.acted
            for name in one.actions.names
        )

    def __len__(self) -> int:
        return int(np.prod(self.sizes))

    def legal(self, actions: Num[Array, " agents"]) -> Int[Array, " agents"]:
        """The actions, with the no-op for any number that is none; see `legal`."""
        return legal(actions, len(self))

    def split(self, actions: Int[Array, " agents"]) -> list[Int[Array, " agents"]]:
        """The index of each control's own action, in order."""
        if len(self.acted) == 1:
            return [actions]
        return list(jnp.unravel_index(actions, self.sizes))

    def one_hot(self, actions: Int[Array, " agents"]) -> Float[Array, "agents columns"]:
        """Each control's own action as a one-hot, side by side."""
        parts = zip(self.split(actions), self.sizes, strict=True)
        return jnp.concatenate([jax.nn.one_hot(index, size) for index, size in parts], axis=-1)

    def apply(self, values: Controls, actions: Int[Array, " L"]) -> Controls:
        """Each acted control's new value for each layer, within its bounds.

        Args:
            values: the controls' values, [L] each; others than those acted on are passed over.
            actions: each layer's choice; a number that is none is the no-op.
        """
        indices = self.split(self.legal(actions))
        return {
            one.name: one.actions.apply(values[one.name], index, one.bounds)
            for one, index in zip(self.acted, indices, strict=True)
        }

    def bounded(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The values, those of acted controls within the bounds that agents have."""
        clipped = {one.name: clip(values[one.name], one.bounds) for one in self.acted}
        return {**values, **clipped}


def legal(actions: Num[Array, " agents"], number: int) -> Int[Array, " agents"]:
    """The actions of `number` there are, with the no-op for any that is none of them.

    Compiled code cannot raise.

    Raises:
        ValueError: if they are not whole numbers.
    """
    if not jnp.issubdtype(actions.dtype, jnp.integer):
        raise ValueError(f"actions must be whole numbers, not {actions.dtype}")
    known = (actions >= 0) & (actions < number)
    return jnp.where(known, actions, NO_OP).astype(jnp.int32)


def _named(control: str, action: str) -> str:
    return "" if action == NOOP else f"{control}{action}"
