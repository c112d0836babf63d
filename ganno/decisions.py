"""How the agents of a network's layers decide, as pure functions in NumPy or in JAX."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ganno import actions, features
from ganno.arrays import Array, namespace
from ganno.history import History
from ganno.names import unknown
from ganno.policy import Policy

OWN = (
    "learning_rate", "initial_learning_rate", "previous_action", "layer_type", "layer_depth",
    "progress",
)  # fmt: skip
"""What agents know without being told by the loop."""
LOWERED = -1
"""Stands for an action where what was measured was not finite, and all rates were lowered."""
LOWERING = 0.1
"""What rates are multiplied by then."""


class Memory(NamedTuple):
    """What agents carry from one decision to the next.

    Attributes:
        hidden: the policy's state, float32 [L, H].
        rates: each layer's learning rate, float32 [L].
        actions: each layer's last action, int32 [L]; the no-op at the start.
    """

    hidden: Array
    rates: Array
    actions: Array


@dataclasses.dataclass(frozen=True, eq=False)
class Rules:
    """How agents decide: their policy, the layers that they are of, and where they began.

    Attributes:
        policy: what they decide by.
        kinds: each layer's, in order of depth, of `features.LAYER_KINDS`.
        initial_rates: each layer's learning rate at the start, float32 [L].
        bounds: the least and the greatest learning rate.
    """

    policy: Policy
    kinds: tuple[str, ...]
    initial_rates: np.ndarray
    bounds: tuple[float, float]

    @classmethod
    def of(
        cls,
        policy: Policy,
        kinds: Iterable[str],
        initial_rates: float | Sequence[float],
        bounds: tuple[float, float] | None = None,
    ) -> Rules:
        """From what a user says.

        Args:
            policy: what agents decide by.
            kinds: of each layer.
            initial_rates: of each layer, or of all; taken as if it were within the bounds.
            bounds: other ones than the policy's.

        Raises:
            ValueError: for a layer of a kind that there is not, rates that are none, or a policy
                of other features than there are, or of actions on more than learning rates.
        """
        kinds = tuple(kinds)
        if not kinds:
            raise ValueError("there are no layers, so no agents")
        for kind in kinds:
            if kind not in features.LAYER_KINDS:
                raise ValueError(unknown("kind of layer", kind, features.LAYER_KINDS))
        try:
            [actions.affine(name) for name in policy.action_names]
        except ValueError as error:
            raise ValueError(f"the policy sets more than learning rates: {error}") from error
        features.needs_of(policy.feature_names)
        low, high = bounds or policy.bounds
        if not 0 <= low < high < np.inf:
            raise ValueError(f"bounds={bounds}; they must be [low, high] with 0 <= low < high")
        rates = np.asarray(initial_rates, np.float32)
        if rates.shape not in ((), (len(kinds),)) or not (np.isfinite(rates) & (rates >= 0)).all():
            raise ValueError(
                f"initial rates {initial_rates}; they must be one number, or one for each of "
                f"{len(kinds)} layers, of at least 0"
            )
        rates = np.clip(np.broadcast_to(rates, len(kinds)), np.float32(low), np.float32(high))
        return cls(policy, kinds, rates, (low, high))

    @functools.cached_property
    def needs(self) -> tuple[str, ...]:
        """What has to be measured for a decision."""
        needed = features.needs_of(self.policy.feature_names)
        return tuple(name for name in needed if name not in OWN)

    def check_given(self, given: Collection[str], remedy: str) -> None:
        """Refuses a policy that wants what a loop does not give.

        Args:
            given: the names of what it gives.
            remedy: how to give more, with "{}" for what is missing.
        """
        if missing := [name for name in self.needs if name not in given]:
            raise ValueError(
                f"the policy observes {', '.join(missing)}, which this loop does not give; "
                + remedy.format(missing[0])
            )

    def start(self) -> Memory:
        """Before the first decision; NumPy's arrays."""
        return Memory(
            self.policy.initial_hidden(len(self.kinds)),
            self.initial_rates,
            np.zeros(len(self.kinds), np.int32),
        )

    def decide(
        self,
        memory: Memory,
        progress: Array | float,
        measured: Mapping[str, Array],
        noise: Array | float = 0.0,
        given: Array | None = None,
    ) -> tuple[Memory, Array]:
        """Every agent's decision.

        Rates stay within the bounds. Where anything measured is not finite, all are lowered by
        `LOWERING`, and none is raised.

        Args:
            memory: from the decision before.
            progress: the part of training that is over.
            measured: what `needs` says, by name; a number, or one for each layer.
            noise: added to logits, [L, A]: with Gumbel noise, actions are samples.
            given: actions to take rather than the policy's, [L]; `LOWERED` may be one.

        Returns:
            What to carry on, and what each agent saw, [L, F].
        """
        xp = namespace(memory.hidden)
        told = {
            name: xp.asarray(value, dtype=xp.float32)
            for name, value in {**measured, "progress": progress}.items()
        }
        view = features.observe(
            self.policy.feature_names, told | self._known(memory), self.policy.action_names
        )
        hidden, logits = self.policy.forward(memory.hidden, view)
        chosen = xp.argmax(logits + noise, axis=-1) if given is None else xp.asarray(given)
        moved = actions.apply(self.policy.action_names, memory.rates, chosen, self.bounds)
        low = xp.asarray(self.bounds[0], dtype=xp.float32)
        lowered = xp.minimum(memory.rates, xp.maximum(memory.rates * LOWERING, low))
        finite = functools.reduce(lambda a, b: a & b, [xp.isfinite(x).all() for x in told.values()])
        taken = xp.where(finite, chosen, LOWERED).astype(xp.int32)
        rates = xp.where(taken == LOWERED, lowered, moved)
        return Memory(hidden, rates, taken), view

    def _known(self, memory: Memory) -> dict[str, Array]:
        """What agents know of themselves."""
        xp = namespace(memory.hidden)
        last = len(self.kinds) - 1
        depths = [2 if i == last else 0 if i == 0 else 1 for i in range(last + 1)]
        types = [features.LAYER_KINDS.index(kind) for kind in self.kinds]
        return {
            "learning_rate": memory.rates,
            "initial_learning_rate": xp.asarray(self.initial_rates),
            "previous_action": xp.maximum(memory.actions, actions.NO_OP),
            "layer_type": xp.asarray(types, dtype=xp.int32),
            "layer_depth": xp.asarray(depths, dtype=xp.int32),
        }


