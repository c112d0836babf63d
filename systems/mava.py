"""Upstream Mava's own systems on our environment: `python -m systems.mava system=rec_ippo`.

`system=` is rec_ippo (the paper's), rec_mappo, ff_ippo or ff_mappo. `env=`, `network=`, `scale=`,
`env.X=` and `plugins=` mean what they mean to `systems.train`. All else goes to Mava's configs, as
in `system.actor_lr=3e-4 arch.num_eval_episodes=8 logger.use_json=True`. Mava is installed by
`python -m pip install --no-deps -r requirements-mava.txt`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from ganno import plugins
from ganno.names import unknown
from systems import stand_ins
from systems.arguments import Override, Parsed
from systems.command import CONFIGS, Command, enter
from systems.config import PPOConfig
from systems.errors import RunError
from systems.options import CommandOptions

if TYPE_CHECKING:  # it starts JAX as it is imported
    from ganno_env import NetworkTraining

SYSTEMS = ("rec_ippo", "rec_mappo", "ff_ippo", "ff_mappo")
INSTALL = "python -m pip install --no-deps -r requirements-mava.txt"
ENVIRONMENT_ID = "GannoForMava-v0"
COMMAND = Command(
    module="systems.mava",
    config="train",
    options=CommandOptions,
    choices=("env", "network"),
    groups=("scale",),
    open=("env",),
)
UNUSED = ("brax", "gigastep", "gymnax", "jaxmarl", "marl_eval", "matrax", "neptune",
          "tensorboard_logger")  # fmt: skip
"""What Mava imports for other environments and for loggers that are off by default."""
MOST_EVALUATIONS = 10


class MavaMissingError(RunError):
    """Mava cannot be had."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are the command line's if not given."""
    enter(COMMAND, run, arguments)


def run(parsed: Parsed) -> None:
    """Trains one of Mava's systems, unmodified, by its own entry point.

    Raises:
        ValueError: for an unknown system, or sizes that Mava does not take.
        MavaMissingError: if Mava, or something it needs, is not installed.
    """
    name, ours, theirs = split(parsed.overrides)
    folder = mava_folder()
    options = compose_options(ours)
    overrides = mava_overrides(name, options["system"], theirs)
    entry_point = load(name)
    register(options["env"])
    configs = folder / "configs"
    sys.argv = [
        f"mava.{name}",
        *parsed.flags,
        f"--config-path={configs / 'default'}",
        f"hydra.searchpath=[file://{configs}]",
        "hydra.run.dir=.",
        "hydra.output_subdir=null",
        "hydra/job_logging=stdout",
        f"env={ENVIRONMENT_ID}",
        *overrides,
    ]
    entry_point()


def split(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The system's name, the arguments for our configs, and those for Mava's.

    Raises:
        ValueError: if Mava has no such system, or it is not one that we know to work.
    """
    name = "rec_ippo"
    ours, theirs = [], []
    for argument in arguments:
        _, key, value = Override.of(argument)
        if key == "system":
            name = str(value)
        elif key in COMMAND.names or key.startswith("env."):
            ours.append(argument)
        else:
            theirs.append(argument)
    if name not in SYSTEMS:
        raise ValueError(unknown("system", name, SYSTEMS))
    return name, ours, theirs


def mava_folder() -> Path:
    """Where Mava is, without importing it.

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
    stand_ins.install(UNUSED)
    stand_ins.add_names("jumanji.environments.routing.connector", ["MaConnector"])
    try:
        return importlib.import_module(f"mava.systems.ppo.anakin.{name}").hydra_entry_point
    except ImportError as error:
        raise MavaMissingError(
            f"Mava's {name} cannot be imported ({error}); install what it needs with: {INSTALL}"
        ) from error


def compose_options(arguments: Sequence[str]) -> dict[str, Any]:
    """What `systems.train` would make of these arguments: the environment, and sizes."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        options = compose("train", overrides=COMMAND.translate(arguments))
    values: Any = OmegaConf.to_container(options, resolve=True)
    given = CommandOptions.parse({"plugins": values["plugins"]})
    from ganno_env.registration import by_name

    plugins.load(given.plugins)
    return {"env": by_name(values["env"]), "system": values["system"]}


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
        jumanji.register(id=ENVIRONMENT_ID, entry_point="systems.mava:make_for_mava")
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


if __name__ == "__main__":
    main()
