"""The agents of one network in training, for any loop: NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ganno.arrays import Array
from ganno.decisions import Memory, Replay, Rules, exploration
from ganno.history import TYPES, Decision, History
from ganno.policy import Policy, load_policy


class Agent:
    """Sets a learning rate for each layer, every so many updates.

    Example:
        >>> agent = Agent("pretrained", ["convolutional", "linear"], initial_rates=1e-3)
        >>> agent.needs
        ('weight_norm', 'update_norm')
        >>> rates = agent.decide(0.0, weight_norm=[8.0, 4.0], update_norm=[20.0, 15.0])
        >>> rates.shape
        (2,)
    """

    def __init__(
        self,
        policy: Policy | str,
        kinds: Iterable[str],
        initial_rates: float | Sequence[float],
        *,
        names: Iterable[str] | None = None,
        bounds: tuple[float, float] | None = None,
        greedy: bool | None = None,
        seed: int = 0,
        replay: History | None = None,
    ) -> None:
        """Agents before their first decision.

        Args:
            policy: a policy, or what `load_policy` takes.
            kinds: each layer's, in order of depth: "linear", "convolutional" or "attention".
            initial_rates: the learning rate that training begins with, or one for each layer;
                taken as if it were within the bounds.
            names: the layers'; numbers, if they are not given.
            bounds: the least and the greatest learning rate; those of the policy's training, if
                they are not given.
            greedy: whether to take the most probable actions, or samples; as the policy was made
                to, if it is not said.
            seed: of samples.
            replay: take the actions of another training, and not the policy's.

        Raises:
            ValueError: for a policy that cannot be read or that sets more than learning rates, a
                kind that there is not, or numbers out of range.
        """
        policy = policy if isinstance(policy, Policy) else load_policy(policy)
        self.rules = Rules.of(policy, kinds, initial_rates, bounds)
        self.layers = tuple(map(str, range(len(self.rules.kinds)) if names is None else names))
        if len(self.layers) != len(self.rules.kinds):
            raise ValueError(f"{len(self.layers)} names for {len(self.rules.kinds)} layers")
        self._greedy = policy.greedy if greedy is None else greedy
        self._seed = seed
        self._replay = None if replay is None else Replay(replay, self.rules)
        self._memory = self.rules.start()
        self._decisions: list[Decision] = []

    @property
    def needs(self) -> tuple[str, ...]:
        """What `decide` has to be told, beside progress."""
        return self.rules.needs

    @property
    def rates(self) -> np.ndarray:
        """Each layer's learning rate, float32 [L]."""
        return np.array(self._memory.rates)

    @property
    def history(self) -> History:
        """What was seen and done so far."""
        policy = self.rules.policy
        return History.of(self.layers, policy.feature_names, policy.action_names, self._decisions)

    def decide(self, progress: float, **measured: Array) -> np.ndarray:
        """Each layer's learning rate from now on, float32 [L].

        Args:
            progress: the part of training that is over, in [0, 1].
            **measured: what `needs` names: a number each, or one for each layer, in any way that
                NumPy takes.

        Raises:
            ValueError: if something that is needed is not there.
        """
        self.rules.check_given(measured, "pass {}= to decide")
        number = len(self._decisions)
        noise = 0.0 if self._greedy else exploration(self._seed, number, self.rules)
        given = None if self._replay is None else self._replay[number]
        told = {name: np.asarray(measured[name], np.float32) for name in self.needs}
        self._memory, view = self.rules.decide(self._memory, progress, told, noise, given)
        self._decisions.append(
            Decision(
                np.asarray(progress, np.float32), view, self._memory.actions, self._memory.rates
            )
        )
        return self.rates

    def state_dict(self) -> dict[str, Any]:
        """All that the next decision depends on, and the history, as plain data."""
        return {
            "layers": list(self.layers),
            "memory": {name: x.tolist() for name, x in self._memory._asdict().items()},
            "decisions": [[x.tolist() for x in decision] for decision in self._decisions],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state_dict`, as if never stopped.

        Raises:
            ValueError: if it is of other layers.
        """
        if list(state["layers"]) != list(self.layers):
            raise ValueError(_difference(state["layers"], self.layers))
        like = self.rules.start()
        memory = {
            name: np.asarray(state["memory"][name], x.dtype) for name, x in like._asdict().items()
        }
        if memory["hidden"].shape != like.hidden.shape:
            raise ValueError("the state is of another policy's agents")
        self._memory = Memory(**memory)
        self._decisions = [
            Decision(*(np.asarray(x, dtype) for x, dtype in zip(decision, TYPES, strict=True)))
            for decision in state["decisions"]
        ]


def _difference(saved: Sequence[str], mine: Sequence[str]) -> str:
    there, here = ([n for n in a if n not in b] for a, b in ((saved, mine), (mine, saved)))
    return (
        f"the state is of {len(saved)} layers, and there are {len(mine)} here"
        + (f"; there alone: {', '.join(there)}" if there else "")
        + (f"; here alone: {', '.join(here)}" if here else "")
    )
