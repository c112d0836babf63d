"""What a learner's state is made of.

Letters in shapes: T rollout steps, E environments, N agents, F features, A actions, H hidden units,
S sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, no_type_check

import chex
from jaxtyping import Array, Bool, Float, Int

from ganno_env.types import Observation, PRNGKey
from ganno_env.vector import VectorState, VectorTimeStep
from systems.ppo.normalisation import RunningStatistics

CriticView: TypeAlias = Callable[[Float[Array, "... N F"]], Float[Array, "... N G"]]
"""What the critic sees for each agent, of the normalised observations of all of them."""
Metrics: TypeAlias = dict[str, Float[Array, ""]]


@chex.dataclass(frozen=True)
class ActorCritic:
    """A pair of anything, one for each network."""

    actor: Any
    critic: Any


@chex.dataclass(frozen=True)
class Learned:
    """What an update changes, and what a skipped update leaves as it was."""

    params: ActorCritic
    optimiser_states: ActorCritic
    observation_statistics: RunningStatistics
    value_statistics: RunningStatistics


@chex.dataclass(frozen=True)
class Acting:
    """The environments' states, and the agents' hidden ones.

    Every leaf has a leading axis of E, sharded over devices.

    Attributes:
        vector_state: theirs.
        observation: what to act on next.
        done: whether an episode ended just before that observation; true at the very start.
        hidden: the GRU's state after the last step, not yet zeroed where `done`.
    """

    vector_state: VectorState
    observation: Observation
    done: Bool[Array, " E"]
    hidden: Float[Array, "E N H"]


@no_type_check  # at run time: `make_learner` has one that says where each part lives
@chex.dataclass(frozen=True)
class LearnerState:
    """All that the next update depends on; saving it is enough to go on bit for bit."""

    learned: Learned
    acting: Acting
    key: PRNGKey
    num_updates: Int[Array, ""]
    num_skipped: Int[Array, ""]
    num_skipped_in_a_row: Int[Array, ""]


@chex.dataclass(frozen=True)
class Transition:
    """One step of E environments: where it began, what was done, and what came of it.

    `hidden` is what the step before left behind; it counts as zero where `done`.
    """

    hidden: Float[Array, "E N H"]
    observation: Observation
    done: Bool[Array, " E"]
    action: Int[Array, "E N"]
    log_probability: Float[Array, "E N"]
    timestep: VectorTimeStep


@chex.dataclass(frozen=True)
class Sequences:
    """The training sequences of a minibatch; leaves are [sequence_length, S, ...]."""

    view: Float[Array, "T S N F"]
    action_mask: Bool[Array, "T S N A"]
    done: Bool[Array, "T S"]
    action: Int[Array, "T S N"]
    log_probability: Float[Array, "T S N"]
    advantage: Float[Array, "T S N"]
    value: Float[Array, "T S N"]
    target: Float[Array, "T S N"]


class Learner(NamedTuple):
    """A system, compiled.

    Attributes:
        init: `key -> state`.
        update: `state -> (state, metrics)`: one rollout and what is learned from it. The state
            given is donated: use the one returned.
    """

    init: Callable[[PRNGKey], LearnerState]
    update: Callable[[LearnerState], tuple[LearnerState, Metrics]]
