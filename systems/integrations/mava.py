"""The bridge to upstream Mava: its systems, its options from ours, our environment in it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from systems.integrations import import_stubs
from systems.ppo.config import PPOConfig
from systems.utils.errors import RunError

if TYPE_CHECKING:  # it starts JAX as it is imported
    from ganno_env import NetworkTraining

SYSTEMS = ("rec_ippo", "rec_mappo", "ff_ippo", "ff_mappo")
INSTALL = "python -m pip install --no-deps -r requirements-mava.txt"
ENVIRONMENT_ID = "GannoForMava-v0"
UNUSED = ("brax", "gigastep", "gymnax", "jaxmarl", "marl_eval", "matrax", "neptune",
          "tensorboard_logger")  # fmt: skip
"""What Mava imports for other environments and for loggers that are off by default."""
MOST_EVALUATIONS = 10


class MavaMissingError(RunError):
    """Mava, or something that it needs, is not installed."""


def mava_folder() -> Path:
    """The folder of the installed Mava, which is not imported.

    Raises:
        MavaMissingError: if it is not installed, or was installed without its configs.
    """
    spec = importlib.util.find_spec("mava")
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    if not places:
        raise MavaMissingError(f"Mava is not installed; install it with: {INSTALL}")
    folder = Path(places[0])
    if not (folder / "configs" / "default").is_dir():
        raise MavaMissingError(
            f"Mava in {folder} has no configs, which a package built from it leaves out; install "
            f"it from a checkout, with: {INSTALL}"
        )
    return folder


def load(name: str) -> Callable[[], Any]:
    """Imports Mava; returns its own command for a system.

    Raises:
        MavaMissingError: if something that Mava needs is not installed.
    """
    import_stubs.install(UNUSED)
    import_stubs.add_names("jumanji.environments.routing.connector", ["MaConnector"])
    try:
        return importlib.import_module(f"mava.systems.ppo.anakin.{name}").hydra_entry_point
    except ImportError as error:
        raise MavaMissingError(
            f"Mava's {name} cannot be imported ({error}); install what it needs with: {INSTALL}"
        ) from error


def mava_overrides(name: str, system: Mapping[str, Any], given: Sequence[str]) -> list[str]:
    """The paper's sizes and rates in Mava's words, each unless it is given.

    Raises:
        ValueError: if there are too few updates for one evaluation, which Mava needs.
    """
    config = PPOConfig.parse({k: v for k, v in system.items() if k != "name"}, "system.")
    chosen: dict[str, Any] = {
        "arch.num_envs": config.num_envs,
        "arch.num_eval_episodes": config.num_envs,
        "arch.absolute_metric": False,
        "system.total_timesteps": config.total_timesteps,
        "system.rollout_length": config.rollout_length,
        "system.update_batch_size": 1,
        "system.ppo_epochs": config.num_epochs,
        "system.num_minibatches": config.num_minibatches,
        "system.actor_lr": config.actor_learning_rate,
        "system.critic_lr": config.critic_learning_rate,
        "system.gamma": config.gamma,
        "system.gae_lambda": config.gae_lambda,
        "system.clip_eps": config.clip_range,
        "system.ent_coef": config.entropy_weight,
        "system.vf_coef": config.value_weight,
        "system.max_grad_norm": config.max_gradient_norm,
        "network.critic_network.pre_torso.layer_sizes": list(config.critic_layers),
    }
    actor, after = list(config.actor_layers), list(config.post_recurrent_layers)
    if name.startswith("rec"):
        chosen["network.hidden_state_dim"] = config.recurrent_size
        chosen["network.actor_network.post_torso.layer_sizes"] = after
    else:
        actor += after
    chosen["network.actor_network.pre_torso.layer_sizes"] = actor
    words = dict(argument.split("=", 1) for argument in given if "=" in argument)
    if "arch.num_evaluation" not in words:
        chosen["arch.num_evaluation"] = _evaluations(chosen | words)
    kept = (f"{key}={value}" for key, value in chosen.items() if key not in words)
    return [*kept, *given]


def _evaluations(chosen: Mapping[str, Any]) -> int:
    """How often to evaluate: Mava needs more updates than evaluations, and to divide them."""
    sizes = ("arch.num_envs", "system.rollout_length", "system.update_batch_size")
    steps = functools.reduce(lambda product, key: product * int(chosen[key]), sizes, 1)
    updates = int(float(chosen["system.total_timesteps"])) // steps
    if updates < 2:
        raise ValueError(
            f"system.total_timesteps={chosen['system.total_timesteps']} is {updates} updates of "
            f"{steps} environment steps; Mava needs at least 2"
        )
    return max(
        count
        for count in range(1, MOST_EVALUATIONS + 1)
        if count < updates and updates % count == 0
    )


def register(environment: Mapping[str, Any]) -> None:
    """Makes the environment known to Jumanji, to Mava's `make_env` and to Hydra.

    Args:
        environment: arguments of `ganno_env.make_env`.
    """
    import jumanji

    from ganno_env.wrappers import MavaWrapper

    if ENVIRONMENT_ID not in jumanji.registered_environments():
        jumanji.register(id=ENVIRONMENT_ID, entry_point="systems.integrations.mava:make_for_mava")
    make = importlib.import_module("mava.utils.make_env")
    observation = importlib.import_module("mava.types").ObservationGlobalState
    make._jumanji_registry[ENVIRONMENT_ID] = {
        "generator": _no_generator,
        "wrapper": functools.partial(MavaWrapper, global_observation=observation),
    }
    node = {
        "env_name": ENVIRONMENT_ID,
        "scenario": {
            "name": ENVIRONMENT_ID,
            "task_name": f"{environment['dataset']}_{environment['network']}",
            "task_config": {},
            "env_kwargs": {},
        },
        "eval_metric": "episode_return",
        # A layer's place is among its features; an agent's number would bind the policy to depth.
        "implicit_agent_id": True,
        "log_win_rate": False,
        "kwargs": dict(environment),
    }
    ConfigStore.instance().store(group="env", name=ENVIRONMENT_ID, node=node)


def _no_generator() -> None:
    """Mava gives each environment of Jumanji's a generator; ours has its own randomness."""


def make_for_mava(generator: None = None, **arguments: Any) -> NetworkTraining:
    """`ganno_env.make_env`; training and evaluation share one environment, and its data."""
    return _make_once(json.dumps(OmegaConf.to_container(OmegaConf.create(arguments))))


@functools.lru_cache(maxsize=1)
def _make_once(arguments: str) -> NetworkTraining:
    from ganno_env import make_env

    return make_env(**json.loads(arguments))
