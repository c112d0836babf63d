"""The options of the systems, where they come from, and how they complain."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

C = TypeVar("C")


def from_mapping(cls: type[C], values: Mapping[str, Any]) -> C:
    """Builds the config dataclass `cls`, lists becoming tuples.

    Raises:
        ValueError: for a key that `cls` does not have, listing those that it has.
    """
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"unknown system option {key!r}{hint}; known: {', '.join(known)}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def check_type(config: Any, name: str, kind: type) -> Any:
    """The value of `name`; raises `ValueError` unless it is a `kind` (an int serves as a float)."""
    value = getattr(config, name)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}={value!r}; it must be of type {kind.__name__}")
    return value


def check_integers(config: Any, *names: str) -> None:
    """Raises `ValueError` unless each of `names` is an integer of at least 1."""
    for name in names:
        if check_type(config, name, int) < 1:
            raise ValueError(f"{name}={getattr(config, name)!r}; it must be at least 1")


def check_range(config: Any, low: float, high: float, *names: str) -> None:
    """Raises `ValueError` unless each of `names` is a number in [low, high]."""
    for name in names:
        if not low <= check_type(config, name, float) <= high:
            raise ValueError(f"{name}={getattr(config, name)!r}; it must be in [{low}, {high}]")


def check_positive(config: Any, *names: str) -> None:
    """Raises `ValueError` unless each of `names` is a finite number above 0."""
    for name in names:
        if not 0 < check_type(config, name, float) < float("inf"):
            raise ValueError(f"{name}={getattr(config, name)!r}; it must be above 0 and finite")


def check_flags(config: Any, *names: str) -> None:
    """Raises `ValueError` unless each of `names` is true or false."""
    for name in names:
        check_type(config, name, bool)


def check_layers(config: Any, *names: str) -> None:
    """Raises `ValueError` unless each of `names` is a sequence of sizes of at least 1."""
    for name in names:
        layers = getattr(config, name)
        if not isinstance(layers, tuple) or not all(
            isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in layers
        ):
            raise ValueError(f"{name}={layers!r}; it must be a list of sizes of at least 1")


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Every option of rec-IPPO and rec-MAPPO, checked on construction (`ValueError`).

    The defaults are the paper's (appendix D), and Mava 0.2.0's where the paper is silent, but for
    `observation_clip`, which both lack and an unseen network needs (`normalise_observations`).

    Attributes:
        total_timesteps: environment steps, over all environments; a last rollout that would exceed
            them is not made.
        num_envs: parallel environments, E.
        rollout_length: steps of each environment between updates, T.
        sequence_length: steps that the GRU is unrolled over in training; divides `rollout_length`.
        num_epochs, num_minibatches: passes over a rollout, and the parts that each is cut into;
            a part holds whole sequences.
        actor_layers, recurrent_size, post_recurrent_layers, critic_layers: sizes of the networks.
        actor_learning_rate, critic_learning_rate, adam_epsilon, max_gradient_norm: one Adam for
            each network, its gradient clipped by global norm.
        anneal_learning_rates: whether they fall linearly to 0 over the run.
        gamma, gae_lambda, clip_range, entropy_weight, value_weight: PPO's own.
        clip_values, value_clip_range: whether, and how far, in units of the normalised values.
        normalise_advantages: per minibatch.
        normalise_values: by running statistics of the value targets.
        normalise_observations, observation_clip: by running statistics, then cut off.
        evaluation_greedy: whether the trained policy takes its most probable actions; by default
            it samples, as it was trained to.
    """

    total_timesteps: int = 50_000
    num_envs: int = 4
    rollout_length: int = 64
    sequence_length: int = 8
    num_epochs: int = 2
    num_minibatches: int = 4
    actor_layers: tuple[int, ...] = (128, 128)
    recurrent_size: int = 64
    post_recurrent_layers: tuple[int, ...] = (64,)
    critic_layers: tuple[int, ...] = (64, 64)
    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    adam_epsilon: float = 1e-5
    max_gradient_norm: float = 0.5
    anneal_learning_rates: bool = False
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    entropy_weight: float = 0.01
    value_weight: float = 0.5
    clip_values: bool = True
    value_clip_range: float = 0.2
    normalise_advantages: bool = True
    normalise_values: bool = True
    normalise_observations: bool = True
    observation_clip: float = 10.0
    evaluation_greedy: bool = False

    def __post_init__(self) -> None:
        check_integers(self, "total_timesteps", "num_envs", "rollout_length", "sequence_length")
        check_integers(self, "num_epochs", "num_minibatches", "recurrent_size")
        check_layers(self, "actor_layers", "post_recurrent_layers", "critic_layers")
        check_positive(self, "actor_learning_rate", "critic_learning_rate", "adam_epsilon")
        check_positive(self, "max_gradient_norm", "clip_range", "value_clip_range")
        check_positive(self, "observation_clip", "value_weight")
        check_range(self, 0, 1, "gamma", "gae_lambda")
        check_range(self, 0, float("inf"), "entropy_weight")
        check_flags(self, "anneal_learning_rates", "clip_values", "normalise_advantages")
        check_flags(self, "normalise_values", "normalise_observations", "evaluation_greedy")
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
