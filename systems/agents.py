"""The agents of an experiment: where their policies come from, and how they stand in a table."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from ganno_env import NetworkTraining, make_env
from ganno_env.evaluation import Method, policy_controller
from ganno_env.evaluation.methods import NotAvailableError
from ganno_env.evaluation.rollout import OBSERVED
from systems.cells import slug
from systems.config import PPOConfig
from systems.options import NONE, TRAIN, AgentsSpec
from systems.policy import FILE_NAME, Policy, load_policy, make_policy, policy_file
from systems.registry import SYSTEMS
from systems.runs import has_checkpoints
from systems.training import train

AGENTS = "GANNO"
"""What trained agents are called in tables, as in the paper's."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How an experiment trains agents.

    Attributes:
        environment: `ganno_env.make_env`'s arguments.
        system, config, seed: what is trained.
        folder: where the runs are kept, one folder for each agents; interrupted ones are resumed.
        mesh: on which devices.
    """

    environment: Mapping[str, Any]
    system: str
    config: PPOConfig
    seed: int
    folder: Path
    mesh: Mesh

    def plan(self, spec: AgentsSpec) -> tuple[dict[str, Any], PPOConfig]:
        """The environment and the options that these agents are trained with."""
        environment = {**self.environment, **spec.env}
        if not spec.episodes:
            return environment, self.config
        steps = spec.episodes * make_env(**environment).time_limit
        per_update = self.config.timesteps_per_update
        total = math.ceil(steps / per_update) * per_update
        return environment, self.config.replace(total_timesteps=total)


def identity(spec: AgentsSpec, training: Training) -> dict[str, Any]:
    """What agents' runs depend on, known before any training."""
    if spec.checkpoint == TRAIN:
        environment, config = training.plan(spec)
        return {
            "environment": environment,
            "system": training.system,
            "config": config.model_dump(),
            "seed": training.seed,
            "episodes": spec.episodes,
        }
    return {"policy": hashlib.sha256(policy_file(spec.checkpoint).read_bytes()).hexdigest()}


def must_train(key: str, spec: AgentsSpec, training: Training) -> bool:
    """Whether agents' training is still to be done, or to be finished."""
    return spec.checkpoint == TRAIN and spec.episodes != 0 and _trained(key, spec, training) is None


def _trained(key: str, spec: AgentsSpec, training: Training) -> Policy | None:
    """The policy of a training that reached its end."""
    folder = training.folder / slug(key)
    if not (folder / FILE_NAME).is_file():
        return None
    policy = load_policy(folder)
    _, config = training.plan(spec)
    return policy if policy.information["training"]["updates"] == config.num_updates else None


def find_policy(key: str, spec: AgentsSpec, training: Training) -> Policy:
    """Loads the policy of agents, or trains it, going on where an earlier try was interrupted.

    Raises:
        NotAvailableError: where agents are to be left out.
        ValueError: for a checkpoint that is none.
        KeyboardInterrupt: if a signal ended the training; what was trained is kept.
    """
    if spec.checkpoint == NONE:
        raise NotAvailableError(
            "not available: train agents (checkpoint=train), or name a policy "
            "(checkpoint=pretrained, or a path)"
        )
    if spec.checkpoint != TRAIN:
        return load_policy(spec.checkpoint)
    environment, config = training.plan(spec)
    env = make_env(**environment)
    if spec.episodes == 0:
        return _newborn(env, environment, config, training)
    if (policy := _trained(key, spec, training)) is not None:
        return policy
    folder = training.folder / slug(key)
    interrupted = has_checkpoints(folder)
    if not interrupted and folder.exists():
        shutil.rmtree(folder)  # killed before its first checkpoint: there is nothing to go on with
    result = train(
        env,
        config,
        system=training.system,
        seed=training.seed,
        mesh=training.mesh,
        output_dir=folder,
        resume=interrupted,
        environment=environment,
        loggers={"console": {}, "jsonl": {}},
    )
    if result.stopped_by is not None:
        raise KeyboardInterrupt(result.stopped_by)
    return result.policy


def _newborn(
    env: NetworkTraining, environment: Mapping[str, Any], config: PPOConfig, training: Training
) -> Policy:
    learner = SYSTEMS[training.system](env, config, training.mesh)
    learned = learner.init(jax.random.PRNGKey(training.seed)).learned
    information = {"environment": dict(environment), "training": {"updates": 0}}
    statistics = learned.observation_statistics
    return make_policy(config, env, learned.params.actor, statistics, information)


def as_method(spec: AgentsSpec, policy: Policy, env: NetworkTraining) -> Method:
    """Agents as a row of a table about `env`, seeing and doing what they were trained to.

    Raises:
        ValueError: if they cannot act there.
    """
    trained_on = policy.information.get("environment", {})
    changes = tuple(
        (name, tuple(value) if isinstance(value, list) else value)
        for name, value in ((name, trained_on[name]) for name in OBSERVED if name in trained_on)
    )
    policy.check_fits(env.replace(**dict(changes)))
    act = partial(policy.act, greedy=spec.greedy)
    return Method(
        name=spec.name,
        controller=policy_controller(spec.name, policy.initial_hidden, act),
        changes=changes,
        learning_rate=spec.learning_rate,
    )
