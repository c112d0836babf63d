"""The agents of an experiment: where their policies come from, and how they stand in a table."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ganno_env import NetworkTraining, make_env
from ganno_env.config import INTERFACE_OPTIONS, InterfaceConfig
from ganno_env.evaluation import Method, policy_controller, random_controller
from ganno_env.evaluation.methods import NotAvailableError
from ganno_env.evaluation.planning import Variant
from ganno_env.optimisers import build
from systems.experiments import provenance
from systems.experiments.run_store import slug
from systems.options.experiment import AgentsSpec
from systems.options.types import NONE, TRAIN
from systems.policy.policy import FILE_NAME, Policy, load_policy, make_policy
from systems.ppo.config import PPOConfig
from systems.ppo.registry import SYSTEMS
from systems.training.loop import train
from systems.training.run import has_checkpoints
from systems.utils.files import discard
from systems.utils.provenance import Provenance

AGENTS = "GANNO"
"""What trained agents are called in tables, as in the paper's."""
RECORDED = ("system", "seed", "config", "environment")
"""What a policy's file says of how it was trained."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How an experiment trains agents.

    Attributes:
        environment: `ganno_env.make_env`'s arguments.
        system, config, seed: what is trained.
        folder: where the runs are kept, a folder for each training; interrupted ones are resumed.
        mesh: on which devices.
    """

    environment: Mapping[str, Any]
    system: str
    config: PPOConfig
    seed: int
    folder: Path
    mesh: Mesh


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training, or its beginning.

    Attributes:
        environment: `ganno_env.make_env`'s arguments.
        env: what it made of them.
        system, config, seed: what is trained.
        updates: how many are made.
        folder: where it is kept: no other training has the same.
    """

    environment: Mapping[str, Any]
    env: NetworkTraining
    system: str
    config: PPOConfig
    seed: int
    updates: int
    folder: Path

    def finished(self) -> Policy | None:
        """The policy that it ended with; None if it has not ended.

        Raises:
            ValueError: if its folder has another training's.
        """
        if not (self.folder / FILE_NAME).is_file():
            return None
        policy = load_policy(self.folder)
        config = self.config.model_dump()
        there = {name: policy.information.get(name) for name in RECORDED}
        if "total_timesteps" not in (there["config"] or {}):  # it plays no part in such a training
            del config["total_timesteps"]
        wanted = (self.system, self.seed, config, dict(self.environment))
        asked = Provenance(dict(zip(RECORDED, wanted, strict=True)))
        if difference := Provenance(there).differences(asked):
            raise ValueError(
                f"{self.folder} has another training's policy ({difference}); remove it"
            )
        return policy if policy.information["training"]["updates"] == self.updates else None


def plan(key: str, spec: AgentsSpec, training: Training) -> Plan | None:
    """What has to be trained for agents; None if their policy is there, or is not wanted."""
    if spec.checkpoint == NONE or (spec.checkpoint != TRAIN and spec.episodes is None):
        return None
    if spec.checkpoint == TRAIN:
        environment = {**training.environment, **spec.env}
        system, config, seed = training.system, training.config, training.seed
    else:
        environment, system, config, seed = _recorded(spec)
    env = make_env(**environment)
    updates = config.num_updates
    if spec.episodes is not None:
        steps = spec.episodes * env.time_limit
        updates = min(math.ceil(steps / config.timesteps_per_update), updates)
    depends_on = {
        "environment": provenance.of_environment(environment, env),
        "system": system,
        "config": config.model_dump(),
        "seed": seed,
        "updates": updates,
        "version": provenance.version(),
    }
    folder = training.folder / f"{slug(key)}-{Provenance(depends_on).digest[:8]}"
    return Plan(environment, env, system, config, seed, updates, folder)


def _recorded(spec: AgentsSpec) -> tuple[dict[str, Any], str, PPOConfig, int]:
    """How a policy was trained, by its own file."""
    policy = load_policy(spec.checkpoint)
    try:
        environment, system, seed = (
            policy.information[n] for n in ("environment", "system", "seed")
        )
        config = {"total_timesteps": policy.information["training"]["env_steps"]}
        config |= policy.information["config"]
    except KeyError as error:
        raise ValueError(
            f"{spec.checkpoint} does not say how it was trained ({error} is missing), so what it "
            f"was after {spec.episodes} episodes is not known; train agents (checkpoint=train)"
        ) from error
    return {**environment, **spec.env}, system, PPOConfig.parse(config), seed


def must_train(key: str, spec: AgentsSpec, training: Training) -> bool:
    """Whether agents' training is still to be done, or to be finished."""
    planned = plan(key, spec, training)
    return planned is not None and planned.updates > 0 and planned.finished() is None


