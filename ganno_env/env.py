"""Training a neural network as a game: the environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from jumanji.types import TimeStep
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from ganno.actions import NO_OP
from ganno.options import Count, Positive, typed
from ganno_env import optimisers
from ganno_env.checks import check_controls_seen
from ganno_env.config import (
    Actions,
    BoundsOption,
    ControlNames,
    Features,
    Initial,
    InterfaceConfig,
    TaskConfig,
)
from ganno_env.controls import CONTROLS, LEARNING_RATE, WEIGHT_DECAY, complete, sample_all
from ganno_env.controls.initial import initial_ranges, present
from ganno_env.dynamics import Keys, advance, feature_context, hold, initial_state
from ganno_env.inner import InitialNetwork, InnerLoop
from ganno_env.optimisers import OptimiserOption
from ganno_env.registry import NameIn
from ganno_env.rewards import REWARDS, Reward
from ganno_env.schedules import SCHEDULES
from ganno_env.timesteps import AgentSpecs, make_timestep
from ganno_env.types import Controls, Network, Observation, PRNGKey, State, Task
from ganno_env.viewer import TrainingViewer


class NetworkTraining(AgentSpecs):
    """A network in training, with one agent for each of its layers.

    Every `updates_per_step` (tau) gradient updates, each agent picks a change to its own layer's
    controls: by default, its learning rate. They share the reward: by default, how much higher
    validation accuracy is than had nobody acted, from the same state and on the same batches. An
    episode is a fixed number of epochs, and its end is a termination: the horizon is part of the
    problem, and is observed.

    - observation: `Observation`, with `agents_view` float32 [agents, F] (`feature_names` says what
      each column is), `action_mask` bool [agents, A] and `step_count` int32 [agents].
    - action: int32 [agents], each an index into `actions.names`; 0 is the no-op, and so is any
      number that is no index.
    - reward, discount: float32 [agents], the same for each agent.
    - extras: float32 scalars for logs: losses, accuracies and other metrics, whether the network
      has diverged, and the layers' mean learning rate.

    Example:
        >>> import jax, jumanji, ganno_env
        >>> env = jumanji.make("Ganno-Digits-Cnn2-v0")
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0))
        >>> state, timestep = jax.jit(env.step)(state, env.action_spec.generate_value())
    """

    @typed
    def __init__(
        self,
        task: Task,
        network: Network,
        *,
        optimiser: OptimiserOption = "adam",
        controls: ControlNames = (LEARNING_RATE.name,),
        actions: Actions | None = None,
        bounds: BoundsOption | None = None,
        features: Features = "paper",
        single_agent: bool = False,
        reward: Annotated[str | Reward, NameIn(REWARDS, "or a Reward")] = "accuracy_difference",
        learning_rate: Initial = LEARNING_RATE.initial_range,
        weight_decay: Initial = WEIGHT_DECAY.initial_range,
        initial_controls: Mapping[str, Initial] | None = None,
        batch_size: Count = 64,
        epochs: Positive = 10,
        updates_per_step: Count = 100,
        num_steps: Count | None = None,
        schedule: Annotated[str, NameIn(SCHEDULES)] | None = None,
    ) -> None:
        """The parts put together; `ganno_env.make_env` builds them from their names.

        Args:
            task: what to learn.
            network: what learns it.
            optimiser: a name in `OPTIMISERS`, {name: NAME, OPTION: VALUE}, or an optimiser.
            controls: names in `CONTROLS`: what agents set, layer by layer.
            actions: what they may do; see `ActionSet`. Of several controls, a mapping from names.
            bounds: acted controls are clipped to these, as an episode begins and as agents act. Of
                several controls, a mapping from names. A lower bound above 0 lets a multiplicative
                action raise a rate of 0.
            features: a name in `FEATURE_SETS`, or names in `FEATURES`.
            single_agent: one agent for all layers, which sees global features alone.
            reward: a name in `REWARDS`, or a reward.
            learning_rate: the initial value, or the bounds of a log-uniform one.
            weight_decay: the same for weight decay.
            initial_controls: the same for other controls, by name; each that is not here starts
                within its own `initial_range`.
            batch_size: examples a gradient update.
            epochs: passes over the training split an episode.
            updates_per_step: gradient updates an environment step, the paper's tau.
            num_steps: end the episode after so many steps, sooner than its epochs do.
            schedule: a name in `SCHEDULES`: the learning rate goes by it, from its initial value
                or up to it, and agents set another control, such as `step_scale`.

        Raises:
            ValueError: for an argument out of range or an unknown name, before any compilation.
        """
        self._arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.training = TaskConfig(
            task, network, optimisers.build(optimiser), batch_size, epochs, updates_per_step,
            num_steps, schedule,
        )  # fmt: skip
        self.interface = InterfaceConfig.of(controls, actions, bounds, features, single_agent)
        self.interface.check_applied(self.training)
        self.reward = REWARDS[reward] if isinstance(reward, str) else reward
        given = {LEARNING_RATE.name: learning_rate, WEIGHT_DECAY.name: weight_decay}
        others = initial_controls or {}
        here = present(CONTROLS, self.interface.controls, others)
        check_controls_seen(self.interface.features, here)
        self.initial_ranges = initial_ranges(here, given, others)
        self.task = task
        self.network = network
        self.optimiser = self.training.optimiser
        self.actions = self.interface.actions
        self.features = self.interface.features
        self.batch_size = batch_size
        self.updates_per_step = updates_per_step
        self.single_agent = single_agent
        self.time_limit = self.training.time_limit
        self.inner = InnerLoop(network, task, self.optimiser, tuple(here.values()))
        super().__init__()

    def __repr__(self) -> str:
        """What is trained on what, and by how many agents."""
        return (
            f"NetworkTraining({self.network.name} on {self.task.name}, "
            f"num_agents={self.num_agents}, time_limit={self.time_limit})"
        )

    def reset(self, key: PRNGKey) -> tuple[State, TimeStep[Observation]]:
        """An episode's first state and timestep, from sampled initial conditions."""
        return self.reset_from(*sample_all(key, self.initial_ranges))

    def reset_from(
        self, key: PRNGKey, initial: Mapping[str, Float[Array, ""] | float]
    ) -> tuple[State, TimeStep[Observation]]:
        """An episode's first state and timestep, from given initial conditions.

        Network and order of the data depend on the key alone, so that runs from other rates are
        paired. Acted controls are clipped to the bounds that agents have. The first observation
        shows what a first batch would have, with no update made.

        Args:
            key: chooses the network's initial weights and the order of the data.
            initial: controls' values in all layers, by name. Those that are not here are sampled,
                by the key alone.
        """
        state = self.begin(key, initial, self.initial_network(key))
        return state, self.observe(state)

    def initial_network(self, key: PRNGKey) -> InitialNetwork:
        """The network that an episode begins with: weights and state by its key alone."""
        return self.network.init(Keys.of(key).network)

    def begin(
        self,
        key: PRNGKey,
        initial: Mapping[str, Float[Array, ""] | float],
        network: InitialNetwork,
        measured: bool = True,
    ) -> State:
        """An episode's first state, with a network that is there already.

        Args:
            key: chooses the order of the data.
            initial: see `reset_from`.
            network: see `initial_network`.
            measured: whether it shows what a first batch would have. Those who do not look at the
                state before its first step can do without: it has zeros there.
        """
        initial = complete(jax.random.fold_in(key, 1), self.initial_ranges, initial)
        return self.bounded(
            initial_state(
                self.inner, self.training, Keys.of(key), initial, self.num_agents, network, measured
            )
        )

    def step(
        self, state: State, action: Int[Array, " agents"]
    ) -> tuple[State, TimeStep[Observation]]:
        """The state and timestep after a joint action and tau gradient updates.

        Where the reward is a difference, the same updates are made from the same state on the
        same batches once more, with no action taken.

        Args:
            state: the state before.
            action: each agent's, an index into `actions.names`; any other number is the no-op.
        """
        chex.assert_shape(action, (self.num_agents,))
        branches = [self.controls_after(state, action)]
        if self.reward.needs_no_op:
            branches.append(self.controls_after(state, jnp.full_like(action, NO_OP)))
        held = hold(self.training, state, branches)
        after, metrics = advance(self.inner, self.training, state, held)
        after_no_op = jax.tree.map(lambda x: x[-1], metrics)
        reward = self.reward.function(state.metrics, after.metrics, after_no_op)
        after = dataclasses.replace(after, previous_action=self.actions.legal(action))
        return after, self.observe(after, reward)

    def step_with_controls(
        self, state: State, values: dict[str, Float[Array, "tau L"]]
    ) -> tuple[State, TimeStep[Observation]]:
        """`step` for what is no agent: controls' values for each layer at each of the tau updates.

        This is how hand-made schedules run, under the same rules and on the same batches. There is
        no second branch and no reward; the values observed afterwards are the last ones.

        Args:
            state: the state before.
            values: by name, of some controls of the environment; the others stay as they are.
        """
        for value in values.values():
            chex.assert_shape(value, (self.updates_per_step, self.num_layers))
        branch = {name: value[None] for name, value in values.items()}
        after, _ = advance(self.inner, self.training, state, branch)
        return after, self.observe(after)

    def held(self, state: State, action: Int[Array, " agents"]) -> dict[str, Float[Array, "tau L"]]:
        """What a joint action, and a schedule if there is one, set at each update of a step."""
        branch = [self.controls_after(state, action)]
        return jax.tree.map(lambda x: x[0], hold(self.training, state, branch))

    def controls_after(self, state: State, action: Int[Array, " agents"]) -> Controls:
        """Each acted control's value for each layer, were a joint action played."""
        return self.actions.apply(state.controls, jnp.broadcast_to(action, (self.num_layers,)))

    def bounded(self, state: State) -> State:
        """A state as agents here would have it: acted controls within the bounds they have.

        Every state of an episode is so, but one that was begun or led by something else.
        """
        return dataclasses.replace(
            state,
            controls=self.actions.bounded(state.controls),
            initial_controls=self.actions.bounded(state.initial_controls),
        )

    def observe(
        self, state: State, reward: Float[Array, ""] | float = 0.0
    ) -> TimeStep[Observation]:
        """The timestep that tells agents of a state, and their shared reward."""
        context = feature_context(self.training, self.actions, state)
        return make_timestep(context, self.features, self.single_agent, jnp.float32(reward))

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

    @cached_property
    def _viewer(self) -> TrainingViewer:
        title = f"{self.network.name} on {self.task.name}"
        return TrainingViewer(self.inner.layer_names, self.actions, title)
