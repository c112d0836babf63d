"""A gradient transformation by which agents set each layer's learning rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from ganno.decisions import Memory, Replay, Rules, decision_times, exploration
from ganno.history import History
from ganno.layers import LayerRule, Layers
from ganno.optax.layers import find_layers, places
from ganno.optax.measures import MOMENTS, moments
from ganno.policy import PRETRAINED, Policy, load_policy

AVERAGED = {"train_loss": "value", "train_accuracy": "train_accuracy"}
"""What is observed as a mean since the last decision, and the extra argument that gives it."""
GRADIENT = "grad"
"""The extra argument that gives gradients, where a policy observes them."""
REMEDY = "pass it to update: value= for train_loss, grad= for gradients, others by their names"


class AgentsState(NamedTuple):
    """What agents carry from one update to the next, and what they did: L layers, D decisions.

    Attributes:
        made: updates made, int32.
        learning_rate: each layer's by its name: what `optax.tree_utils.tree_get(state,
            "learning_rate")` finds in the state of a chain.
        hidden: the policy's state, [L, H].
        number: decisions taken, int32.
        sums: of what is observed as a mean, since the last decision, by name.
        measured: of the last update before a decision, [L], by name.
        progress, features, actions, rates: of each decision, see `History`.
    """

    made: Array
    learning_rate: dict[str, Array]
    hidden: Array
    number: Array
    sums: dict[str, Array]
    measured: dict[str, Array]
    progress: Array
    features: Array
    actions: Array
    rates: Array


def schedule_by_agents(
    policy: Policy | str = PRETRAINED,
    *,
    total_steps: int,
    learning_rate: float = 1e-3,
    decisions: int | None = None,
    every: int | None = None,
    layers: LayerRule | None = None,
    bounds: tuple[float, float] | None = None,
    greedy: bool | None = None,
    seed: int = 0,
    replay: History | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Scales each layer's updates by the negative of a learning rate that its agent sets.

    It is the last in a chain: after `optax.scale_by_adam()`, or anything that makes a direction of
    gradients, and `optax.add_decayed_weights`. Updates are told apart by layer, so that it must
    see the tree of parameters: within `optax.flatten` there are no layers.

    `update` needs `params`, and passes over extra arguments that it does not know. Where the policy
    observes them, it takes `value`, the loss of each minibatch, `grad`, the gradients, and other
    measurements by their names, such as `validation_loss`.

    The first decision is taken before the first update. Beyond `total_steps`, rates stay as they
    are; compiled code cannot warn.

    Args:
        policy: a policy, its file, the folder of the run that trained it, or "pretrained".
        total_steps: the updates of the whole training.
        learning_rate: where agents begin, as if it were within the bounds.
        decisions: how many are taken, spread evenly; by default as many as in the policy's
            training.
        every: the number of updates from one decision to the next, instead of `decisions`.
        layers: of which layer each parameter is, instead of the rule of `ganno.optax.layers`.
        bounds: the least and the greatest learning rate, if not the policy's.
        greedy: whether to take the most probable actions, or samples, if not as the policy was made
            to.
        seed: of samples.
        replay: the `history` of another training, whose actions are to be taken again.

    Raises:
        ValueError: for a policy that cannot be read or that sets more than learning rates, or
            numbers out of range. `init` raises it for parameters of no layer, and `update` for a
            policy that wants what it is not given.
    """
    policy = policy if isinstance(policy, Policy) else load_policy(policy)
    times = decision_times(policy, total_steps, decisions, every)
    is_greedy = policy.greedy if greedy is None else greedy
    Rules.of(policy, ["linear"], learning_rate, bounds)  # what is wrong with these is wrong now

    def of(params: Any) -> _Agents:
        found = find_layers(params, layers)
        rules = Rules.of(policy, found.kinds(), learning_rate, bounds)
        numbers = range(len(times))
        noise = None if is_greedy else np.stack([exploration(seed, i, rules) for i in numbers])
        again = None if replay is None else Replay(replay, rules)
        actions = None if again is None else np.stack([again[i] for i in numbers])
        return _Agents(rules, found, times, total_steps, noise, actions)

    def init(params: Any) -> AgentsState:
        return of(params).init()

    def update(
        updates: Any, state: AgentsState, params: Any = None, **extra: Any
    ) -> tuple[Any, AgentsState]:
        if params is None:
            raise ValueError("agents observe weights: give params to update")
        return of(params).update(updates, state, params, extra)

    return optax.GradientTransformationExtraArgs(init, update)


def history(
    state: Any, params: Any, policy: Policy | str = PRETRAINED, layers: LayerRule | None = None
) -> History:
    """What agents saw and did so far.

    Args:
        state: an optimiser's, with one of agents in it.
        params: what it trains.
        policy: as `schedule_by_agents` was given.
        layers: likewise.
    """
    policy = policy if isinstance(policy, Policy) else load_policy(policy)
    is_state = lambda x: isinstance(x, AgentsState)  # noqa: E731
    found = next(filter(is_state, jax.tree.leaves(state, is_leaf=is_state)))
    taken = (found.progress, found.features, found.actions, found.rates)
    return History(
        find_layers(params, layers).names(),
        policy.feature_names,
        policy.action_names,
        *(np.asarray(x)[: int(found.number)] for x in taken),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Agents:
    """The agents of a tree's layers."""

    rules: Rules
    layers: Layers
    times: np.ndarray
    total_steps: int
    noise: np.ndarray | None
    replay: np.ndarray | None

    def init(self) -> AgentsState:
        rules, size, number = self.rules, len(self.layers), len(self.times)
        zeros = jnp.zeros((size,), jnp.float32)
        return AgentsState(
            made=jnp.int32(0),
            learning_rate=self._by_name(jnp.asarray(rules.initial_rates)),
            hidden=jnp.asarray(rules.start().hidden),
            number=jnp.int32(0),
            sums={name: jnp.float32(0) for name in rules.needs if name in AVERAGED},
            measured={n: zeros for n in rules.needs if n.startswith(("update_", "gradient_"))},
            progress=jnp.zeros((number,), jnp.float32),
            features=jnp.zeros((number, size, len(rules.policy.feature_names)), jnp.float32),
            actions=jnp.zeros((number, size), jnp.int32),
            rates=jnp.zeros((number, size), jnp.float32),
        )

    def update(
        self, updates: Any, state: AgentsState, params: Any, extra: Mapping[str, Any]
    ) -> tuple[Any, AgentsState]:
        """The updates times the negative of the rates, and the state after them."""
        if set(state.learning_rate) != set(self.layers.names()):
            raise ValueError(
                f"the state is of the layers {', '.join(state.learning_rate)}, and the parameters "
                f"have {', '.join(self.layers.names())}"
            )
        told = self._told(extra)

        def measure() -> dict[str, Array]:
            found = moments("update", updates, self.layers)
            if extra.get(GRADIENT) is not None:
                found |= moments("gradient", extra[GRADIENT], self.layers)
            return {name: found[name] for name in state.measured}

        due = self._due(state.made, state.number)
        decide = lambda: self._decide(state, params, told, measure)  # noqa: E731
        after = lax.cond(due, decide, lambda: state)
        # What is measured of this update is seen by the decision after it.
        seen_next = self._due(state.made + 1, after.number)
        return self._scaled(updates, after.learning_rate), after._replace(
            made=state.made + 1,
            sums={name: jnp.where(due, 0.0, x) + told[name] for name, x in state.sums.items()},
            measured=lax.cond(seen_next, measure, lambda: state.measured),
        )

    def _decide(
        self,
        state: AgentsState,
        params: Any,
        told: dict[str, Array],
        measure: Callable[[], dict[str, Array]],
    ) -> AgentsState:
        first = state.made == 0
        number = state.number
        since = state.made - jnp.asarray(self.times, jnp.int32)[number - 1]
        means = {
            name: jnp.where(first, told[name], x / since.astype(jnp.float32))
            for name, x in state.sums.items()
        }
        measured = lax.cond(first, measure, lambda: state.measured)
        known = told | means | measured | moments("weight", params, self.layers)
        progress = state.made.astype(jnp.float32) / self.total_steps
        memory, view = self.rules.decide(
            Memory(state.hidden, self._stacked(state.learning_rate), self._last_actions(state)),
            progress,
            {name: known[name] for name in self.rules.needs},
            0.0 if self.noise is None else jnp.asarray(self.noise)[number],
            None if self.replay is None else jnp.asarray(self.replay)[number],
        )
        return state._replace(
            learning_rate=self._by_name(memory.rates),
            hidden=memory.hidden,
            number=number + 1,
            progress=state.progress.at[number].set(progress),
            features=state.features.at[number].set(view),
            actions=state.actions.at[number].set(memory.actions),
            rates=state.rates.at[number].set(memory.rates),
        )

    def _due(self, count: Array, number: Array) -> Array:
        """Whether a decision is taken before update `count`, `number` having been taken."""
        times = jnp.asarray(self.times, jnp.int32)
        return (number < len(self.times)) & (count == times[jnp.minimum(number, len(times) - 1)])

    def _told(self, extra: Mapping[str, Any]) -> dict[str, Array]:
        """The numbers that the loop gives and the policy observes."""
        given = {name: extra[of] for name, of in AVERAGED.items() if of in extra}
        given |= {name: x for name, x in extra.items() if name in self.rules.needs}
        quantities = ["weight", "update"] + ["gradient"] * (extra.get(GRADIENT) is not None)
        measured = [f"{what}_{moment}" for what in quantities for moment in MOMENTS]
        self.rules.check_given([*measured, *given], REMEDY)
        return {
            name: jnp.asarray(given[name], jnp.float32)
            for name in self.rules.needs
            if name not in measured
        }

    def _scaled(self, updates: Any, rates: Mapping[str, Array]) -> Any:
        leaves = jax.tree.leaves(updates)
        names = self.layers.names()
        scaled = [
            leaf * (-rates[names[place]]).astype(leaf.dtype)
            for place, leaf in zip(places(updates, self.layers), leaves, strict=True)
        ]
        return jax.tree.unflatten(jax.tree.structure(updates), scaled)

    def _by_name(self, rates: Array) -> dict[str, Array]:
        return {name: rates[i] for i, name in enumerate(self.layers.names())}

    def _stacked(self, rates: Mapping[str, Array]) -> Array:
        return jnp.stack([rates[name] for name in self.layers.names()])

    def _last_actions(self, state: AgentsState) -> Array:
        last = state.actions[jnp.maximum(state.number - 1, 0)]
        return jnp.where(state.number > 0, last, 0)