def get_policy(key: str, spec: AgentsSpec, training: Training) -> Policy:
    """Finds the policy of agents, loads it, or trains it.

    A training that was interrupted is resumed.

    Raises:
        NotAvailableError: where agents are to be left out.
        ValueError: for a checkpoint that cannot be read as a policy.
        KeyboardInterrupt: if a signal ended the training; what was trained is kept.
    """
    if spec.checkpoint == NONE:
        raise NotAvailableError(
            "not available: train agents (checkpoint=train), or name a policy "
            "(checkpoint=pretrained, or a path)"
        )
    planned = plan(key, spec, training)
    if planned is None:
        return load_policy(spec.checkpoint)
    if planned.updates == 0:
        return untrained_policy(planned, training.mesh)
    if (policy := planned.finished()) is not None:
        return policy
    folder = planned.folder
    interrupted = has_checkpoints(folder)
    if not interrupted and folder.exists():
        discard(folder)  # killed before its first checkpoint: there is nothing to go on with
    result = train(
        planned.env,
        planned.config,
        system=planned.system,
        seed=planned.seed,
        mesh=training.mesh,
        output_dir=folder,
        resume=interrupted,
        environment=planned.environment,
        loggers={"console": {}, "jsonl": {}},
        stop_after_updates=planned.updates,
    )
    if result.stopped_by is not None:
        raise KeyboardInterrupt(result.stopped_by)
    return result.policy


def untrained_policy(planned: Plan, mesh: Mesh) -> Policy:
    """The policy that a training begins with."""
    learner = SYSTEMS[planned.system](planned.env, planned.config, mesh)
    # Compiled whole, so that the environments' beginnings, which are not asked for, are left out.
    learned = jax.jit(lambda key: learner.init(key).learned)(jax.random.PRNGKey(planned.seed))
    information = {
        "system": planned.system,
        "seed": planned.seed,
        "config": planned.config.model_dump(),
        "environment": dict(planned.environment),
        "training": {"updates": 0},
    }
    statistics = learned.observation_statistics
    return make_policy(planned.config, planned.env, learned.params.actor, statistics, information)


def as_method(spec: AgentsSpec, policy: Policy, env: NetworkTraining) -> Method:
    """The row of agents in a table about `env`, with the features and actions of their training.

    Raises:
        ValueError: if they cannot act there.
    """
    variant = variant_of(policy)
    policy.check_fits(variant.of(env))
    act = partial(policy.act, greedy=spec.greedy)
    return Method(
        name=spec.name,
        controller=policy_controller(spec.name, policy.initial_hidden, act),
        variant=variant,
        learning_rate=spec.learning_rate,
        is_agents=True,
        rate="start" if spec.episodes == 0 else "trained",
        stated={
            "policy": policy_digest(policy),
            "greedy": policy.greedy if spec.greedy is None else spec.greedy,
            "trained": {name: policy.information.get(name) for name in RECORDED},
        },
    )


def as_random(spec: AgentsSpec, policy: Policy, env: NetworkTraining) -> Method | None:
    """The row of agents that act at random, with the actions of a policy's: a baseline for it.

    Returns:
        None where the policy's actions are the environment's own, and so are those of "random".
    """
    variant = variant_of(policy)
    interface = variant.interface
    if interface is None or (interface.acted, interface.single_agent) == (
        env.interface.acted,
        env.interface.single_agent,
    ):
        return None
    # Chance does not look: any feature that both one agent and many can see will do.
    blind = dataclasses.replace(interface, features=("progress",))
    variant = variant._replace(interface=blind)
    return Method(
        name=random_name(spec),
        controller=random_controller(),
        variant=variant,
        learning_rate=spec.learning_rate,
        rate="start",
    )


def random_name(spec: AgentsSpec) -> str:
    """The name of the row of agents that act at random with the actions of these."""
    return f"random, actions of {spec.name}"


def variant_of(policy: Policy) -> Variant:
    """What is around agents as it was in their training, as far as their file says.

    That is what they see and do, and the optimiser and the schedule that they act beside.
    """
    trained_on = policy.information.get("environment") or {}
    optimiser = trained_on.get("optimiser")
    return Variant(
        optimiser=None if optimiser is None else build(optimiser),
        interface=interface_of(policy),
        schedule=trained_on.get("schedule"),
    )


def interface_of(policy: Policy) -> InterfaceConfig | None:
    """The features and actions of a policy's environment; None where its file does not say."""
    trained_on = policy.information.get("environment")
    if not trained_on:
        return None
    given = {name: trained_on[name] for name in INTERFACE_OPTIONS if name in trained_on}
    return InterfaceConfig.of(**given)


def policy_digest(policy: Policy) -> str:
    """The SHA-256 of all that a policy acts by."""
    content = hashlib.sha256()
    acts_by = {
        field.name: getattr(policy, field.name)
        for field in dataclasses.fields(policy)
        if field.name != "information"
    }
    for path, leaf in jax.tree_util.tree_leaves_with_path(acts_by):
        content.update(jax.tree_util.keystr(path).encode())
        if isinstance(leaf, (jax.Array, np.ndarray)):
            content.update(f"{leaf.dtype}{leaf.shape}".encode())
            content.update(np.ascontiguousarray(leaf).tobytes())
        else:
            content.update(repr(leaf).encode())
    return content.hexdigest()