class Replay:
    """The actions of another training, to be taken again; no action after the last."""

    def __init__(self, history: History, rules: Rules) -> None:
        """Refuses a history of other actions, or of another number of layers (`ValueError`)."""
        if history.action_names != rules.policy.action_names:
            raise ValueError("the history to replay is of other actions than the policy's")
        if len(history.layers) != len(rules.kinds):
            raise ValueError(
                f"the history to replay is of {len(history.layers)} layers, and there are "
                f"{len(rules.kinds)} here"
            )
        self._actions = history.actions

    def __getitem__(self, decision: int) -> np.ndarray:
        if decision < len(self._actions):
            return self._actions[decision]
        return np.full(self._actions.shape[1:], actions.NO_OP, np.int32)


def exploration(seed: int, decision: int, rules: Rules) -> np.ndarray:
    """Gumbel noise that makes a decision's actions samples, float32 [L, A]; the same in any loop.

    It depends on nothing but the seed and the decision's number, so there is nothing to save.
    """
    shape = len(rules.kinds), len(rules.policy.action_names)
    return np.random.default_rng([seed, decision]).gumbel(size=shape).astype(np.float32)


def decision_times(
    policy: Policy, total_steps: int, decisions: int | None = None, every: int | None = None
) -> np.ndarray:
    """The updates, counted from 0, before which agents decide; int64, increasing from 0.

    Args:
        policy: says how many decisions it was trained with.
        total_steps: the updates of the whole training.
        decisions: how many, spread evenly; as many as in the policy's training by default.
        every: or the number of updates from one to the next.

    Raises:
        ValueError: if there are fewer updates than decisions, or both are said.
    """
    for name, value in {"total_steps": total_steps, "decisions": decisions, "every": every}.items():
        if value is not None and (int(value) != value or value < 1):
            raise ValueError(f"{name}={value}; it must be a whole number of at least 1")
    if decisions is not None and every is not None:
        raise ValueError(f"decisions={decisions} and every={every}; say one of them")
    if every is not None:
        if every > total_steps:
            raise ValueError(f"every={every} is more than total_steps={total_steps} updates")
        return np.arange(total_steps // every) * every
    number = policy.decisions if decisions is None else decisions
    if number is None:
        raise ValueError("the policy's file does not say how often it decides; say decisions=")
    if number > total_steps:
        raise ValueError(
            f"total_steps={total_steps} updates are fewer than {number} decisions; say a smaller "
            "decisions=, or train for longer"
        )
    return np.arange(number) * total_steps // number
