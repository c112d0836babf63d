"""A trained policy in JAX: how it acts, and how its file is written, which `ganno.policy` reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ganno.policy import FILE_NAME, FORMAT, PRETRAINED, policy_file, read_policy
from ganno_env.types import Observation, PRNGKey
from systems.ppo import networks
from systems.ppo.config import PPOConfig
from systems.ppo.normalisation import RunningStatistics, normalise_observations
from systems.utils.archives import write_archive

__all__ = [
    "FILE_NAME", "PRETRAINED", "Policy", "action_names", "feature_names", "load_policy",
    "make_policy", "policy_file", "save_policy",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Policy:
    """A recurrent policy with one set of weights for any number of agents.

    Attributes:
        actor, params: the network and its weights.
        statistics: of the observations that it was trained on.
        observation_limit: how far normalised observations may be from 0, if that is limited.
        greedy: whether it takes its most probable actions, unless it is told otherwise.
        feature_names, action_names: the columns that it observes and the actions that it takes.
        information: what it was trained with (`system`, `config`, `environment`) and what that cost
            (`training`); plain JSON.
    """

    actor: networks.Actor
    params: Any
    statistics: RunningStatistics
    observation_limit: float | None
    greedy: bool
    feature_names: tuple[str, ...]
    action_names: tuple[str, ...]
    information: Mapping[str, Any]

    def initial_hidden(self, num_agents: int) -> Float[Array, "N H"]:
        """The hidden state before an episode's first step."""
        return jnp.zeros((num_agents, self.actor.recurrent_size), jnp.float32)

    def act(
        self,
        hidden: Float[Array, "N H"],
        observation: Observation,
        done: Bool[Array, ""] | bool,
        key: PRNGKey,
        greedy: bool | None = None,
    ) -> tuple[Float[Array, "N H"], Int[Array, " N"]]:
        """Chooses every agent's action; pure, so it may be jitted and vmapped.

        Args:
            hidden: from the step before, or `initial_hidden`.
            observation: of all agents; illegal actions are never chosen.
            done: whether an episode ended just before this observation; `hidden` then counts as 0.
            key: for sampling; unused if greedy.
            greedy: take the most probable action rather than a random one; its own way if None.

        Returns:
            The hidden state to act with next, and the actions, int32.
        """
        view = normalise_observations(
            self.statistics, observation.agents_view, self.observation_limit
        )
        output: Any = self.actor.apply(
            self.params,
            hidden,
            view[None],
            observation.action_mask[None],
            jnp.broadcast_to(done, (1, 1)),
        )
        new_hidden, logits = output
        greedy = self.greedy if greedy is None else greedy
        action = networks.mode(logits[0]) if greedy else networks.sample(key, logits[0])
        return new_hidden, action

    def check_fits(self, env: Any) -> None:
        """Raises `ValueError` if an environment's features or actions are not the policy's."""
        for kind, mine, theirs in (
            ("features", self.feature_names, feature_names(env)),
            ("actions", self.action_names, action_names(env)),
        ):
            if mine != theirs:
                raise ValueError(
                    f"the policy was trained on other {kind}: {_compare(mine, theirs)}"
                )


def feature_names(env: Any) -> tuple[str, ...]:
    """What an environment calls its observation's columns; numbers if it does not say."""
    if hasattr(env, "feature_names"):
        return tuple(env.feature_names)
    size = env.observation_spec.agents_view.shape[-1]
    return tuple(f"feature_{i}" for i in range(size))


def action_names(env: Any) -> tuple[str, ...]:
    """What an environment calls its actions; numbers if it does not say."""
    if hasattr(env, "actions"):
        return tuple(env.actions.names)
    return tuple(f"action_{i}" for i in range(env.action_dim))


def make_policy(
    config: PPOConfig,
    env: Any,
    params: Any,
    statistics: RunningStatistics,
    information: Mapping[str, Any],
) -> Policy:
    """The policy that a learner has come to, on arrays of its own."""
    names = action_names(env)
    return Policy(
        actor=networks.make_actor(config, len(names)),
        params=jax.tree.map(_own_copy, params),
        statistics=jax.tree.map(_own_copy, statistics),
        observation_limit=config.observation_limit,
        greedy=config.evaluation_greedy,
        feature_names=feature_names(env),
        action_names=names,
        information=information,
    )


def save_policy(policy: Policy, path: Path | str, *, overwrite: bool = False) -> Path:
    """Writes a policy to one file, whole or not at all.

    Raises:
        ValueError: if the file exists and `overwrite` is false.
        StorageError: if it cannot be written.
    """
    actor = policy.actor
    header = {
        "format": FORMAT,
        "actor": {
            "layers": list(actor.layers),
            "recurrent_size": actor.recurrent_size,
            "post_recurrent_layers": list(actor.post_recurrent_layers),
        },
        "observation_limit": policy.observation_limit,
        "greedy": policy.greedy,
        "feature_names": list(policy.feature_names),
        "action_names": list(policy.action_names),
        "information": dict(policy.information),
    }
    statistics = {
        field.name: getattr(policy.statistics, field.name)
        for field in dataclasses.fields(RunningStatistics)
    }
    arrays = flax.traverse_util.flatten_dict(
        {"actor": policy.params, "statistics": statistics}, sep="/"
    )
    write_archive(Path(path), header, arrays, overwrite=overwrite)
    return Path(path)


def load_policy(path: Path | str, env: Any = None) -> Policy:
    """Reads a policy from its file, or from the folder of the run that trained it.

    Args:
        path: the file or the folder, or "pretrained".
        env: if given, the environment that it is to act in.

    Raises:
        ValueError: if there is no policy, if the file is damaged or no policy's, or if the policy's
            features or actions are not the environment's.
    """
    policy = read_policy(path, _parse)
    if env is not None:
        policy.check_fits(env)
    return policy


def _parse(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Policy:
    tree = flax.traverse_util.unflatten_dict(jax.tree.map(jnp.asarray, dict(arrays)), sep="/")
    return Policy(
        actor=networks.Actor(
            num_actions=len(header["action_names"]),
            layers=tuple(header["actor"]["layers"]),
            recurrent_size=header["actor"]["recurrent_size"],
            post_recurrent_layers=tuple(header["actor"]["post_recurrent_layers"]),
        ),
        params=tree["actor"],
        statistics=RunningStatistics(**tree["statistics"]),
        observation_limit=header["observation_limit"],
        greedy=header.get("greedy", False),  # files from before there was a choice have none
        feature_names=tuple(header["feature_names"]),
        action_names=tuple(header["action_names"]),
        information=header["information"],
    )


def _own_copy(x: Array | np.ndarray) -> Array:
    # On one device and not donated to the next update, as the learner's own arrays are.
    return jnp.asarray(np.array(x))


def _compare(mine: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    missing = [name for name in mine if name not in theirs]
    added = [name for name in theirs if name not in mine]
    parts = []
    if missing:
        parts.append(f"the environment lacks {missing}")
    if added:
        parts.append(f"it adds {added}")
    if not parts:
        parts.append(f"they come in another order, {list(theirs)} for {list(mine)}")
    return "; ".join(parts) + ". Give the environment those that the policy was trained with"
