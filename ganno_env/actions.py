"""What an agent can do to its layer's control (paper, appendix D)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ganno_env.controls import clip

PAPER_ACTIONS: tuple[str, ...] = (
    "noop", "*1.01", "*1.10", "/1.01", "/1.10", "+0.0005", "-0.0005", "+0.001", "-0.001",
)  # fmt: skip
"""The paper's nine; action 0 is the no-op."""

NO_OP = 0


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
        if not self.names or self.names[0] != "noop":
            raise ValueError(f"the first action must be 'noop', in {list(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"an action is listed twice in {list(self.names)}")
        for name in self.names:
            _parse(name)

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

    def legal(self, actions: Int[Array, " agents"]) -> Int[Array, " agents"]:
        """The actions, with the no-op for any number that is none: compiled code cannot raise.

        Raises:
            ValueError: if they are not whole numbers.
        """
        if not jnp.issubdtype(actions.dtype, jnp.integer):
            raise ValueError(f"actions must be whole numbers, not {actions.dtype}")
        known = (actions >= 0) & (actions < len(self))
        return jnp.where(known, actions, NO_OP).astype(jnp.int32)

    def apply(
        self,
        values: Float[Array, " L"],
        actions: Int[Array, " L"],
        bounds: tuple[float, float],
    ) -> Float[Array, " L"]:
        """Each layer's new value, within `bounds`. The no-op leaves a value as it is, exactly."""
        actions = self.legal(actions)
        factors, summands = np.array([_parse(name) for name in self.names], np.float32).T
        moved = values * jnp.asarray(factors)[actions] + jnp.asarray(summands)[actions]
        return clip(moved, bounds)


def _parse(name: str) -> tuple[float, float]:
    """An action's factor and summand."""
    if name == "noop":
        return 1.0, 0.0
    operator, digits = name[:1], name[1:]
    try:
        operand = float(digits)
    except ValueError:
        operand = float("nan")
    if operator not in ("*", "/", "+", "-", "=") or not (np.isfinite(operand) and operand > 0):
        raise ValueError(
            f"unknown action {name!r}; write 'noop', or one of * / + - = before a positive number"
        )
    return {
        "*": (operand, 0.0),
        "/": (1.0 / operand, 0.0),
        "+": (1.0, operand),
        "-": (1.0, -operand),
        "=": (0.0, operand),
    }[operator]
