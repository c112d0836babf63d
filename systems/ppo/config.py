"""The options of the systems."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from ganno.options import Count, Fraction, Options, Positive

Layers = tuple[Count, ...]
"""Sizes of layers in order."""


class PPOConfig(Options):
    """Every option of rec-IPPO and rec-MAPPO, checked on construction (`ValueError`).

    The defaults are the paper's (appendix D), and Mava 0.2.0's where the paper is silent, but for
    the normalisation of observations, where an unseen network asks for more than both have: columns
    that are not normalised, such as one-hots, and `observation_clip` (`systems.ppo.normalisation`).
    """

    total_timesteps: Count = 50_000
    """Environment steps, over all environments; a last rollout that would exceed them is not
    made."""
    num_envs: Count = 4
    """Parallel environments, E."""
    rollout_length: Count = 64
    """Steps of each environment between updates, T."""
    sequence_length: Count = 8
    """Steps that the GRU is unrolled over in training; divides `rollout_length`."""
    num_epochs: Count = 2
    """Passes over a rollout."""
    num_minibatches: Count = 4
    """Parts that a pass is cut into, each of whole sequences."""
    actor_layers: Layers = (128, 128)
    """Sizes of the actor's layers before its GRU."""
    recurrent_size: Count = 64
    """Size of the actor's GRU."""
    post_recurrent_layers: Layers = (64,)
    """Sizes of the actor's layers after its GRU."""
    critic_layers: Layers = (64, 64)
    """Sizes of the critic's layers."""
    actor_learning_rate: Positive = 1e-3
    """Of the actor's Adam."""
    critic_learning_rate: Positive = 1e-3
    """Of the critic's Adam."""
    adam_epsilon: Positive = 1e-5
    """Of both."""
    max_gradient_norm: Positive = 0.5
    """Each network's gradient is clipped to this global norm."""
    anneal_learning_rates: bool = False
    """Whether both learning rates fall linearly to 0 over the run."""
    gamma: Fraction = 0.99
    """The discount of a step."""
    gae_lambda: Fraction = 0.95
    """Lambda of the generalised advantage estimation."""
    clip_range: Positive = 0.2
    """How far PPO's ratio of probabilities counts beyond 1."""
    entropy_weight: Annotated[float, Field(ge=0)] = 0.01
    """Of the entropy bonus in the actor's loss."""
    value_weight: Positive = 0.5
    """Of the critic's loss."""
    clip_values: bool = True
    """Whether values are clipped around those of the rollout."""
    value_clip_range: Positive = 0.2
    """How far, in units of the normalised values."""
    normalise_advantages: bool = True
    """Whether advantages are normalised, per minibatch."""
    normalise_values: bool = True
    """Whether values are, by running statistics of their targets."""
    normalise_observations: bool = True
    """Whether observations are, by running statistics, but for one-hots and flags; all are then cut
    off at `observation_clip`."""
    observation_clip: Positive = 10.0
    """Where observations are cut off, in standard deviations."""
    evaluation_greedy: bool = False
    """Whether the trained policy takes its most probable actions; by default it samples, as it was
    trained to."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.rollout_length % self.sequence_length:
            raise ValueError(
                f"sequence_length={self.sequence_length} does not divide "
                f"rollout_length={self.rollout_length}; choose a divisor"
            )
        if self.num_sequences % self.num_minibatches:
            raise ValueError(
                f"num_minibatches={self.num_minibatches} does not divide the rollout's "
                f"{self.num_sequences} sequences; choose a divisor"
            )
        if self.total_timesteps < self.timesteps_per_update:
            raise ValueError(
                f"total_timesteps={self.total_timesteps} is less than one rollout, num_envs * "
                f"rollout_length = {self.timesteps_per_update}; raise it or shorten the rollout"
            )
        return self

    @property
    def timesteps_per_update(self) -> int:
        """Environment steps in a rollout."""
        return self.num_envs * self.rollout_length

    @property
    def num_sequences(self) -> int:
        """Training sequences in a rollout, S."""
        return self.timesteps_per_update // self.sequence_length

    @property
    def observation_limit(self) -> float | None:
        """How far normalised observations may be from 0, if they are normalised."""
        return self.observation_clip if self.normalise_observations else None

    @property
    def num_updates(self) -> int:
        """Rollouts in a run: as many as fit into `total_timesteps`."""
        return self.total_timesteps // self.timesteps_per_update
