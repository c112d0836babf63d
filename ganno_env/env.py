"""Training a neural network as a game: the environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import chex
import jax
import jax.numpy as jnp
import jumanji
from jaxtyping import Array, Float, Int
from jumanji import specs
from jumanji.types import TimeStep
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from pydantic import AfterValidator, Field

from ganno.options import Allowed, Count, Positive, typed
from ganno_env import checks
from ganno_env.actions import NO_OP, PAPER_ACTIONS, ActionSet
from ganno_env.controls import (
    CONTROLS,
    LEARNING_RATE,
    WEIGHT_DECAY,
    clip,
    complete,
    initial_ranges,
    sample_all,
)
from ganno_env.inner import OPTIMISERS, InnerLoop, Optimiser, example_indices
from ganno_env.observations import FEATURE_SETS, FEATURES, View, resolve_features
from ganno_env.registry import NameIn
from ganno_env.rewards import REWARDS, Reward
from ganno_env.timesteps import make_observation_spec, make_timestep
from ganno_env.types import Controls, Dataset, Metrics, Network, Observation, PRNGKey, State
from ganno_env.viewer import TrainingViewer

Pair = Annotated[Sequence[float], Field(min_length=2, max_length=2), Allowed("[low, high]")]
Initial = Annotated[float | Pair, Allowed("a number, or [low, high] of a log-uniform one")]
Actions = Annotated[
    Sequence[str],
    AfterValidator(ActionSet.check),
    Allowed("a list of noop and others such as *1.1, /1.1, +0.001, -0.001 or =0.001"),
]
Features = Annotated[
    str | Sequence[str],
    AfterValidator(resolve_features),
    Allowed(lambda: f"one of {', '.join(FEATURE_SETS)}, or a list of features"),
]


class NetworkTraining(jumanji.Environment[State, specs.MultiDiscreteArray, Observation]):
    """A network in training, with one agent for each of its layers.

    Every `updates_per_step` (tau) gradient updates, each agent picks a change to its own layer's
    learning rate. They share the reward: by default, how much higher validation accuracy is than
    had nobody acted, from the same state and on the same batches. An episode is a fixed number of
    epochs, and its end is a termination: the horizon is part of the problem, and is observed.

    - observation: `Observation`, with `agents_view` float32 [agents, F] (`feature_names` says what
      each column is), `action_mask` bool [agents, A] and `step_count` int32 [agents].
    - action: int32 [agents], each an index into `actions.names`; 0 is the no-op, and so is any
      number that is no index.
    - reward, discount: float32 [agents], the same for each agent.
    - extras: float32 scalars for logs: losses, accuracies, whether the network has diverged, and
      the layers' mean learning rate.

    Example:
        >>> import jax, jumanji, ganno_env
        >>> env = jumanji.make("Ganno-Digits-Cnn2-v0")
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0))
        >>> state, timestep = jax.jit(env.step)(state, env.action_spec.generate_value())
    """

    @typed
    def __init__(
        self,
        dataset: Dataset,
        network: Network,
        *,
        optimiser: Annotated[str | Optimiser, NameIn(OPTIMISERS, "or an Optimiser")] = "adam",
        actions: Actions = PAPER_ACTIONS,
        features: Features = "paper",
        reward: Annotated[str | Reward, NameIn(REWARDS, "or a Reward")] = "accuracy_difference",
        learning_rate: Initial = LEARNING_RATE.initial_range,
        weight_decay: Initial = WEIGHT_DECAY.initial_range,
        initial_controls: Mapping[str, Initial] | None = None,
        learning_rate_bounds: Pair = LEARNING_RATE.bounds,
        batch_size: Count = 64,
        epochs: Positive = 10,
        updates_per_step: Count = 100,
        num_steps: Count | None = None,
        single_agent: bool = False,
    ) -> None:
        """Puts the parts together; `ganno_env.make_env` builds them from their names.

        Args:
            dataset: what to learn.
            network: what learns it.
            optimiser: a name in `OPTIMISERS`, or an optimiser.
            actions: see `ActionSet`; the first is the no-op.
            features: a name in `FEATURE_SETS`, or names in `FEATURES`.
            reward: a name in `REWARDS`, or a reward.
            learning_rate: the initial value, or the bounds of a log-uniform one.
            weight_decay: the same for weight decay, which agents don't change.
            initial_controls: the same for other controls, by name; each that is not here starts
                within its own `initial_range`.
            learning_rate_bounds: every rate is clipped to these, as an episode begins and as agents
                act. A lower bound above 0 lets a multiplicative action raise a rate of 0.
            batch_size: examples a gradient update.
            epochs: passes over the training split an episode.
            updates_per_step: gradient updates an environment step, the paper's tau.
            num_steps: end the episode after so many steps, sooner than its epochs do.
            single_agent: one agent for all layers, which sees global features alone.

        Raises:
            ValueError: for an argument out of range or an unknown name, before any compilation.
        """
        self._arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.dataset = dataset
        self.network = network
        self.optimiser = OPTIMISERS[optimiser] if isinstance(optimiser, str) else optimiser
        self.actions = ActionSet.parse(actions)
        self.features = resolve_features(features)
        self.reward = REWARDS[reward] if isinstance(reward, str) else reward
        self.initial_ranges = initial_ranges(
            CONTROLS,
            {LEARNING_RATE.name: learning_rate, WEIGHT_DECAY.name: weight_decay},
            initial_controls or {},
        )
        self.learning_rate_bounds = LEARNING_RATE.check_bounds(learning_rate_bounds)
        self.batch_size = batch_size
        self.epochs = epochs
        self.updates_per_step = updates_per_step
        self.single_agent = single_agent
        checks.check_sizes(dataset, batch_size)
        checks.check_layers(network)
        checks.check_features(self.features, single_agent)
        self.time_limit = checks.steps_within_horizon(
            dataset.train.size, batch_size, epochs, updates_per_step, num_steps
        )
        self.inner = InnerLoop(network, dataset, self.optimiser)
        super().__init__()

    def __repr__(self) -> str:
        """What is trained on what, and by how many agents."""
        return (
            f"NetworkTraining({self.network.name} on {self.dataset.name}, "
            f"num_agents={self.num_agents}, time_limit={self.time_limit})"
        )

    @property
    def num_layers(self) -> int:
        """The number of layers, L."""
        return len(self.network.layers)

    @property
    def num_agents(self) -> int:
        """One for each layer, or one in all."""
        return 1 if self.single_agent else self.num_layers

    @property
    def action_dim(self) -> int:
        """The number of actions of each agent, A."""
        return len(self.actions)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """What each column of `agents_view` is."""
        return tuple(
            column
            for name in self.features
            for column in FEATURES[name].column_names(name, self.actions)
        )

    @cached_property
    def normalised_features(self) -> tuple[bool, ...]:
        """Whether a system should normalise each column of `agents_view`: `Feature.normalised`."""
        return tuple(
            FEATURES[name].normalised
            for name in self.features
            for _ in FEATURES[name].column_names(name, self.actions)
        )

    @cached_property
    def observation_spec(self) -> specs.Spec[Observation]:
        """Features, action mask and step count of each agent."""
        return make_observation_spec(
            self.num_agents, len(self.feature_names), self.action_dim, self.time_limit
        )

    @cached_property
    def action_spec(self) -> specs.MultiDiscreteArray:
        """One action for each agent."""
        return specs.MultiDiscreteArray(
            jnp.full((self.num_agents,), self.action_dim, jnp.int32), jnp.int32, "action"
        )

    @cached_property
    def reward_spec(self) -> specs.Array:
        """The shared reward, once for each agent."""
        return specs.Array((self.num_agents,), jnp.float32, "reward")

    @cached_property
    def discount_spec(self) -> specs.BoundedArray:
        """1, and 0 at the end of an episode, once for each agent."""
        return specs.BoundedArray((self.num_agents,), jnp.float32, 0.0, 1.0, "discount")

    def reset(self, key: PRNGKey) -> tuple[State, TimeStep[Observation]]:
        """Starts an episode: initial conditions, and then as `begin`."""
        return self.begin(*sample_all(key, self.initial_ranges))

    def begin(
        self, key: PRNGKey, initial: dict[str, Float[Array, ""]]
    ) -> tuple[State, TimeStep[Observation]]:
        """Starts an episode from given initial conditions, with a fresh network and data order.

        Network and order depend on the key alone, so that runs from other rates are paired. The
        learning rate is clipped to the bounds that agents have. The first observation shows what a
        first batch would have, with no update made.

        Args:
            key: chooses the network's initial weights and the order of the data.
            initial: controls' values in all layers, by name. Those that are not here are sampled,
                by the key alone.
        """
        state_key, data_key, network_key = jax.random.split(key, 3)
        initial = complete(jax.random.fold_in(key, 1), self.initial_ranges, initial)
        controls = {name: jnp.full((self.num_layers,), x) for name, x in initial.items()}
        inner = self.inner.init(network_key)
        indices = example_indices(data_key, jnp.uint32(0), self.batch_size, self.dataset.train.size)
        metrics, statistics = self.inner.first_look(inner, controls, indices)
        state = State(
            key=state_key,
            data_key=data_key,
            inner=inner,
            controls=controls,
            initial_controls=initial,
            previous_action=jnp.zeros((self.num_agents,), jnp.int32),
            metrics=metrics,
            statistics=statistics,
            step_count=jnp.int32(0),
        )
        state = self.bounded(state)
        return state, self.observe(state)

    def step(
        self, state: State, action: Int[Array, " agents"]
    ) -> tuple[State, TimeStep[Observation]]:
        """Changes the layers' rates, makes tau gradient updates, and pays the agents.

        Where the reward is a difference, the same updates are made from the same state on the
        same batches once more, with no action taken.

        Args:
            state: the state before.
            action: each agent's, an index into `actions.names`; any other number is the no-op.

        Returns:
            The state after, and what the agents get to know of it.
        """
        chex.assert_shape(action, (self.num_agents,))
        branches = [self.rates_after(state, action)]
        if self.reward.needs_no_op:
            branches.append(self.rates_after(state, jnp.full_like(action, NO_OP)))
        tau = self.updates_per_step
        held = jnp.stack([jnp.broadcast_to(branch, (tau, *branch.shape)) for branch in branches])
        after, metrics = self._advance(state, held)
        after_no_op = jax.tree.map(lambda x: x[-1], metrics)
        reward = self.reward.function(state.metrics, after.metrics, after_no_op)
        after = dataclasses.replace(after, previous_action=self.actions.legal(action))
        return after, self.observe(after, reward)

    def follow(
        self, state: State, learning_rates: Float[Array, "tau L"]
    ) -> tuple[State, TimeStep[Observation]]:
        """`step` for what is no agent: the layers' learning rate at each of the tau updates.

        This is how hand-made schedules run, under the same rules and on the same batches. There is
        no second branch and no reward; the learning rate observed afterwards is the last one.
        """
        chex.assert_shape(learning_rates, (self.updates_per_step, self.num_layers))
        after, _ = self._advance(state, learning_rates[None])
        return after, self.observe(after)

    def rates_after(self, state: State, action: Int[Array, " agents"]) -> Float[Array, " L"]:
        """Each layer's learning rate, were a joint action played."""
        rates = state.controls[LEARNING_RATE.name]
        return self.actions.apply(
            rates, jnp.broadcast_to(action, rates.shape), self.learning_rate_bounds
        )

    def bounded(self, state: State) -> State:
        """A state as agents here would have it: its learning rates within the bounds they have.

        Every state of an episode is so, but one that was begun or led by something else.
        """

        def clipped(controls: dict[str, Array]) -> dict[str, Array]:
            rates = clip(controls[LEARNING_RATE.name], self.learning_rate_bounds)
            return controls | {LEARNING_RATE.name: rates}

        return dataclasses.replace(
            state,
            controls=clipped(state.controls),
            initial_controls=clipped(state.initial_controls),
        )

    def observe(
        self, state: State, reward: Float[Array, ""] | float = 0.0
    ) -> TimeStep[Observation]:
        """What agents get to know of a state, and their shared reward."""
        view = View(state, self.network.layers, self.actions, self.time_limit)
        return make_timestep(view, self.features, self.single_agent, jnp.float32(reward))

    def render(self, state: State | Sequence[State], save_path: str | None = None) -> Figure:
        """A figure of one state, or of an episode's states in order."""
        return self._viewer.render(state, save_path)

    def animate(
        self, states: Sequence[State], interval: int = 200, save_path: str | None = None
    ) -> FuncAnimation:
        """An episode step by step, `interval` milliseconds each; written to `save_path`, a GIF."""
        return self._viewer.animate(states, interval, save_path)

    def replace(self, **changes: Any) -> NetworkTraining:
        """The same environment, built anew with some of its constructor's arguments changed."""
        return type(self)(**(self._arguments | changes))

    def _advance(
        self, state: State, learning_rates: Float[Array, "branches tau L"]
    ) -> tuple[State, Metrics]:
        """Makes tau updates in each branch; the state of the first, and the metrics of each."""
        count = self.updates_per_step * self.batch_size
        start = state.inner.num_updates.astype(jnp.uint32) * jnp.uint32(self.batch_size)
        indices = example_indices(state.data_key, start, count, self.dataset.train.size)
        held: Controls = jax.tree.map(
            lambda x: jnp.broadcast_to(x, learning_rates.shape), state.controls
        )
        inner, metrics, statistics = jax.vmap(self.inner.step, in_axes=(None, 0, None))(
            state.inner,
            held | {LEARNING_RATE.name: learning_rates},
            indices.reshape(self.updates_per_step, self.batch_size),
        )
        first = jax.tree.map(lambda x: x[0], (inner, metrics, statistics))
        after = dataclasses.replace(
            state,
            inner=first[0],
            metrics=first[1],
            statistics=first[2],
            controls=state.controls | {LEARNING_RATE.name: learning_rates[0, -1]},
            previous_action=jnp.zeros_like(state.previous_action),
            step_count=state.step_count + 1,
        )
        return after, metrics

    @cached_property
    def _viewer(self) -> TrainingViewer:
        title = f"{self.network.name} on {self.dataset.name}"
        return TrainingViewer(self.inner.layer_names, self.actions.names, title)
